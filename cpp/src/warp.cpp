#include "warp.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__GNUC__) && defined(__AVX2__)
#define AGEGENDER_WIDE
#endif

namespace agegender {
namespace {

std::size_t index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

void sum_rows(const std::uint8_t* top, std::ptrdiff_t step, std::ptrdiff_t count, std::uint16_t* sum) {
  const std::uint8_t *a = top, *b = a + step, *c = b + step, *d = c + step, *e = d + step;
  for (std::ptrdiff_t i = 0; i < count; ++i)
    sum[i] = static_cast<std::uint16_t>(a[i] + 4 * (b[i] + d[i]) + 6 * c[i] + e[i]);
}

/// Of every pixel, though one in two would do: side by side they are summed many at a time.
void sum_columns(const std::uint16_t* from, std::ptrdiff_t count, std::uint8_t* to) {
  for (std::ptrdiff_t i = 0; i < count; ++i)
    to[i] = static_cast<std::uint8_t>(
        static_cast<std::uint16_t>(from[i] + 4 * (from[i + 3] + from[i + 9]) + 6 * from[i + 6] + from[i + 12]) >> 8);
}

#if defined(AGEGENDER_WIDE)
/// A pixel's channels; the fourth is of the byte behind it.
__m256d doubles(const std::uint8_t* pixel) {
  std::int32_t bytes;
  std::memcpy(&bytes, pixel, 4);
  return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
}

/// Each channel truncated to a byte.
std::uint32_t bytes(__m256d channels) {
  const __m128i cut = _mm256_cvttpd_epi32(channels);
  const __m128i packed = _mm_packs_epi32(cut, cut);
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_packus_epi16(packed, packed)));
}

/// All channels at once, which reads a byte behind the neighbours and writes one behind the pixel.
void interpolate_wide(const std::uint8_t* above, const std::uint8_t* below, double x, double y, std::uint8_t* to) {
  const __m256d right = _mm256_set1_pd(x), left = _mm256_set1_pd(1 - x);
  const __m256d upper = left * doubles(above) + right * doubles(above + 3);
  const __m256d lower = left * doubles(below) + right * doubles(below + 3);
  const std::uint32_t pixel = bytes(_mm256_set1_pd(1 - y) * upper + _mm256_set1_pd(y) * lower);
  std::memcpy(to, &pixel, 4);
}
#endif

/// Each byte as a double: a load is cheaper than a conversion, of which a pixel takes twelve.
const std::array<double, 256>& doubles_of_bytes() {
  static const auto table = [] {
    std::array<double, 256> values{};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
    return values;
  }();
  return table;
}

void interpolate(const double* number, const std::uint8_t* above, const std::uint8_t* below, double x, double y,
                 std::uint8_t* to) {
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const double upper = (1 - x) * number[above[channel]] + x * number[above[channel + 3]];
    const double lower = (1 - x) * number[below[channel]] + x * number[below[channel + 3]];
    to[channel] = static_cast<std::uint8_t>((1 - y) * upper + y * lower);
  }
}

}  // namespace

RgbView Halver::operator()(const RgbView& image, simd::Buffer<std::uint8_t>& to) {
  if (image.height <= 8 || image.width <= 8) return {};
  const RgbView half{nullptr, (image.height - 3) / 2, (image.width - 3) / 2, (image.width - 3) / 2 * 3};
  const std::ptrdiff_t sums = image.width * 3, filtered = sums - 12;
  simd::at_least(sum_, index(sums));
  simd::at_least(dense_, index(filtered + 1));
  simd::at_least(to, index(half.height * half.step));
  for (std::ptrdiff_t row = 0; row < half.height; ++row) {
    sum_rows(image.data + 2 * row * image.step, image.step, sums, sum_.data());
    sum_columns(sum_.data(), filtered, dense_.data());
    std::uint8_t* pixel = to.data() + row * half.step;
    const std::uint8_t* from = dense_.data();
    for (std::ptrdiff_t column = 1; column < half.width; ++column, pixel += 3, from += 6) std::memcpy(pixel, from, 4);
    std::memcpy(pixel, from, 3);
  }
  return {to.data(), half.height, half.width, half.step};
}

void BilinearWarp::interpolate_row(const RgbView& image, std::ptrdiff_t begin, std::ptrdiff_t end,
                                   std::uint8_t* chip) const {
  const double* const number = doubles_of_bytes().data();
  [[maybe_unused]] const std::ptrdiff_t last = (image.height - 1) * image.step + (image.width - 1) * 3;
  for (std::ptrdiff_t column = begin; column < end; ++column) {
    const std::size_t i = index(column);
    const std::uint8_t *const above = image.data + first_[i], *const below = above + image.step;
    std::uint8_t* const to = chip + column * 3;
#if defined(AGEGENDER_WIDE)
    // Behind the picture's last pixel there may be nobody's memory, and behind the row's a black one.
    if (first_[i] + image.step + 3 < last && column + 1 < end) {
      interpolate_wide(above, below, x_[i], y_[i], to);
      continue;
    }
#endif
    interpolate(number, above, below, x_[i], y_[i], to);
  }
}

void BilinearWarp::operator()(const RgbView& image, const Affine& to_image, std::ptrdiff_t size, std::uint8_t* chip) {
  for (auto* buffer : {&column_x_, &column_y_, &x_, &y_}) simd::at_least(*buffer, index(size));
  simd::at_least(first_, index(size));
  double *const column_x = column_x_.data(), *const column_y = column_y_.data();
  double *const x = x_.data(), *const y = y_.data();
  for (std::ptrdiff_t column = 0; column < size; ++column) {
    column_x[column] = to_image.xx * static_cast<double>(column);
    column_y[column] = to_image.yx * static_cast<double>(column);
  }
  const auto has = [](double at, std::ptrdiff_t length) {
    return at >= 0 && at < static_cast<double>(length) && static_cast<std::ptrdiff_t>(at) + 1 < length;
  };
  const auto is_inside = [&](std::ptrdiff_t column) {
    return has(x[column], image.width) && has(y[column], image.height);
  };
  for (std::ptrdiff_t row = 0; row < size; ++row, chip += size * 3) {
    const double row_x = to_image.xy * static_cast<double>(row), row_y = to_image.yy * static_cast<double>(row);
    for (std::ptrdiff_t column = 0; column < size; ++column) {
      x[column] = column_x[column] + row_x + to_image.x0;
      y[column] = column_y[column] + row_y + to_image.y0;
    }
    // Rounding keeps the order of numbers, so what is inside is one stretch.
    std::ptrdiff_t begin = 0, end = size;
    while (begin < end && !is_inside(begin)) ++begin;
    while (begin < end && !is_inside(end - 1)) --end;
    std::fill_n(chip, begin * 3, std::uint8_t{0});
    std::fill(chip + end * 3, chip + size * 3, std::uint8_t{0});
    for (std::ptrdiff_t column = begin; column < end; ++column) {
      const auto left = static_cast<std::int32_t>(x[column]), top = static_cast<std::int32_t>(y[column]);
      first_[index(column)] = top * image.step + std::ptrdiff_t{left} * 3;
      x[column] -= left;
      y[column] -= top;
    }
    interpolate_row(image, begin, end, chip);
  }
}

}  // namespace agegender
