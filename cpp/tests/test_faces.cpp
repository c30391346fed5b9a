// Detection, chips and preprocessing: what they refuse, and what they give on a made picture. That they give
// what dlib gives is tested from Python, beside dlib's own binding.
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "agegender/align.hpp"
#include "agegender/face_detector.hpp"
#include "agegender/preprocess.hpp"
#include "check.hpp"
#include "noise.hpp"

using namespace agegender;
using agegender::test::noise;

namespace {

void test_detector_takes_any_size() {
  const HogFaceDetector detector;
  const auto pixels = noise(300 * 200 * 3);
  for (const std::ptrdiff_t side : {1, 2, 7, 79, 80, 81, 200})
    for (const std::ptrdiff_t channels : {1, 3}) {
      for (const auto& face : detector.detect({pixels.data(), side, side, channels}, {}))
        CHECK(face.right > face.left && face.bottom > face.top);
      CHECK(detector.detect({pixels.data(), side, 1, channels}, {}).empty());
    }
}

void test_detector_refuses() {
  const HogFaceDetector detector;
  const auto pixels = noise(100 * 100 * 3);
  CHECK_THROWS(std::invalid_argument, detector.detect({pixels.data(), 0, 100, 3}, {}));
  CHECK_THROWS(std::invalid_argument, detector.detect({pixels.data(), 50, 50, 4}, {}));
  CHECK_THROWS(std::invalid_argument, detector.detect({pixels.data(), 50, 50, 3}, {5, 0}));
  CHECK_THROWS(std::invalid_argument, detector.detect({pixels.data(), 50, 50, 3}, {-1, 0}));
  CHECK_THROWS(std::invalid_argument, detector.detect({pixels.data(), 50, 50, 3}, {0, std::nan("")}));
}

void test_detector_on_threads() {
  const HogFaceDetector detector;
  const auto pixels = noise(200 * 200);
  std::vector<std::size_t> found(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < found.size(); ++i)
    threads.emplace_back(
        [&, i] { found[i] = detector.detect({pixels.data(), 200, 200, 1}, HogOptions{0, -2.0}).size(); });
  for (auto& thread : threads) thread.join();
  for (const auto count : found) CHECK(count == found[0]);
}

void test_chips() {
  const auto pixels = noise(200 * 200 * 3);
  const ImageView image{pixels.data(), 200, 200, 3};
  const Landmarks face{130, 80, 112, 82, 70, 80, 88, 82, 100, 115};
  for (const std::ptrdiff_t size : {1, 8, 64, 140, 301}) {
    std::vector<std::uint8_t> chip(static_cast<std::size_t>(size * size * 3) + 1, 77);
    extract_chip(image, face, {size, 0.4}, chip.data());
    CHECK(chip.back() == 77);
  }
  std::vector<std::uint8_t> outside(64 * 64 * 3, 77);
  Landmarks far = face;
  for (auto& value : far) value += 5000;
  extract_chip(image, far, {64, 0.4}, outside.data());
  for (const auto byte : outside) CHECK(byte == 0);

  std::uint8_t* nowhere = nullptr;
  CHECK_THROWS(std::invalid_argument, extract_chip(image, Landmarks{}, {64, 0.4}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip(image, face, {0, 0.4}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip(image, face, {64, -0.1}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip({pixels.data(), 200, 200, 1}, face, {64, 0.4}, nowhere));
}

void test_preprocess() {
  PreprocessOptions options;
  options.crop = {0, 0, 4, 4};
  options.size = 2;
  options.mean = {1, 2, 3};
  options.scale = {1, 2, 4};
  options.bgr = true;
  std::vector<std::uint8_t> chip(4 * 4 * 3);
  for (std::size_t i = 0; i < chip.size(); ++i) chip[i] = static_cast<std::uint8_t>(10 * (i % 3) + (i / 3) % 4);
  std::vector<float> out(2 * 2 * 3);
  Preprocessor(4, options)(chip.data(), out.data());
  // Columns 0, 1 average to 0.5 and columns 2, 3 to 2.5, on top of 0, 10, 20 for red, green, blue.
  CHECK(out[0] == (20.5f - 1) * 1 && out[1] == (10.5f - 2) * 2 && out[2] == (0.5f - 3) * 4);
  CHECK(out[3] == (22.5f - 1) * 1 && out[4] == (12.5f - 2) * 2 && out[5] == (2.5f - 3) * 4);

  options.channels_first = true;
  std::vector<float> planes(2 * 2 * 3);
  Preprocessor(4, options)(chip.data(), planes.data());
  for (std::size_t pixel = 0; pixel < 4; ++pixel)
    for (std::size_t channel = 0; channel < 3; ++channel)
      CHECK(planes[channel * 4 + pixel] == out[pixel * 3 + channel]);

  for (const auto& crop : std::vector<std::array<double, 4>>{{0, 0, 5, 4}, {-1, 0, 4, 4}, {2, 2, 2, 4}, {3, 0, 1, 4}}) {
    options.crop = crop;
    CHECK_THROWS(std::invalid_argument, Preprocessor(4, options));
  }
}

}  // namespace

int main() {
  test_detector_takes_any_size();
  test_detector_refuses();
  test_detector_on_threads();
  test_chips();
  test_preprocess();
  return test::report();
}
