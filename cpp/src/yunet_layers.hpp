// The layers that YuNet is made of, a row at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "agegender/image.hpp"
#include "simd.hpp"

namespace agegender::yunet {

using simd::Buffer;

/// A row of a layer is (channels / kBlock, width, kBlock) floats.
constexpr std::ptrdiff_t kBlock = 8;
/// Channels that a pointwise convolution writes at a time.
constexpr std::ptrdiff_t kPair = 2 * kBlock;
constexpr std::ptrdiff_t kStemChannels = 16;

/// 3 x 3 filters over blue, green and red: weights (3, 3, 3, kStemChannels) by channel, row, column.
struct Stem {
  Buffer<float> weights, bias;
};

/// A convolution of 1 x 1, weights (out / kPair, in, kPair), and right after it one of 3 x 3 for each channel, weights
/// (out / kBlock, 9, kBlock).
struct Unit {
  std::ptrdiff_t in = 0, out = 0;
  bool rectified = true;
  Buffer<float> pointwise, pointwise_bias, depthwise, depthwise_bias;
};

/// Grey levels of `known` RGB pixels as planes of blue, green and red, and black up to `width`.
void split(const std::uint8_t* pixels, std::ptrdiff_t known, std::ptrdiff_t width,
           const std::array<float*, 3>& planes) noexcept;

/// A row of the picture, whose rows are `pitch` bytes apart, as planes of blue, green and red, each `width` + 1 floats
/// that begin with a black pixel. What lies outside the picture is black.
void pixel_row(const ImageView& picture, std::ptrdiff_t pitch, std::ptrdiff_t y, std::ptrdiff_t width,
               float* planes) noexcept;

/// Each second pixel of each second row. `rows`: three as `pixel_row` writes them; `width` of the row that comes out, a
/// multiple of 16.
void stem_row(const Stem& stem, const std::array<const float*, 3>& rows, std::ptrdiff_t width, float* out) noexcept;

/// The larger of each two pixels of both rows; `width` of the row that comes out.
void pool_rows(const float* upper, const float* lower, std::ptrdiff_t channels, std::ptrdiff_t width,
               float* out) noexcept;

/// A row of half the width, each pixel twice, and added to another row of `width` pixels.
void add_doubled(const float* coarse, const float* fine, std::ptrdiff_t channels, std::ptrdiff_t width,
                 float* out) noexcept;

/// A unit at work on some rows of its layer: keeps three rows between its convolutions, and two that come out.
class UnitRows {
 public:
  /// Takes memory for rows of so many pixels.
  void reserve(const Unit& unit, std::ptrdiff_t width);

  /// Rows from `first` on will be pushed, of a layer of `height` rows of the `width` that was reserved. `zeros`: as
  /// many as a row, with a pixel more on either side of each block.
  void start(std::ptrdiff_t first, std::ptrdiff_t height, const float* zeros) noexcept;

  /// The first row that comes out.
  std::ptrdiff_t first_out() const { return first_ == 0 ? 0 : first_ + 1; }

  /// Calls `emit(y, row)` for each row that is known now. It stays until the next but one.
  template <typename Emit>
  void push(const float* row, const Emit& emit) noexcept {
    const std::ptrdiff_t y = next_++;
    convolve_pixels(row, y);
    if (y > first_out()) emit(y - 1, convolve(y - 1));
    if (y == height_ - 1) emit(y, convolve(y));
  }

 private:
  void convolve_pixels(const float* row, std::ptrdiff_t y) noexcept;
  const float* convolve(std::ptrdiff_t y) noexcept;

  const Unit* unit_ = nullptr;
  const float* zeros_ = nullptr;
  std::ptrdiff_t first_ = 0, next_ = 0, height_ = 0, width_ = 0;
  Buffer<float> between_, out_;
};

/// Makes a row of each two.
class PoolRows {
 public:
  void reserve(std::ptrdiff_t channels, std::ptrdiff_t width) {
    channels_ = channels;
    width_ = width;
    simd::at_least(out_, static_cast<std::size_t>(channels * width));
  }
  void start() noexcept { upper_ = nullptr; }

  /// Rows in their order; calls `emit(row)` for each two of which the first is even. `row` must stay until the next.
  template <typename Emit>
  void push(std::ptrdiff_t y, const float* row, const Emit& emit) noexcept {
    if (y % 2 == 0) {
      upper_ = row;
    } else if (upper_ != nullptr) {
      pool_rows(upper_, row, channels_, width_, out_.data());
      emit(out_.data());
    }
  }

 private:
  const float* upper_ = nullptr;
  std::ptrdiff_t channels_ = 0, width_ = 0;  ///< of the rows that come out
  Buffer<float> out_;
};

}  // namespace agegender::yunet
