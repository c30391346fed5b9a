// Smaller pictures. The comparison with OpenCV and a plain reference is in tests/core, in Python.
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "agegender/resize.hpp"
#include "check.hpp"
#include "noise.hpp"

namespace agegender {
namespace {

using test::noise;

void test_every_size_stays_in_its_memory() {
  const auto pixels = noise(37 * 41 * 3);
  const ImageView image{pixels.data(), 37, 41, 3};
  for (const Region& part : {Region{0, 0, 41, 37}, Region{5, 2, 6, 37}, Region{40, 36, 41, 37}, Region{3, 1, 30, 20}}) {
    for (std::ptrdiff_t width = 1; width <= part.right - part.left; ++width) {
      const std::ptrdiff_t height = std::min(width, part.bottom - part.top);
      std::vector<std::uint8_t> out(static_cast<std::size_t>(width * height * 3) + 1, 77);
      shrink(image, part, width, height, out.data());
      CHECK(out.back() == 77);
    }
  }
}

void test_the_same_size_is_the_same_picture() {
  const auto pixels = noise(20 * 30 * 3);
  std::vector<std::uint8_t> out(pixels.size());
  shrink({pixels.data(), 20, 30, 3}, {0, 0, 30, 20}, 30, 20, out.data());
  CHECK(out == pixels);
}

void test_one_colour_stays() {
  for (const int level : {0, 1, 127, 254, 255}) {
    const std::vector<std::uint8_t> pixels(50 * 70 * 3, static_cast<std::uint8_t>(level));
    for (const std::ptrdiff_t size : {3, 7, 16, 33, 49}) {
      std::vector<std::uint8_t> out(static_cast<std::size_t>(size * size * 3));
      shrink({pixels.data(), 50, 70, 3}, {0, 0, 70, 50}, size, size, out.data());
      CHECK(std::all_of(out.begin(), out.end(), [&](std::uint8_t value) { return value == level; }));
    }
  }
}

void test_refuses() {
  const auto pixels = noise(10 * 10 * 3);
  const ImageView image{pixels.data(), 10, 10, 3};
  std::uint8_t* nowhere = nullptr;
  CHECK_THROWS(std::invalid_argument, shrink({pixels.data(), 10, 10, 1}, {0, 0, 10, 10}, 5, 5, nowhere));
  CHECK_THROWS(std::invalid_argument, shrink(image, {0, 0, 11, 10}, 5, 5, nowhere));
  CHECK_THROWS(std::invalid_argument, shrink(image, {0, -1, 10, 10}, 5, 5, nowhere));
  CHECK_THROWS(std::invalid_argument, shrink(image, {4, 0, 4, 10}, 1, 5, nowhere));
  CHECK_THROWS(std::invalid_argument, shrink(image, {0, 0, 10, 10}, 11, 5, nowhere));
  CHECK_THROWS(std::invalid_argument, shrink(image, {0, 0, 10, 10}, 5, 0, nowhere));
}

}  // namespace
}  // namespace agegender

int main() {
  agegender::test_every_size_stays_in_its_memory();
  agegender::test_the_same_size_is_the_same_picture();
  agegender::test_one_colour_stays();
  agegender::test_refuses();
  return agegender::test::report();
}
