#include "agegender/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

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
  resized_rows_.resize(static_cast<std::size_t>(chip_size * options.size * 3));
  sum_.resize(static_cast<std::size_t>(options.size * 3));
}

void Preprocessor::operator()(const std::uint8_t* chip, float* out) {
  const std::ptrdiff_t size = options_.size, row_length = size * 3;
  const std::ptrdiff_t first_row = rows_.first.front();
  const auto index = [](std::ptrdiff_t i) { return static_cast<std::size_t>(i); };
  const std::ptrdiff_t end_row = rows_.first.back() + rows_.offset.back() - rows_.offset[index(size - 1)];

  for (std::ptrdiff_t y = first_row; y < end_row; ++y) {
    const std::uint8_t* row = chip + y * chip_size_ * 3;
    float* resized = resized_rows_.data() + y * row_length;
    for (std::ptrdiff_t x = 0; x < size; ++x) {
      const float* weight = columns_.weights.data() + columns_.offset[index(x)];
      const float* end = columns_.weights.data() + columns_.offset[index(x) + 1];
      const std::uint8_t* pixel = row + columns_.first[index(x)] * 3;
      float red = 0, green = 0, blue = 0;
      for (; weight != end; ++weight, pixel += 3) {
        red += *weight * static_cast<float>(pixel[0]);
        green += *weight * static_cast<float>(pixel[1]);
        blue += *weight * static_cast<float>(pixel[2]);
      }
      resized[3 * x] = red;
      resized[3 * x + 1] = green;
      resized[3 * x + 2] = blue;
    }
  }

  for (std::ptrdiff_t y = 0; y < size; ++y) {
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    const std::ptrdiff_t taps = rows_.offset[index(y) + 1] - rows_.offset[index(y)];
    for (std::ptrdiff_t k = 0; k < taps; ++k) {
      const float weight = rows_.weights[index(rows_.offset[index(y)] + k)];
      const float* resized = resized_rows_.data() + (rows_.first[index(y)] + k) * row_length;
      for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += weight * resized[i];
    }
    for (std::ptrdiff_t channel = 0; channel < 3; ++channel) {
      const std::ptrdiff_t source = options_.bgr ? 2 - channel : channel;
      const float mean = options_.mean[index(channel)], scale = options_.scale[index(channel)];
      float* target = options_.channels_first ? out + (channel * size + y) * size : out + y * row_length + channel;
      const std::ptrdiff_t stride = options_.channels_first ? 1 : 3;
      for (std::ptrdiff_t x = 0; x < size; ++x) target[x * stride] = (sum_[index(3 * x + source)] - mean) * scale;
    }
  }
}

}  // namespace agegender
