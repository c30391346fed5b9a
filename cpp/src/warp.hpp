// What a chip is made with: pictures of half the size, and bilinear interpolation, with dlib's pixels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd.hpp"

namespace agegender {

/// An RGB picture, or a part of one, whose rows are `step` bytes apart.
struct RgbView {
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t height = 0;  ///< pixels
  std::ptrdiff_t width = 0;   ///< pixels
  std::ptrdiff_t step = 0;
};

/// Where a pixel of the output lies in the input: x = (xx * column + xy * row) + x0, and y likewise.
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};

/// Half the size, as `dlib::pyramid_down<2>` has it: 5 x 5 pixels, weighted 1, 4, 6, 4, 1 along both axes.
class Halver {
 public:
  /// (height - 3) / 2 rows of (width - 3) / 2 pixels, in memory of `to`; nothing of a side of 8 pixels or less.
  RgbView operator()(const RgbView& image, simd::Buffer<std::uint8_t>& to);

 private:
  simd::Buffer<std::uint16_t> sum_;   ///< (width, 3): of five rows
  simd::Buffer<std::uint8_t> dense_;  ///< (width, 3): of five columns, too, at each pixel
};

/// Bilinear interpolation as in `dlib::transform_image` and `dlib::interpolate_bilinear`: black where the four
/// neighbours are not all inside; products and sums in double, in the same order, truncated to bytes.
class BilinearWarp {
 public:
  /// Writes size x size x 3 bytes.
  void operator()(const RgbView& image, const Affine& to_image, std::ptrdiff_t size, std::uint8_t* chip);

 private:
  simd::Buffer<double> column_x_, column_y_;  ///< (size,): of each column, the part that is the same in all rows
  simd::Buffer<double> x_, y_;                ///< (size,): of a row's pixels; then how far from their neighbours
  simd::Buffer<std::ptrdiff_t> first_;        ///< (size,): byte of the neighbour above to the left

  void interpolate_row(const RgbView& image, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint8_t* chip) const;
};

}  // namespace agegender
