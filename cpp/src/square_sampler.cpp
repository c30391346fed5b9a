#include "square_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace agegender {

using simd::FourFloats;
using simd::store;

namespace {

/// Makes RGBX, less 128, of `bytes` bytes of RGB, without a read past them: the last pixels are left. Says how many it
/// made.
std::ptrdiff_t widen(const std::uint8_t* rgb, std::ptrdiff_t bytes, std::int8_t* out) {
  std::ptrdiff_t done = 0;
#if defined(__GNUC__) && defined(__AVX2__)
  const __m128i places = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  const __m128i middle = _mm_set1_epi32(0x808080);
  for (; (done + 4) * 3 + 4 <= bytes; done += 4) {
    const __m128i five = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb + done * 3));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + done * kPixel),
                     _mm_xor_si128(_mm_shuffle_epi8(five, places), middle));
  }
#else
  constexpr std::array<std::uint8_t, kPixel> three{0xff, 0xff, 0xff, 0}, middle{0x80, 0x80, 0x80, 0};
  std::uint32_t mask, difference;
  std::memcpy(&mask, three.data(), kPixel);
  std::memcpy(&difference, middle.data(), kPixel);
  for (; done * 3 + 4 <= bytes; ++done) {
    std::uint32_t pixel;
    std::memcpy(&pixel, rgb + done * 3, kPixel);
    pixel = (pixel & mask) ^ difference;
    std::memcpy(out + done * kPixel, &pixel, kPixel);
  }
#endif
  return done;
}

/// What a pixel has of a square whose edge lies so far behind that of its first pixel.
struct Share {
  float slope, start, whole;
  Share(double side, int pixel)
      : slope(pixel == 0 ? -1.0f : 1.0f),
        start(pixel == 0 ? 1.0f : static_cast<float>(side - pixel)),
        whole(static_cast<float>(1 / side)) {}
  float operator()(float behind) const { return whole * std::max(std::min(slope * behind + start, 1.0f), 0.0f); }
};

#if defined(__GNUC__) && defined(__AVX2__)

constexpr float kWhole = 32767;

std::int32_t whole_share(float share) { return static_cast<std::int32_t>(share * kWhole + 0.5f); }
std::int32_t column_shares(float first, float second) { return whole_share(first) | whole_share(second) << 16; }
std::int32_t row_shares(float share) { return whole_share(share) * 0x10001; }

#else

float row_shares(float share) { return share; }

#endif

}  // namespace

void SquareSampler::begin(const std::uint8_t* chip, std::ptrdiff_t chip_size, const Affine& from, double side,
                          std::ptrdiff_t size) {
  from_ = from;
  side_ = side;
  size_ = size;
  rows_ = static_cast<int>(std::ceil(side)) + 1;
  groups_ = (rows_ + kTogether - 1) / kTogether;
  for (auto* buffer : {&across_, &behind_}) simd::at_least(*buffer, index(size));
  simd::at_least(corner_, index(size));
  simd::at_least(columns_, index(size * groups_ * kTogether));
  simd::at_least(row_shares_, index(size * rows_));
  // Where a square doesn't fill its last group.
  std::fill_n(columns_.begin(), size * groups_ * kTogether, Shares{0});
  place();
  fill(chip, chip_size);
}

/// Left (row 0) or top (row 3) edge of the square of the first pixel in row `y`.
double SquareSampler::edge(std::size_t row, std::ptrdiff_t y) const {
  return from_[row] * 0.5 + from_[row + 1] * (static_cast<double>(y) + 0.5) + from_[row + 2] - side_ / 2;
}

/// Finds the part of the chip that is needed, and makes room for it.
void SquareSampler::place() {
  const double last = static_cast<double>(size_ - 1);
  const auto span = [&](std::size_t row, std::ptrdiff_t& start, std::ptrdiff_t& extent, int reach) {
    const double along = from_[row] * last, down = from_[row + 1] * last, first = edge(row, 0);
    // More than the error of the positions, which are floats within that part.
    const double error = 1e-3 + 1e-6 * (std::fabs(along) + std::fabs(down));
    const double low = first + std::min(along, 0.0) + std::min(down, 0.0) - error;
    const double high = first + std::max(along, 0.0) + std::max(down, 0.0) + error;
    start = static_cast<std::ptrdiff_t>(std::floor(low));
    extent = static_cast<std::ptrdiff_t>(std::floor(high)) - start + reach;
  };
  span(0, left_, width_, groups_ * kTogether);
  span(3, top_, height_, rows_);
  if (width_ * height_ >= std::ptrdiff_t{1} << 29)
    throw std::invalid_argument("a chip of this size can't be warped so far");
  simd::at_least(pixels_, index(width_ * height_ * kPixel));
}

void SquareSampler::fill(const std::uint8_t* chip, std::ptrdiff_t chip_size) {
  const auto mirrored = [&](std::ptrdiff_t i) {
    i %= 2 * chip_size;
    if (i < 0) i += 2 * chip_size;
    return i < chip_size ? i : 2 * chip_size - 1 - i;
  };
  chip_columns_.resize(index(width_));
  for (std::ptrdiff_t x = 0; x < width_; ++x) chip_columns_[index(x)] = mirrored(left_ + x) * 3;
  // The columns that the chip has itself.
  const std::ptrdiff_t first = std::clamp<std::ptrdiff_t>(-left_, 0, width_);
  const std::ptrdiff_t end = std::clamp<std::ptrdiff_t>(chip_size - left_, first, width_);
  for (std::ptrdiff_t y = 0; y < height_; ++y) {
    const std::uint8_t* row = chip + mirrored(top_ + y) * chip_size * 3;
    std::int8_t* out = pixels_.data() + y * width_ * kPixel;
    const auto copy = [&](std::ptrdiff_t x) {
      const std::uint8_t* pixel = row + chip_columns_[index(x)];
      for (int i = 0; i < 3; ++i) out[x * kPixel + i] = static_cast<std::int8_t>(pixel[i] ^ 0x80);
      out[x * kPixel + 3] = 0;
    };
    for (std::ptrdiff_t x = 0; x < first; ++x) copy(x);
    std::ptrdiff_t x = first + widen(row + (left_ + first) * 3, (end - first) * 3, out + first * kPixel);
    for (; x < width_; ++x) copy(x);
  }
}

/// The means over squares of `kRows` x `kRows` pixels, or of `rows_` x `rows_` if that is 0: four grey levels each.
template <int kRows>
void SquareSampler::sum_squares(std::ptrdiff_t begin, std::ptrdiff_t end, float* out) const {
  const int rows = kRows > 0 ? kRows : rows_;
  const auto stride = static_cast<std::int32_t>(width_ * kPixel), size = static_cast<std::int32_t>(size_);
  const std::int8_t* pixels = pixels_.data();
  const std::int32_t* corner = corner_.data();
  const Shares *column_share = columns_.data(), *row_share = row_shares_.data();
#if defined(__GNUC__) && defined(__AVX2__)
  const int groups = (rows + kTogether - 1) / kTogether;
  // Each channel becomes the high byte of 16 bits, beside that of the next pixel.
  const __m256i spread = _mm256_setr_epi8(-1, 0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1,  //
                                          -1, 8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, -1, -1, -1);
  const __m256 unit = _mm256_set1_ps(1 / (256 * kWhole)), middle = _mm256_set1_ps(128);
  std::ptrdiff_t x = begin;
  if constexpr (kRows == 2) {
    // A small square needs half a register: two of them are summed side by side.
    const __m256i left_half = _mm256_setr_epi8(-1, 0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1,  //
                                               -1, 0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1);
    const auto shares_of_two = [](const std::int32_t* shares) {
      const __m128i two = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(shares));
      return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(two), _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
    };
    for (; x + 1 < end; x += 2) {
      __m256i sum = _mm256_setzero_si256();
      for (int row = 0; row < rows; ++row) {
        const std::int8_t* from = pixels + row * stride;
        const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + corner[x]));
        const __m128i second = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + corner[x + 1]));
        const __m256i channels = _mm256_shuffle_epi8(_mm256_set_m128i(second, first), left_half);
        sum = _mm256_adds_epi16(sum, _mm256_mulhrs_epi16(channels, shares_of_two(row_share + row * size + x)));
      }
      const __m256 total = _mm256_cvtepi32_ps(_mm256_madd_epi16(sum, shares_of_two(column_share + x)));
      _mm256_storeu_ps(out + x * kPixel, _mm256_add_ps(_mm256_mul_ps(total, unit), middle));
    }
  }
  for (; x < end; ++x) {
    __m256i total = _mm256_setzero_si256();
    for (int group = 0; group < groups; ++group) {
      const std::int8_t* from = pixels + corner[x] + group * kTogether * kPixel;
      __m256i sum = _mm256_setzero_si256();
      for (int row = 0; row < rows; ++row) {
        const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + row * stride));
        const __m256i channels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(four), spread);
        sum = _mm256_adds_epi16(sum, _mm256_mulhrs_epi16(channels, _mm256_set1_epi32(row_share[row * size + x])));
      }
      const std::int32_t* share = column_share + 2 * group * size + x;
      const __m256i shares = _mm256_blend_epi32(_mm256_set1_epi32(share[0]), _mm256_set1_epi32(share[size]), 0xf0);
      total = _mm256_add_epi32(total, _mm256_madd_epi16(sum, shares));
    }
    const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    const __m128 scaled = _mm_mul_ps(_mm_cvtepi32_ps(both), _mm256_castps256_ps128(unit));
    _mm_storeu_ps(out + x * kPixel, _mm_add_ps(scaled, _mm256_castps256_ps128(middle)));
  }
#else
  for (std::ptrdiff_t x = begin; x < end; ++x) {
    FourFloats total = simd::splat_four(128);
    for (int column = 0; column < rows; ++column) {
      const std::int8_t* from = pixels + corner[x] + column * kPixel;
      FourFloats sum = simd::splat_four(0);
      for (int row = 0; row < rows; ++row)
        sum += simd::splat_four(row_share[row * size + x]) * simd::load_bytes(from + row * stride);
      total += simd::splat_four(column_share[column * size + x]) * sum;
    }
    store(out + x * kPixel, total);
  }
#endif
}

void SquareSampler::row(std::ptrdiff_t y, std::ptrdiff_t from, std::ptrdiff_t to, float* out) {
  const float step_x = static_cast<float>(from_[0]), step_y = static_cast<float>(from_[3]);
  const float start_x = static_cast<float>(edge(0, y) - static_cast<double>(left_));
  const float start_y = static_cast<float>(edge(3, y) - static_cast<double>(top_));
  const auto stride = static_cast<std::int32_t>(width_ * kPixel);
  const auto size = static_cast<std::int32_t>(size_), begin = static_cast<std::int32_t>(from),
             end = static_cast<std::int32_t>(to);
  std::int32_t* corner = corner_.data();
  float *across = across_.data(), *behind = behind_.data();
  for (std::int32_t x = begin; x < end; ++x) {
    const float u = start_x + step_x * static_cast<float>(x), v = start_y + step_y * static_cast<float>(x);
    const auto column = static_cast<std::int32_t>(u), line = static_cast<std::int32_t>(v);
    corner[x] = line * stride + column * kPixel;
    across[x] = u - static_cast<float>(column);
    behind[x] = v - static_cast<float>(line);
  }
#if defined(__GNUC__) && defined(__AVX2__)
  for (int pair = 0; 2 * pair < rows_; ++pair) {
    std::int32_t* shares = columns_.data() + pair * size;
    const Share first(side_, 2 * pair), second(side_, 2 * pair + 1);
    if (2 * pair + 1 < rows_)
      for (std::int32_t x = begin; x < end; ++x) shares[x] = column_shares(first(across[x]), second(across[x]));
    else
      for (std::int32_t x = begin; x < end; ++x) shares[x] = column_shares(first(across[x]), 0);
  }
#else
  for (int column = 0; column < rows_; ++column) {
    float* shares = columns_.data() + column * size;
    const Share share(side_, column);
    for (std::int32_t x = begin; x < end; ++x) shares[x] = share(across[x]);
  }
#endif
  for (int line = 0; line < rows_; ++line) {
    Shares* shares = row_shares_.data() + line * size;
    const Share share(side_, line);
    for (std::int32_t x = begin; x < end; ++x) shares[x] = row_shares(share(behind[x]));
  }
  if (rows_ == 2)
    sum_squares<2>(from, to, out);
  else if (rows_ == 3)
    sum_squares<3>(from, to, out);
  else if (rows_ == 4)
    sum_squares<4>(from, to, out);
  else
    sum_squares<0>(from, to, out);
}

}  // namespace agegender
