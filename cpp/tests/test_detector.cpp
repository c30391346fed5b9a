// The face detector beside dlib's, stage by stage: directions, pixels of the pyramid, features, rectangles and scores.
// Compiled for the baseline and for x86-64-v3.
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
#include "dlib_reference.hpp"

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

void check_resize(const Picture& picture, int height, int width) {
  PlanarImage image, resized;
  image.assign(picture.view());
  resized.reshape(height, width, picture.channels);
  BilinearResizer resize;
  resize(image, resized);
  const auto expected = dlib_reference::resize(picture.view(), height, width);
  CHECK(expected.size() == static_cast<std::size_t>(height * width * picture.channels));
  auto pixel = expected.begin();
  int wrong = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int channel = 0; channel < picture.channels; ++channel) wrong += resized.row(channel, y)[x] != *pixel++;
  if (wrong) std::fprintf(stderr, "%d x %d to %d x %d: %d\n", picture.height, picture.width, height, width, wrong);
  CHECK(wrong == 0);
}

void test_pyramid_pixels() {
  for (const int grain : {1, 500})
    for (const auto& [height, width] : {std::pair{160, 160}, {133, 97}, {1, 9}, {9, 1}, {2, 2}, {61, 350}, {7, 13}})
      for (const int times : {5, 12, 1, 60}) {
        const int rows = std::max(height * times / 6, 1), columns = std::max(width * times / 6, 1);
        check_resize(make_picture(height, width, 3, grain, 7), rows, columns);
        check_resize(make_picture(height, width, 1, grain, 9), rows, columns);
      }
}

void check_features(const Picture& picture) {
  PlanarImage image;
  image.assign(picture.view());
  HogExtractor extract;
  HogFeatures features;
  const auto expected = dlib_reference::features(picture.view(), HogFeatures::kCell);
  CHECK(expected.values.size() == static_cast<std::size_t>(HogFeatures::kPlanes * expected.rows * expected.columns));
  // Twice, for what the first time leaves in scratch memory.
  for (int time = 0; time < 2; ++time) {
    extract(image, features);
    CHECK(features.rows == expected.rows && features.columns == expected.columns);
    float worst = 0;
    auto value = expected.values.begin();
    for (int plane = 0; plane < HogFeatures::kPlanes; ++plane)
      for (int y = 0; y < features.rows; ++y)
        for (int x = 0; x < features.columns; ++x)
          worst = std::max(worst, std::fabs(features.row(plane, y)[x] - *value++));
    CHECK(worst < 1e-5f);
  }
}

void test_features() {
  for (const int grain : {1, 5})
    for (const auto& [height, width] :
         {std::pair{160, 160}, {133, 133}, {24, 24}, {20, 19}, {29, 36}, {83, 530}, {40, 1061}, {1061, 21}, {3, 3}}) {
      check_features(make_picture(height, width, 3, grain, 3));
      check_features(make_picture(height, width, 1, grain, 4));
    }
}

std::size_t check_detections(const HogFaceDetector& ours, const Picture& picture, const HogOptions& options) {
  const auto expected = dlib_reference::detect(picture.view(), options.upsample, options.threshold);
  const auto found = ours.detect(picture.view(), options);
  CHECK(found.size() == expected.size());
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    const auto& face = expected[i];
    CHECK(found[i].left == face.left && found[i].top == face.top);
    CHECK(found[i].right - 1 == face.right && found[i].bottom - 1 == face.bottom);
    CHECK(std::fabs(found[i].score - face.score) < 1e-4);
  }
  return found.size();
}

void test_detections() {
  const HogFaceDetector ours;
  std::size_t found = 0;
  for (const int grain : {1, 9, 31})
    for (const auto& [height, width] :
         {std::pair{160, 160}, {1, 1}, {7, 9}, {79, 80}, {80, 79}, {131, 250}, {240, 83}, {20, 400}, {400, 20}})
      for (int upsample = 0; upsample < 3; ++upsample) {
        const HogOptions options{upsample, -1.6, true, 1, 0};
        found += check_detections(ours, make_picture(height, width, 3, grain, 1), options);
        found += check_detections(ours, make_picture(height, width, 1, grain, 2), options);
      }
  CHECK(found > 100);
}

bool equal(const std::vector<Detection>& a, const std::vector<Detection>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Detection& x, const Detection& y) {
    return x.left == y.left && x.top == y.top && x.right == y.right && x.bottom == y.bottom && x.score == y.score;
  });
}

void test_threads_change_nothing() {
  const HogFaceDetector detector;
  for (const int grain : {9, 31})
    for (const auto& [height, width] : {std::pair{240, 310}, {79, 80}, {1, 1}, {400, 20}})
      for (const bool exact : {true, false}) {
        const auto picture = make_picture(height, width, 3, grain, 5);
        const auto alone = detector.detect(picture.view(), {1, -1.6, exact, 1, 0});
        for (const int threads : {2, 3, 64})
          CHECK(equal(detector.detect(picture.view(), {1, -1.6, exact, threads, 0}), alone));
      }
}

/// Each window that the estimate lets pass has the score that the full scan gives it.
void test_the_fast_search_finds_windows_of_the_exact_one() {
  const HogFaceDetector detector;
  std::size_t found = 0, all = 0;
  for (const int grain : {5, 9, 31}) {
    const auto picture = make_picture(700, 900, 3, grain, 6);
    const auto exact = detector.detect(picture.view(), {0, -2.6, true, 1, 0});
    all += exact.size();
    for (const auto& face : detector.detect(picture.view(), {0, -2.6, false, 1, 0})) {
      const auto same = std::find_if(exact.begin(), exact.end(), [&](const Detection& other) {
        return other.left == face.left && other.top == face.top && other.right == face.right;
      });
      if (same == exact.end()) continue;  // a better window of the same place was ruled out
      CHECK(std::fabs(same->score - face.score) < 1e-4);
      ++found;
    }
  }
  CHECK(all > 20 && found * 10 > all * 9);
}

void test_windows_are_scored_as_the_scan_scores_them() {
  const auto model = hog_model();
  const auto picture = make_picture(70, 72, 3, 7, 8);  // of one level
  const auto map = hog_features(picture.view());
  const auto planes = HogFeatures::kPlanes;
  CHECK(model.thresholds.size() == 5 && model.filters.size() == static_cast<std::size_t>(5 * planes * 100));
  CHECK(map.values.size() == static_cast<std::size_t>(planes * map.rows * map.columns));
  double best = -100;
  for (std::size_t i = 0; i < model.thresholds.size(); ++i)
    for (int r = 0; r < map.rows; ++r)
      for (int c = 0; c < map.columns; ++c) {
        double score = -model.thresholds[i];
        for (int plane = 0; plane < planes; ++plane)
          for (int y = std::max(0, 4 - r); y < std::min(10, map.rows - r + 4); ++y)
            for (int x = std::max(0, 4 - c); x < std::min(10, map.columns - c + 4); ++x)
              score +=
                  static_cast<double>(
                      model.filters[((i * static_cast<std::size_t>(planes) + static_cast<std::size_t>(plane)) * 10 +
                                     static_cast<std::size_t>(y)) *
                                        10 +
                                    static_cast<std::size_t>(x)]) *
                  static_cast<double>(
                      map.values[static_cast<std::size_t>((plane * map.rows + r + y - 4) * map.columns + c + x - 4)]);
        best = std::max(best, score);
      }
  for (const bool exact : {true, false}) {
    const auto found = HogFaceDetector().detect(picture.view(), {0, best - 0.01, exact, 1, 0});
    CHECK(!found.empty() && std::fabs(found.front().score - best) < 1e-4);
  }
}

void test_smaller_faces_are_left_out() {
  const HogFaceDetector detector;
  const auto picture = make_picture(150, 900, 3, 9, 3);
  const auto all = detector.detect(picture.view(), {0, -3.2, true, 1, 0});
  std::size_t small = 0;
  for (const auto& face : all) small += face.right - face.left < 100;
  CHECK(small > 0);
  for (const double least : {60.0, 90.0, 120.0, 1000.0}) {
    const auto found = detector.detect(picture.view(), {0, -3.2, true, 2, least});
    CHECK(found.empty() == (least > 300));
    for (const auto& face : found) CHECK(static_cast<double>(face.right - face.left) * 1.25 > least);
  }
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
  test_threads_change_nothing();
  test_the_fast_search_finds_windows_of_the_exact_one();
  test_windows_are_scored_as_the_scan_scores_them();
  test_smaller_faces_are_left_out();
  return test::report();
}
