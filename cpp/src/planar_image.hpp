// Pictures as planes of bytes, and their bilinear resize.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agegender/image.hpp"
#include "simd.hpp"

namespace agegender {

/// One plane of bytes a channel. Each row has kSlack spare bytes behind it, so that vectors may reach past its end.
class PlanarImage {
 public:
  static constexpr int kSlack = 64;  ///< bytes

  int height = 0;    ///< pixels
  int width = 0;     ///< pixels
  int channels = 0;  ///< 1 or 3

  /// The pixels' values are left as they are: undefined.
  void reshape(int height, int width, int channels);
  /// Copies a picture of 1 or 3 interleaved channels.
  void assign(const ImageView& image);

  std::uint8_t* row(int channel, int y) { return bytes_.data() + offset(channel, y); }
  const std::uint8_t* row(int channel, int y) const { return bytes_.data() + offset(channel, y); }

 private:
  std::size_t offset(int channel, int y) const {
    return (static_cast<std::size_t>(channel) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) *
           stride_;
  }

  std::size_t stride_ = 0;  ///< bytes from row to row
  simd::Buffer<std::uint8_t> bytes_;
};

/// Bilinear interpolation that gives the bytes of `dlib::resize_image` (dlib/image_transforms/interpolation.h), which
/// `dlib::pyramid_down` and `dlib::pyramid_up` are made of. Its results are cut off, not rounded, to bytes, so a last
/// bit of a float decides: steps, their order and their precision are dlib's, and the file is built without fused
/// multiply-adds. Holds scratch memory: one object a thread.
class BilinearResizer {
 public:
  /// Fills `out`, whose shape says what is wanted; its channels must be those of `in`.
  void operator()(const PlanarImage& in, PlanarImage& out);

 private:
  void find_columns(int in_width, int out_width);
  void gather(const std::uint8_t* row, float* left, float* right) const;
  void blend(const PlanarImage& in, int top, int bottom, double down, int r, PlanarImage& out) const;

  int in_lanes_ = 0;                     ///< columns that dlib computes as floats; the rest as doubles
  bool near_ = false;                    ///< whether each 8 columns read from 16 bytes
  simd::Buffer<int> left_;               ///< (columns,) the pixel left of each column's place
  simd::Buffer<float> right_weight_;     ///< (in_lanes_,)
  simd::Buffer<float> left_weight_;      ///< (in_lanes_,)
  simd::Buffer<double> exact_weight_;    ///< (columns,) that of the right pixel, past in_lanes_
  simd::Buffer<std::uint8_t> shuffles_;  ///< 16 a group of 8 columns: its left pixels, its right ones
  simd::Buffer<float> gathered_;         ///< (2 rows, channels, 2 sides, columns)
};

}  // namespace agegender
