// Smaller pictures: each pixel is the mean over the area that it stands for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agegender/image.hpp"

namespace agegender {

/// Each output pixel's share of the input pixels along one axis.
struct Taps {
  std::vector<std::ptrdiff_t> first;   ///< first input pixel of each output pixel
  std::vector<std::ptrdiff_t> offset;  ///< where its weights begin in `weights`; one more than there are pixels
  std::vector<float> weights;          ///< they add up to 1 for each output pixel

  /// Divides [begin, end) of an axis of `input_size` pixels evenly among `output_size` pixels. With fewer output pixels
  /// each is the mean over its share, where a pixel that lies in it in part counts in part; with more they are
  /// interpolated linearly between pixel centres.
  void divide(double begin, double end, std::ptrdiff_t output_size, std::ptrdiff_t input_size);
};

/// A part of a picture in pixels; `right` and `bottom` no longer belong to it.
struct Region {
  std::ptrdiff_t left = 0, top = 0, right = 0, bottom = 0;
};

/// Part of an RGB picture at a smaller size: what OpenCV calls INTER_AREA, to within one grey level.
///
/// Requires: `image` with 3 channels; `out` of `height` x `width` x 3 bytes.
/// Throws std::invalid_argument when the part is empty or leaves the image, and when it is smaller than the output.
/// Thread safety: may be called from many threads at once; each keeps its scratch memory.
void shrink(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height, std::uint8_t* out);

}  // namespace agegender
