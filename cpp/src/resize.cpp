#include "agegender/resize.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

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

/// The same number of taps for all output pixels, which a loop runs through without guessing when it ends; those that
/// are too many weigh nothing.
struct EvenTaps {
  std::ptrdiff_t count = 0;
  std::vector<std::ptrdiff_t> first;
  std::vector<float> weights;

  void even_out(const Taps& taps, std::ptrdiff_t input_size) {
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(taps.first.size());
    count = 0;
    for (std::ptrdiff_t i = 0; i < size; ++i)
      count = std::max(count, taps.offset[index(i) + 1] - taps.offset[index(i)]);
    first.clear();
    weights.assign(index(size * count), 0.0f);
    for (std::ptrdiff_t i = 0; i < size; ++i) {
      const std::ptrdiff_t begin = std::min(taps.first[index(i)], input_size - count);
      const float* from = taps.weights.data() + taps.offset[index(i)];
      std::copy(from, taps.weights.data() + taps.offset[index(i) + 1],
                weights.data() + i * count + (taps.first[index(i)] - begin));
      first.push_back(begin);
    }
  }
};

/// The weighted sum of `taps` rows, each `step` bytes below the one before.
void sum_rows(const std::uint8_t* from, std::ptrdiff_t step, const float* weights, std::ptrdiff_t taps,
              std::ptrdiff_t count, float* sum) {
  // Two rows at a time, since the sum is read and written each time.
  if (taps % 2 == 1) {
    const float weight = *weights++;
    for (std::ptrdiff_t i = 0; i < count; ++i) sum[i] = weight * static_cast<float>(from[i]);
    from += step;
  } else {
    std::fill_n(sum, count, 0.0f);
  }
  for (; taps >= 2; taps -= 2, weights += 2, from += 2 * step) {
    const std::uint8_t* below = from + step;
    const float weight = weights[0], next = weights[1];
    for (std::ptrdiff_t i = 0; i < count; ++i)
      sum[i] += weight * static_cast<float>(from[i]) + next * static_cast<float>(below[i]);
  }
}

/// Each output pixel's weighted sum of pixels of `row`, (n, 3), as (width, 4) floats; `half` is added, so that cutting
/// off rounds. `kCount` is `taps.count` where the compiler can know it, otherwise 0.
template <std::ptrdiff_t kCount>
void sum_columns(const float* row, const EvenTaps& taps, std::ptrdiff_t width, float* wide) {
  const FourFloats half = simd::splat_four(0.5f);
  const std::ptrdiff_t count = kCount > 0 ? kCount : taps.count;
  const std::ptrdiff_t* first = taps.first.data();
  const float* weight = taps.weights.data();
  for (std::ptrdiff_t x = 0; x < width; ++x, weight += count) {
    const float* pixel = row + first[x] * 3;
    FourFloats sum = half;
    for (std::ptrdiff_t k = 0; k < count; ++k) sum += weight[k] * simd::load<FourFloats>(pixel + 3 * k);
    simd::store(wide + 4 * x, sum);
  }
}

void to_bytes(const float* from, std::ptrdiff_t count, std::uint8_t* to) {
  for (std::ptrdiff_t i = 0; i < count; ++i) to[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(from[i]));
}

/// Memory of a thread.
struct Shrinker {
  Taps columns, rows;
  EvenTaps across;
  simd::Buffer<float> row;   ///< (part's width, 3) and one more: summed along y only
  simd::Buffer<float> wide;  ///< (width, 4), a multiple of four pixels: summed along both
  simd::Buffer<float> line;  ///< (width, 3), a multiple of four pixels

  void run(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height, std::uint8_t* out) {
    const std::ptrdiff_t part_width = part.right - part.left, part_height = part.bottom - part.top;
    columns.divide(0, static_cast<double>(part_width), width, part_width);
    rows.divide(0, static_cast<double>(part_height), height, part_height);
    across.even_out(columns, part_width);
    const std::ptrdiff_t padded = (width + 3) / 4 * 4, step = image.width * 3;
    simd::at_least(row, index(part_width * 3 + 1));
    simd::at_least(wide, index(padded * 4));
    simd::at_least(line, index(padded * 3));
    const auto sum = across.count == 2   ? &sum_columns<2>
                     : across.count == 3 ? &sum_columns<3>
                     : across.count == 4 ? &sum_columns<4>
                                         : &sum_columns<0>;
    const std::uint8_t* corner = image.data + part.top * step + part.left * 3;
    for (std::ptrdiff_t y = 0; y < height; ++y, out += width * 3) {
      const std::ptrdiff_t begin = rows.offset[index(y)], taps = rows.offset[index(y) + 1] - begin;
      sum_rows(corner + rows.first[index(y)] * step, step, rows.weights.data() + begin, taps, part_width * 3,
               row.data());
      sum(row.data(), across, width, wide.data());
      for (std::ptrdiff_t x = 0; x < padded; x += 4)
        simd::store_without_fourths(line.data() + 3 * x, wide.data() + 4 * x);
      to_bytes(line.data(), width * 3, out);
    }
  }
};

}  // namespace

void Taps::divide(double begin, double end, std::ptrdiff_t output_size, std::ptrdiff_t input_size) {
  first.clear();
  weights.clear();
  offset.assign(1, 0);
  const double step = (end - begin) / static_cast<double>(output_size);
  for (std::ptrdiff_t i = 0; i < output_size; ++i) {
    const double left = begin + step * static_cast<double>(i), right = left + step;
    std::ptrdiff_t from, last;
    if (step >= 1) {
      from = static_cast<std::ptrdiff_t>(std::floor(left));
      last = std::min(static_cast<std::ptrdiff_t>(std::ceil(right - 1e-9)), input_size) - 1;
      from = std::clamp<std::ptrdiff_t>(from, 0, last);
      for (std::ptrdiff_t k = from; k <= last; ++k) {
        const double pixel = static_cast<double>(k);
        const double covered = std::max(0.0, std::min(right, pixel + 1) - std::max(left, pixel));
        weights.push_back(static_cast<float>(covered / step));
      }
    } else {
      const double last_pixel = static_cast<double>(input_size - 1);
      const double centre = std::clamp((left + right) / 2 - 0.5, 0.0, last_pixel);
      from = std::min(static_cast<std::ptrdiff_t>(centre), std::max<std::ptrdiff_t>(input_size - 2, 0));
      const double share = centre - static_cast<double>(from);
      weights.push_back(static_cast<float>(1 - share));
      if (input_size > 1) weights.push_back(static_cast<float>(share));
    }
    first.push_back(from);
    offset.push_back(static_cast<std::ptrdiff_t>(weights.size()));
  }
}

void shrink(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height,
            std::uint8_t* out) {
  check(image, part, width, height);
  static thread_local Shrinker shrinker;
  shrinker.run(image, part, width, height, out);
}

}  // namespace agegender
