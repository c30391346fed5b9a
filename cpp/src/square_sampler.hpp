// Samples a chip at the pixels of another picture: each is the mean over a square.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "simd.hpp"

namespace agegender {

/// A pixel at work is four numbers, of which the last one is unused: then it lies in one register, or in half of one.
constexpr int kPixel = 4;

inline std::size_t index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

/// From x, y and 1 to x, y: two rows of three.
using Affine = std::array<double, 6>;

/// Gives the new picture row by row. Holds scratch memory: one object a thread.
class SquareSampler {
 public:
  /// A new picture of `size` pixels a side. `from`: from positions in it to those in the chip; `side`: of the squares
  /// there, at least 1; all in pixels. Beyond its edges a chip is continued by its mirror image.
  ///
  /// Throws std::invalid_argument if the part of the chip that is needed is too large.
  void begin(const std::uint8_t* chip, std::ptrdiff_t chip_size, const Affine& from, double side, std::ptrdiff_t size);

  /// Pixels `from` to `to` of row `y` of the new picture, four grey levels each, to their places in `out`.
  void row(std::ptrdiff_t y, std::ptrdiff_t from, std::ptrdiff_t to, float* out);

 private:
#if defined(__GNUC__) && defined(__AVX2__)
  /// So many pixels of a row are summed at a time, with shares of 16 bits: two neighbours' beside each other.
  static constexpr int kTogether = 4;
  using Shares = std::int32_t;
#else
  static constexpr int kTogether = 1;
  using Shares = float;
#endif

  double edge(std::size_t row, std::ptrdiff_t y) const;
  void place();
  void fill(const std::uint8_t* chip, std::ptrdiff_t chip_size);
  template <int kRows>
  void sum_squares(std::ptrdiff_t begin, std::ptrdiff_t end, float* out) const;

  Affine from_{};
  double side_ = 1;
  std::ptrdiff_t size_ = 0;
  int rows_ = 0, groups_ = 0;

  // The part of the chip that is sampled: channels less 128, so that they are signed.
  std::ptrdiff_t left_ = 0, top_ = 0, width_ = 0, height_ = 0;  // pixels, in the chip
  simd::Buffer<std::int8_t> pixels_;
  std::vector<std::ptrdiff_t> chip_columns_;  // offset of each column in the chip's rows, bytes

  // Where the squares of a row's pixels begin, and the shares that their pixels have.
  simd::Buffer<std::int32_t> corner_;          // offset of the first pixel, bytes
  simd::Buffer<float> across_, behind_;        // how far the edges lie behind those of that pixel, in x and y, pixels
  simd::Buffer<Shares> columns_, row_shares_;  // one behind the other, each with `size_` of them
};

}  // namespace agegender
