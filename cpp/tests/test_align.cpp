// Chips. The comparison with dlib's own is in tests/core, in Python.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "agegender/align.hpp"
#include "check.hpp"
#include "noise.hpp"

namespace agegender {
namespace {

using test::noise;

/// An upright face of so many pixels around a point, turned.
Landmarks face_at(double x, double y, double side, double angle) {
  constexpr double kFace[5][2] = {{0.36, -0.29}, {0.15, -0.27}, {-0.38, -0.29}, {-0.17, -0.27}, {0.0, 0.13}};
  Landmarks landmarks{};
  for (std::size_t i = 0; i < 5; ++i) {
    const double across = kFace[i][0] * side, down = kFace[i][1] * side;
    landmarks[2 * i] = static_cast<float>(x + std::cos(angle) * across - std::sin(angle) * down);
    landmarks[2 * i + 1] = static_cast<float>(y + std::sin(angle) * across + std::cos(angle) * down);
  }
  return landmarks;
}

std::vector<std::uint8_t> chip_of(const ImageView& image, const Landmarks& landmarks, const ChipOptions& options) {
  std::vector<std::uint8_t> chip(static_cast<std::size_t>(options.size * options.size * 3) + 1, 77);
  extract_chip(image, landmarks, options, chip.data());
  CHECK(chip.back() == 77);
  chip.pop_back();
  return chip;
}

/// Faces of all sizes, all over a picture and beyond its edges, at each side of a chip.
void test_stays_in_its_memory() {
  for (const std::ptrdiff_t width : {1, 2, 9, 40, 67}) {
    const std::ptrdiff_t height = 50;
    const auto pixels = noise(static_cast<std::size_t>(height * width * 3));
    const ImageView image{pixels.data(), height, width, 3};
    for (const double side : {5.0, 12.0, 30.0, 90.0, 400.0})
      for (const std::ptrdiff_t size : {1, 2, 8, 33})
        for (int step = 0; step < 25; ++step) {
          const double x = static_cast<double>(width) * (step % 5 - 0.5) / 4, y = 50.0 * (step / 5 - 0.5) / 4;
          chip_of(image, face_at(x, y, side, step), {size, 0.4});
        }
  }
}

void test_one_colour_stays() {
  const std::vector<std::uint8_t> pixels(300 * 400 * 3, 200);
  const ImageView image{pixels.data(), 300, 400, 3};
  for (const double side : {30.0, 60.0, 120.0}) {
    const auto chip = chip_of(image, face_at(200, 150, side, 0.1), {64, 0.1});
    // Weights that add up to one but for their last bit are truncated, as in dlib.
    CHECK(std::all_of(chip.begin(), chip.end(), [](std::uint8_t value) { return value == 200 || value == 199; }));
  }
}

void test_black_outside() {
  const std::vector<std::uint8_t> pixels(50 * 50 * 3, 200);
  const auto chip = chip_of({pixels.data(), 50, 50, 3}, face_at(500, 500, 30, 0.1), {64, 0.4});
  CHECK(std::all_of(chip.begin(), chip.end(), [](std::uint8_t value) { return value == 0; }));
}

/// What is prepared for a size is not used for another.
void test_sizes_by_turns() {
  const auto pixels = noise(90 * 90 * 3);
  const ImageView image{pixels.data(), 90, 90, 3};
  const auto face = face_at(45, 45, 40, 0.2);
  const auto first = chip_of(image, face, {60, 0.4}), second = chip_of(image, face, {61, 0.4});
  const auto third = chip_of(image, face, {60, 0.3});
  CHECK(first != third);
  CHECK(chip_of(image, face, {61, 0.4}) == second);
  CHECK(chip_of(image, face, {60, 0.4}) == first);
  CHECK(chip_of(image, face, {60, 0.3}) == third);
}

void test_refuses() {
  const auto pixels = noise(30 * 30 * 3);
  const ImageView image{pixels.data(), 30, 30, 3};
  const auto face = face_at(15, 15, 10, 0);
  std::uint8_t* nowhere = nullptr;
  CHECK_THROWS(std::invalid_argument, extract_chip({pixels.data(), 30, 30, 1}, face, {}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip({pixels.data(), 0, 30, 3}, face, {}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip(image, face, {0, 0.4}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip(image, face, {4097, 0.4}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip(image, face, {140, -0.1}, nowhere));
  CHECK_THROWS(std::invalid_argument, extract_chip(image, Landmarks{}, {}, nowhere));
  auto lost = face;
  lost[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS(std::invalid_argument, extract_chip(image, lost, {}, nowhere));
}

}  // namespace
}  // namespace agegender

int main() {
  agegender::test_stays_in_its_memory();
  agegender::test_one_colour_stays();
  agegender::test_black_outside();
  agegender::test_sizes_by_turns();
  agegender::test_refuses();
  return agegender::test::report();
}
