// The face detector beside dlib's, stage by stage: directions, pixels of the pyramid, features, rectangles and scores.
// Compiled for the baseline and for x86-64-v3.
#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_transforms/image_pyramid.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../src/fhog.hpp"
#include "../src/gradient.hpp"
#include "../src/planar_image.hpp"
#include "agegender/face_detector.hpp"
#include "check.hpp"

using namespace agegender;

namespace {

struct Picture {
  std::vector<std::uint8_t> bytes;
  int height, width, channels;

  ImageView view() const { return {bytes.data(), height, width, channels}; }
};

/// Noise (grain 1), or something smooth with edges and flat places that a filter may answer to.
Picture make_picture(int height, int width, int channels, int grain, std::uint32_t seed) {
  Picture picture{{}, height, width, channels};
  const auto random = [&seed] {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 24;
  };
  std::vector<std::uint32_t> knots(static_cast<std::size_t>((height / grain + 1) * (width / grain + 1) * channels));
  for (auto& knot : knots) knot = random();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int channel = 0; channel < channels; ++channel) {
        const int knot = ((y / grain) * (width / grain + 1) + x / grain) * channels + channel;
        const std::uint32_t value = knots[static_cast<std::size_t>(knot)] + (grain > 1 ? random() % 8 : 0);
        picture.bytes.push_back(static_cast<std::uint8_t>(std::min(value, 255u)));
      }
  return picture;
}

template <typename Pixel>
dlib::array2d<Pixel> to_dlib(const Picture& picture) {
  dlib::array2d<Pixel> image(picture.height, picture.width);
  if (image.size() > 0) std::memcpy(&image[0][0], picture.bytes.data(), picture.bytes.size());
  return image;
}

/// As dlib/image_transforms/fhog.h: the greatest of 9 dot products and their opposites, the first among equal ones.
int plain_direction(int gx, int gy) {
  const float directions[9][2] = {{1.0000f, 0.0000f},  {0.9397f, 0.3420f},  {0.7660f, 0.6428f},
                                  {0.500f, 0.8660f},   {0.1736f, 0.9848f},  {-0.1736f, 0.9848f},
                                  {-0.5000f, 0.8660f}, {-0.7660f, 0.6428f}, {-0.9397f, 0.3420f}};
  float best = 0;
  int found = 0;
  for (int i = 0; i < 9; ++i) {
    const float dot = static_cast<float>(gx) * directions[i][0] + static_cast<float>(gy) * directions[i][1];
    if (dot > best) {
      best = dot;
      found = i;
    } else if (-dot > best) {
      best = -dot;
      found = i + 9;
    }
  }
  return found;
}

/// Every gradient that bytes can have, through the code that runs on rows.
void test_directions() {
  constexpr int kWidth = 3 * 256;
  int wrong = 0;
  for (int gy = -255; gy <= 255; ++gy)
    for (const int sign : {-1, 1}) {
      std::vector<std::uint8_t> above(kWidth + 64), here(kWidth + 64), below(kWidth + 64);
      for (int i = 0; i < 256; ++i) {
        here[static_cast<std::size_t>(3 * i)] = static_cast<std::uint8_t>(sign < 0 ? i : 0);
        here[static_cast<std::size_t>(3 * i + 2)] = static_cast<std::uint8_t>(sign < 0 ? 0 : i);
        above[static_cast<std::size_t>(3 * i + 1)] = static_cast<std::uint8_t>(std::max(-gy, 0));
        below[static_cast<std::size_t>(3 * i + 1)] = static_cast<std::uint8_t>(std::max(gy, 0));
      }
      std::vector<std::uint8_t> direction(kWidth + 64);
      std::vector<float> strength(kWidth + 64);
      const RowNeighbours rows{{above.data()}, {here.data()}, {below.data()}};
      row_gradients(rows, 1, 1, kWidth - 1, kWidth - 1, direction.data(), strength.data());
      for (int i = 0; i < 256; ++i) {
        const auto x = static_cast<std::size_t>(3 * i + 1);
        const bool none = gy == 0 && i == 0;
        wrong += !none && direction[x] / 4 % 18 != plain_direction(sign * i, gy);
        wrong += direction[x] != direction_x4(sign * i, gy);
        wrong += strength[x] != std::sqrt(static_cast<float>(i * i + gy * gy));
      }
    }
  CHECK(wrong == 0);
}

template <typename Pixel>
void check_resize(const Picture& picture, int height, int width) {
  PlanarImage image, resized;
  image.assign(picture.view());
  resized.reshape(height, width, picture.channels);
  BilinearResizer resize;
  resize(image, resized);
  dlib::array2d<Pixel> expected(height, width);
  dlib::resize_image(to_dlib<Pixel>(picture), expected);
  int wrong = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto* pixel = reinterpret_cast<const std::uint8_t*>(&expected[y][x]);
      for (int channel = 0; channel < picture.channels; ++channel)
        wrong += resized.row(channel, y)[x] != pixel[channel];
    }
  if (wrong) std::fprintf(stderr, "%d x %d to %d x %d: %d\n", picture.height, picture.width, height, width, wrong);
  CHECK(wrong == 0);
}

void test_pyramid_pixels() {
  for (const int grain : {1, 500})
    for (const auto& [height, width] : {std::pair{160, 160}, {133, 97}, {1, 9}, {9, 1}, {2, 2}, {61, 350}, {7, 13}})
      for (const int times : {5, 12, 1, 60}) {
        const int rows = std::max(height * times / 6, 1), columns = std::max(width * times / 6, 1);
        check_resize<dlib::rgb_pixel>(make_picture(height, width, 3, grain, 7), rows, columns);
        check_resize<unsigned char>(make_picture(height, width, 1, grain, 9), rows, columns);
      }
}

template <typename Pixel>
void check_features(const Picture& picture) {
  PlanarImage image;
  image.assign(picture.view());
  HogExtractor extract;
  HogFeatures features;
  dlib::array<dlib::array2d<float>> expected;
  dlib::extract_fhog_features(to_dlib<Pixel>(picture), expected, HogFeatures::kCell);
  // Twice, for what the first time leaves in scratch memory.
  for (int time = 0; time < 2; ++time) {
    extract(image, features);
    CHECK(features.rows == expected[0].nr() && features.columns == expected[0].nc());
    float worst = 0;
    for (int plane = 0; plane < HogFeatures::kPlanes; ++plane)
      for (int y = 0; y < features.rows; ++y)
        for (int x = 0; x < features.columns; ++x)
          worst =
              std::max(worst, std::fabs(features.row(plane, y)[x] - expected[static_cast<unsigned long>(plane)][y][x]));
    CHECK(worst < 1e-5f);
  }
}

void test_features() {
  for (const int grain : {1, 5})
    for (const auto& [height, width] :
         {std::pair{160, 160}, {133, 133}, {24, 24}, {20, 19}, {29, 36}, {83, 530}, {40, 1061}, {1061, 21}, {3, 3}}) {
      check_features<dlib::rgb_pixel>(make_picture(height, width, 3, grain, 3));
      check_features<unsigned char>(make_picture(height, width, 1, grain, 4));
    }
}

template <typename Pixel>
std::size_t check_detections(const HogFaceDetector& ours, dlib::frontal_face_detector& theirs, const Picture& picture,
                             const HogOptions& options) {
  auto image = to_dlib<Pixel>(picture);
  for (int i = 0; i < options.upsample; ++i) dlib::pyramid_up(image);
  std::vector<dlib::rect_detection> expected;
  theirs(image, expected, options.threshold);
  const auto found = ours.detect(picture.view(), options);
  CHECK(found.size() == expected.size());
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    dlib::rectangle rect = expected[i].rect;
    if (options.upsample) rect = dlib::pyramid_down<2>().rect_down(rect, static_cast<unsigned int>(options.upsample));
    CHECK(dlib::rectangle(found[i].left, found[i].top, found[i].right - 1, found[i].bottom - 1) == rect);
    CHECK(std::fabs(found[i].score - expected[i].detection_confidence) < 1e-4);
  }
  return found.size();
}

void test_detections() {
  const HogFaceDetector ours;
  auto theirs = dlib::get_frontal_face_detector();
  std::size_t found = 0;
  for (const int grain : {1, 9, 31})
    for (const auto& [height, width] :
         {std::pair{160, 160}, {1, 1}, {7, 9}, {79, 80}, {80, 79}, {131, 250}, {240, 83}, {20, 400}, {400, 20}})
      for (int upsample = 0; upsample < 3; ++upsample) {
        const HogOptions options{upsample, -1.6};
        found += check_detections<dlib::rgb_pixel>(ours, theirs, make_picture(height, width, 3, grain, 1), options);
        found += check_detections<unsigned char>(ours, theirs, make_picture(height, width, 1, grain, 2), options);
      }
  CHECK(found > 100);
}

}  // namespace

int main() {
#ifdef __AVX2__
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::puts("skipped: this CPU has no AVX2");
    return 0;
  }
#endif
  test_directions();
  test_pyramid_pixels();
  test_features();
  test_detections();
  return test::report();
}
