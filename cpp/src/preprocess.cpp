#include "agegender/preprocess.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "simd.hpp"

namespace agegender {

void check(std::ptrdiff_t chip_size, const PreprocessOptions& options) {
  const double side = static_cast<double>(chip_size);
  const auto& [left, top, right, bottom] = options.crop;
  if (chip_size < 1 || options.size < 1)
    throw std::invalid_argument("chips and input must have at least one pixel, got " + std::to_string(chip_size) +
                                " and " + std::to_string(options.size));
  // Crops are computed from margins: a rounding error past the edge is no mistake of the caller's.
  const double slack = 1e-6;
  if (!(left >= -slack && top >= -slack && right <= side + slack && bottom <= side + slack && right - left > slack &&
        bottom - top > slack))
    throw std::invalid_argument("crop must be left, top, right, bottom inside a chip of " + std::to_string(chip_size) +
                                " pixels, got " + std::to_string(left) + ", " + std::to_string(top) + ", " +
                                std::to_string(right) + ", " + std::to_string(bottom));
}

Preprocessor::Taps Preprocessor::make_taps(double begin, double end, std::ptrdiff_t output_size,
                                           std::ptrdiff_t input_size) {
  Taps taps;
  taps.offset.push_back(0);
  const double step = (end - begin) / static_cast<double>(output_size);
  for (std::ptrdiff_t i = 0; i < output_size; ++i) {
    const double left = begin + step * static_cast<double>(i), right = left + step;
    std::ptrdiff_t first, last;
    if (step >= 1) {
      first = static_cast<std::ptrdiff_t>(std::floor(left));
      last = std::min(static_cast<std::ptrdiff_t>(std::ceil(right - 1e-9)), input_size) - 1;
      first = std::clamp<std::ptrdiff_t>(first, 0, last);
      for (std::ptrdiff_t k = first; k <= last; ++k) {
        const double pixel = static_cast<double>(k);
        const double covered = std::max(0.0, std::min(right, pixel + 1) - std::max(left, pixel));
        taps.weights.push_back(static_cast<float>(covered / step));
      }
    } else {
      const double last_pixel = static_cast<double>(input_size - 1);
      const double centre = std::clamp((left + right) / 2 - 0.5, 0.0, last_pixel);
      first = std::min(static_cast<std::ptrdiff_t>(centre), std::max<std::ptrdiff_t>(input_size - 2, 0));
      const double share = centre - static_cast<double>(first);
      taps.weights.push_back(static_cast<float>(1 - share));
      if (input_size > 1) taps.weights.push_back(static_cast<float>(share));
    }
    taps.first.push_back(first);
    taps.offset.push_back(static_cast<std::ptrdiff_t>(taps.weights.size()));
  }
  return taps;
}

Preprocessor::Preprocessor(std::ptrdiff_t chip_size, const PreprocessOptions& options)
    : chip_size_(chip_size), options_(options) {
  check(chip_size, options);
  const double side = static_cast<double>(chip_size);
  const auto& [left, top, right, bottom] = options.crop;
  columns_ = make_taps(std::max(left, 0.0), std::min(right, side), options.size, chip_size);
  rows_ = make_taps(std::max(top, 0.0), std::min(bottom, side), options.size, chip_size);
  row_.resize(static_cast<std::size_t>(chip_size * 3 + 1));
}

void Preprocessor::operator()(const std::uint8_t* chip, float* out) {
  using simd::FourFloats;
  const std::ptrdiff_t size = options_.size;
  const auto index = [](std::ptrdiff_t i) { return static_cast<std::size_t>(i); };
  const std::ptrdiff_t begin = columns_.first.front() * 3;
  const std::ptrdiff_t end = (columns_.first.back() + columns_.offset.back() - columns_.offset[index(size - 1)]) * 3;
  // In the chip's order of channels.
  std::array<float, 4> means{}, scales{};
  for (std::size_t channel = 0; channel < 3; ++channel) {
    means[options_.bgr ? 2 - channel : channel] = options_.mean[channel];
    scales[options_.bgr ? 2 - channel : channel] = options_.scale[channel];
  }
  const FourFloats mean = simd::load<FourFloats>(means.data()), scale = simd::load<FourFloats>(scales.data());
  const std::ptrdiff_t red = options_.bgr ? 2 : 0, blue = 2 - red;
  const std::ptrdiff_t plane = options_.channels_first ? size * size : 1, step = options_.channels_first ? 1 : 3;

  // Along y first, where neighbours in memory are summed alike; then each pixel's channels along x together.
  for (std::ptrdiff_t y = 0; y < size; ++y) {
    float* const row = row_.data();
    std::fill(row + begin, row + end, 0.0f);
    const std::ptrdiff_t taps = rows_.offset[index(y) + 1] - rows_.offset[index(y)];
    for (std::ptrdiff_t k = 0; k < taps; ++k) {
      const float weight = rows_.weights[index(rows_.offset[index(y)] + k)];
      const std::uint8_t* from = chip + (rows_.first[index(y)] + k) * chip_size_ * 3;
      for (std::ptrdiff_t i = begin; i < end; ++i) row[i] += weight * static_cast<float>(from[i]);
    }
    float* to = out + y * size * step;
    for (std::ptrdiff_t x = 0; x < size; ++x, to += step) {
      const float* weight = columns_.weights.data() + columns_.offset[index(x)];
      const float* const last = columns_.weights.data() + columns_.offset[index(x) + 1];
      const float* pixel = row + columns_.first[index(x)] * 3;
      FourFloats sum{};
      for (; weight != last; ++weight, pixel += 3) sum += *weight * simd::load<FourFloats>(pixel);
      std::array<float, 4> channels;
      simd::store(channels.data(), (sum - mean) * scale);
      to[red * plane] = channels[0];
      to[plane] = channels[1];
      to[blue * plane] = channels[2];
    }
  }
}

}  // namespace agegender
