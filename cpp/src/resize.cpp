#include "agegender/resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "simd.hpp"

namespace agegender {
namespace {

using simd::FourFloats;

std::size_t index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

void check(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height) {
  const auto text = [](std::ptrdiff_t number) { return std::to_string(number); };
  if (image.channels != 3) throw std::invalid_argument("image must have 3 channels (RGB), got " + text(image.channels));
  if (part.left < 0 || part.top < 0 || part.right > image.width || part.bottom > image.height ||
      part.left >= part.right || part.top >= part.bottom)
    throw std::invalid_argument("part must be left, top, right, bottom inside an image of " + text(image.width) +
                                " x " + text(image.height) + " pixels, got " + text(part.left) + ", " + text(part.top) +
                                ", " + text(part.right) + ", " + text(part.bottom));
  if (width < 1 || height < 1 || width > part.right - part.left || height > part.bottom - part.top)
    throw std::invalid_argument("out must have at least one pixel and no more than the part, got " + text(width) +
                                " x " + text(height));
}

/// What OpenCV's `computeResizeAreaTab` gives, which `Preprocessor` has no need to follow: the weights of the pixels in
/// each output pixel's share of an axis, where less than a thousandth of a pixel counts as none. All output pixels have
/// the same number of them, which a loop runs through without guessing when it ends; those that are too many weigh
/// nothing.
struct AreaTaps {
  std::ptrdiff_t count = 0;
  std::vector<std::ptrdiff_t> first;
  std::vector<float> weights;

  void divide(std::ptrdiff_t input_size, std::ptrdiff_t output_size) {
    const double inputs = static_cast<double>(input_size);
    const double step = 1 / (static_cast<double>(output_size) / inputs);
    count = std::min(static_cast<std::ptrdiff_t>(std::ceil(step)) + 1, input_size);
    first.clear();
    weights.assign(index(output_size * count), 0.0f);
    float* to = weights.data();
    for (std::ptrdiff_t i = 0; i < output_size; ++i, to += count) {
      const double left = static_cast<double>(i) * step, right = left + step, share = std::min(step, inputs - left);
      const std::ptrdiff_t end = std::min(static_cast<std::ptrdiff_t>(std::floor(right)), input_size - 1);
      const std::ptrdiff_t begin = std::min(static_cast<std::ptrdiff_t>(std::ceil(left)), end);
      const double before = static_cast<double>(begin) - left, after = right - static_cast<double>(end);
      const std::ptrdiff_t from = std::min(before > 1e-3 ? begin - 1 : begin, input_size - count);
      first.push_back(from);
      if (before > 1e-3) to[begin - 1 - from] = static_cast<float>(before / share);
      for (std::ptrdiff_t k = begin; k < end; ++k) to[k - from] = static_cast<float>(1 / share);
      if (after > 1e-3) to[end - from] = static_cast<float>(std::min(std::min(after, 1.0), share) / share);
    }
  }
};

/// Each output pixel's weighted sum of pixels of `row`, (n, 3), as (width, 4) floats. `kCount` is `taps.count` where
/// the compiler can know it, otherwise 0.
template <std::ptrdiff_t kCount>
void sum_columns(const float* row, const AreaTaps& taps, std::ptrdiff_t width, float* wide) {
  const std::ptrdiff_t count = kCount > 0 ? kCount : taps.count;
  const std::ptrdiff_t* first = taps.first.data();
  const float* weight = taps.weights.data();
  for (std::ptrdiff_t x = 0; x < width; ++x, weight += count) {
    const float* pixel = row + first[x] * 3;
    FourFloats sum{};
    for (std::ptrdiff_t k = 0; k < count; ++k) sum += weight[k] * simd::load<FourFloats>(pixel + 3 * k);
    simd::store(wide + 4 * x, sum);
  }
}

void to_floats(const std::uint8_t* from, std::ptrdiff_t count, float* to) {
  for (std::ptrdiff_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

void add_row(float weight, const float* row, std::ptrdiff_t count, float* sum) {
  for (std::ptrdiff_t i = 0; i < count; ++i) sum[i] += weight * row[i];
}

/// Rounded to the nearest, halves to even as OpenCV does: with 1.5 * 2^23 added, a float's last bits are a whole
/// number.
void to_bytes(const float* from, std::ptrdiff_t count, std::uint8_t* to) {
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const float shifted = from[i] + 12582912.0f;
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    to[i] = static_cast<std::uint8_t>(bits);
  }
}

/// Memory of a thread.
struct Shrinker {
  AreaTaps columns, rows;
  simd::Buffer<float> row;   ///< (part's width, 3) and one more: of the picture
  simd::Buffer<float> wide;  ///< (width, 4): the same, summed along x
  simd::Buffer<float> sum;   ///< (width, 4), a multiple of four pixels: summed along both
  simd::Buffer<float> line;  ///< (width, 3), a multiple of four pixels

  /// The products and sums of OpenCV's `ResizeArea_Invoker` in its order: along x first.
  void run(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height, std::uint8_t* out) {
    const std::ptrdiff_t part_width = part.right - part.left;
    columns.divide(part_width, width);
    rows.divide(part.bottom - part.top, height);
    const std::ptrdiff_t padded = (width + 3) / 4 * 4, step = image.width * 3;
    simd::at_least(row, index(part_width * 3 + 1));
    simd::at_least(wide, index(padded * 4));
    simd::at_least(sum, index(padded * 4));
    simd::at_least(line, index(padded * 3));
    const auto sum_row = columns.count == 2   ? &sum_columns<2>
                         : columns.count == 3 ? &sum_columns<3>
                         : columns.count == 4 ? &sum_columns<4>
                                              : &sum_columns<0>;
    const std::uint8_t* corner = image.data + part.top * step + part.left * 3;
    std::ptrdiff_t in_wide = -1;
    for (std::ptrdiff_t y = 0; y < height; ++y, out += width * 3) {
      std::fill_n(sum.data(), width * 4, 0.0f);
      for (std::ptrdiff_t k = 0; k < rows.count; ++k) {
        const float weight = rows.weights[index(y * rows.count + k)];
        if (weight == 0) continue;
        const std::ptrdiff_t from = rows.first[index(y)] + k;
        if (from != in_wide) {  // the row before may have a share of this one
          to_floats(corner + from * step, part_width * 3, row.data());
          sum_row(row.data(), columns, width, wide.data());
          in_wide = from;
        }
        add_row(weight, wide.data(), width * 4, sum.data());
      }
      for (std::ptrdiff_t x = 0; x < padded; x += 4)
        simd::store_without_fourths(line.data() + 3 * x, sum.data() + 4 * x);
      to_bytes(line.data(), width * 3, out);
    }
  }
};

}  // namespace

void shrink(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height,
            std::uint8_t* out) {
  check(image, part, width, height);
  static thread_local Shrinker shrinker;
  shrinker.run(image, part, width, height, out);
}

}  // namespace agegender
