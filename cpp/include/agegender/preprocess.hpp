// From a chip's bytes to a network's input.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "agegender/image.hpp"

namespace agegender {

struct PreprocessOptions {
  std::array<double, 4> crop{};  ///< part of the chip that the network sees: left, top, right, bottom in pixels
  std::ptrdiff_t size = 0;       ///< width and height of the network's input, pixels
  std::array<float, 3> mean{};   ///< taken off each channel, in grey levels 0..255, in the order of the output
  std::array<float, 3> scale{};  ///< then multiplied with, in the order of the output
  bool bgr = false;              ///< the output's channels: blue, green, red instead of red, green, blue
  bool channels_first = false;   ///< (3, size, size) instead of (size, size, 3)
};

/// Throws std::invalid_argument when the crop is empty or leaves a chip of that size, or a size is not positive.
void check(std::ptrdiff_t chip_size, const PreprocessOptions& options);

/// Crop, resize, reorder and normalise in one pass over the chip.
///
/// A chip larger than the input is averaged over each output pixel's area (what OpenCV calls INTER_AREA, here for
/// fractional crops too); a smaller one is interpolated bilinearly between pixel centres.
///
/// Thread safety: one object a thread; it holds scratch memory.
class Preprocessor {
 public:
  /// Throws std::invalid_argument as `check`.
  Preprocessor(std::ptrdiff_t chip_size, const PreprocessOptions& options);

  /// Requires: chip of chip_size x chip_size x 3 bytes, out of size x size x 3 floats.
  void operator()(const std::uint8_t* chip, float* out);

 private:
  /// One output pixel's share of the input pixels along an axis.
  struct Taps {
    std::vector<std::ptrdiff_t> first;   ///< first input pixel of each output pixel
    std::vector<std::ptrdiff_t> offset;  ///< where its weights begin in `weights`; one more than there are pixels
    std::vector<float> weights;          ///< they add up to 1 for each output pixel
  };
  static Taps make_taps(double begin, double end, std::ptrdiff_t output_size, std::ptrdiff_t input_size);

  std::ptrdiff_t chip_size_;
  PreprocessOptions options_;
  Taps columns_;
  Taps rows_;
  std::vector<float> row_;  ///< (chip_size, 3) and one more: a row that is resized along y only
};

}  // namespace agegender
