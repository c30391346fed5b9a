// Changed faces: memory at every size, what is refused, and threads. That they are what they should be is tested from
// Python, beside a plain reference.
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "agegender/augment.hpp"
#include "check.hpp"

using namespace agegender;

namespace {

/// Random numbers of a fixed sequence.
class Dice {
 public:
  double operator()(double from, double to) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return from + (to - from) * static_cast<double>(state_ >> 40) / static_cast<double>(1u << 24);
  }
  float real(double from, double to) { return static_cast<float>((*this)(from, to)); }

 private:
  std::uint64_t state_ = 1;
};

std::vector<std::uint8_t> noise(Dice& dice, std::ptrdiff_t size) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size * size * 3));
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(dice(0, 256));
  return bytes;
}

ChipChange any_change(Dice& dice) {
  ChipChange change;
  for (auto& value : change.warp) value = dice.real(-2, 2);
  for (auto& value : change.colours) value = dice.real(-1.5, 1.5);
  change.detail = dice(0, 1) < 0.5 ? 1 : dice.real(0.01, 1);
  for (auto& value : change.covered) value = dice.real(-0.5, 1.5);
  if (dice(0, 1) < 0.5) change.kept = {dice.real(0, 0.4), dice.real(0, 0.4), dice.real(0.5, 1), dice.real(0.5, 1)};
  return change;
}

PreprocessOptions whole_chip(std::ptrdiff_t chip_size, std::ptrdiff_t size) {
  PreprocessOptions options;
  const auto side = static_cast<double>(chip_size);
  options.crop = {0, 0, side, side};
  options.size = size;
  options.scale = {1, 1, 1};
  return options;
}

void test_any_size() {
  Dice dice;
  for (const std::ptrdiff_t chip_size : {1, 2, 3, 5, 16, 37})
    for (const std::ptrdiff_t size : {1, 2, 3, 7, 16, 40}) {
      auto options = whole_chip(chip_size, size);
      // The chips end where their memory ends, so that a read past them is seen.
      const auto chip = noise(dice, chip_size), other = noise(dice, chip_size);
      Augmenter augmenter(chip_size, options);
      options.channels_first = true;
      Augmenter planar(chip_size, options);
      for (int i = 0; i < 40; ++i) {
        const auto change = any_change(dice);
        const auto* behind = i % 2 ? other.data() : nullptr;
        std::vector<float> out(static_cast<std::size_t>(size * size * 3)), planes(out.size());
        augmenter(chip.data(), change, behind, out.data());
        for (const float value : out) CHECK(value >= -0.1f && value <= 255.1f);
        planar(chip.data(), change, behind, planes.data());
        for (std::size_t pixel = 0; pixel < out.size() / 3; ++pixel)
          for (std::size_t channel = 0; channel < 3; ++channel)
            CHECK(planes[channel * out.size() / 3 + pixel] == out[pixel * 3 + channel]);
      }
    }
}

void test_without_changes() {
  Dice dice;
  for (const std::ptrdiff_t size : {24, 60, 96, 140}) {
    const auto chip = noise(dice, 60);
    const auto options = whole_chip(60, size);
    std::vector<float> changed(static_cast<std::size_t>(size * size * 3)), plain(changed.size());
    Augmenter(60, options)(chip.data(), ChipChange(), nullptr, changed.data());
    Preprocessor(60, options)(chip.data(), plain.data());
    for (std::size_t i = 0; i < plain.size(); ++i) CHECK(std::fabs(changed[i] - plain[i]) < 0.1f);
  }
}

void test_threads() {
  Dice dice;
  const auto options = whole_chip(20, 16);
  const std::size_t count = 50, length = 16 * 16 * 3;
  std::vector<std::vector<std::uint8_t>> faces;
  std::vector<const std::uint8_t*> chips, others;
  std::vector<ChipChange> changes;
  for (std::size_t i = 0; i < count; ++i) faces.push_back(noise(dice, 20));
  for (std::size_t i = 0; i < count; ++i) {
    chips.push_back(faces[i].data());
    others.push_back(i % 3 ? nullptr : faces[count - 1 - i].data());
    changes.push_back(any_change(dice));
  }
  std::vector<float> one(count * length);
  augment(20, options, 50, chips.data(), changes.data(), others.data(), one.data(), 1);
  for (const int threads : {2, 7, 64}) {
    std::vector<float> several(one.size());
    augment(20, options, 50, chips.data(), changes.data(), others.data(), several.data(), threads);
    CHECK(several == one);
  }
  augment(20, options, 0, nullptr, nullptr, nullptr, nullptr, 4);
}

void test_refuses() {
  auto options = whole_chip(20, 16);
  const float infinite = std::numeric_limits<float>::infinity();
  ChipChange change;
  check(change);
  change.warp[2] = infinite;
  CHECK_THROWS(std::invalid_argument, check(change));
  change.warp[2] = 8.5f;
  CHECK_THROWS(std::invalid_argument, check(change));
  change = ChipChange();
  change.kept[3] = std::nanf("");
  CHECK_THROWS(std::invalid_argument, check(change));
  for (const float detail : {0.0f, -1.0f, 1.1f, std::nanf("")}) {
    change = ChipChange();
    change.detail = detail;
    CHECK_THROWS(std::invalid_argument, check(change));
  }
  CHECK_THROWS(std::invalid_argument, augment(20, options, 0, nullptr, nullptr, nullptr, nullptr, 0));
  options.crop = {0, 0, 20, 10};
  CHECK_THROWS(std::invalid_argument, Augmenter(20, options));
  options.crop = {0, 0, 21, 21};
  CHECK_THROWS(std::invalid_argument, Augmenter(20, options));
}

}  // namespace

int main() {
  test_any_size();
  test_without_changes();
  test_threads();
  test_refuses();
  return test::report();
}
