#include "gradient.hpp"

#include <algorithm>
#include <cmath>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace agegender {
namespace {

#ifdef __AVX2__

struct Gradients {
  __m256i x, y;       ///< 16-bit grey levels
  __m256i low, high;  ///< squared lengths, 32 bits, of columns 0-3 and 8-11, 4-7 and 12-15
};

inline __m256i load_16(const std::uint8_t* from) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

inline Gradients gradients_at(const RowNeighbours& rows, std::size_t channel, int x) {
  Gradients g;
  g.x = _mm256_sub_epi16(load_16(rows.here[channel] + x + 1), load_16(rows.here[channel] + x - 1));
  g.y = _mm256_sub_epi16(load_16(rows.below[channel] + x), load_16(rows.above[channel] + x));
  const __m256i low = _mm256_unpacklo_epi16(g.x, g.y), high = _mm256_unpackhi_epi16(g.x, g.y);
  g.low = _mm256_madd_epi16(low, low);
  g.high = _mm256_madd_epi16(high, high);
  return g;
}

template <bool kLastWins>
inline void take_stronger(Gradients& best, const Gradients& next) {
  const __m256i keep =
      kLastWins ? _mm256_packs_epi32(_mm256_cmpgt_epi32(best.low, next.low), _mm256_cmpgt_epi32(best.high, next.high))
                : _mm256_xor_si256(_mm256_packs_epi32(_mm256_cmpgt_epi32(next.low, best.low),
                                                      _mm256_cmpgt_epi32(next.high, best.high)),
                                   _mm256_set1_epi16(-1));
  best.x = _mm256_blendv_epi8(next.x, best.x, keep);
  best.y = _mm256_blendv_epi8(next.y, best.y, keep);
  best.low = _mm256_max_epi32(best.low, next.low);
  best.high = _mm256_max_epi32(best.high, next.high);
}

/// direction_x4 of 16 gradients.
inline __m128i directions(__m256i gx, __m256i gy) {
  const auto times = [](__m256i values, short factor) { return _mm256_mullo_epi16(values, _mm256_set1_epi16(factor)); };
  const __m256i zero = _mm256_setzero_si256();
  const __m256i down = _mm256_cmpgt_epi16(zero, gy);
  const __m256i x = _mm256_sub_epi16(_mm256_xor_si256(gx, down), down);
  const __m256i left = _mm256_cmpgt_epi16(zero, x);
  const __m256i ax = _mm256_abs_epi16(gx), ay = _mm256_abs_epi16(gy);
  __m256i quarter = _mm256_set1_epi16(4);
  quarter = _mm256_add_epi16(quarter, _mm256_cmpgt_epi16(times(ax, 3), times(ay, 17)));
  quarter = _mm256_add_epi16(quarter, _mm256_cmpgt_epi16(times(ax, 41), times(ay, 71)));
  quarter = _mm256_add_epi16(quarter, _mm256_cmpgt_epi16(times(ax, 87), times(ay, 73)));
  quarter = _mm256_add_epi16(quarter, _mm256_cmpgt_epi16(times(ax, 11), times(ay, 4)));
  const __m256i nine = _mm256_set1_epi16(9);
  __m256i direction = _mm256_sub_epi16(_mm256_xor_si256(quarter, left), left);
  direction = _mm256_add_epi16(direction, _mm256_and_si256(nine, left));
  direction = _mm256_add_epi16(direction, _mm256_and_si256(nine, down));
  direction = _mm256_slli_epi16(direction, 2);
  return _mm_packus_epi16(_mm256_castsi256_si128(direction), _mm256_extracti128_si256(direction, 1));
}

template <bool kLastWins>
void compute(const RowNeighbours& rows, int channels, int begin, int end, std::uint8_t* direction, float* strength) {
  for (int x = begin; x < end; x += 16) {
    Gradients best = gradients_at(rows, 0, x);
    if (channels == 3) {
      take_stronger<kLastWins>(best, gradients_at(rows, 1, x));
      take_stronger<kLastWins>(best, gradients_at(rows, 2, x));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(direction + x), directions(best.x, best.y));
    const __m256 low = _mm256_sqrt_ps(_mm256_cvtepi32_ps(best.low));
    const __m256 high = _mm256_sqrt_ps(_mm256_cvtepi32_ps(best.high));
    _mm256_storeu_ps(strength + x, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(strength + x + 8, _mm256_permute2f128_ps(low, high, 0x31));
  }
}

#else

template <bool kLastWins>
void compute(const RowNeighbours& rows, int channels, int begin, int end, std::uint8_t* direction, float* strength) {
  for (int x = begin; x < end; ++x) {
    int gx = rows.here[0][x + 1] - rows.here[0][x - 1], gy = rows.below[0][x] - rows.above[0][x];
    int length = gx * gx + gy * gy;
    for (std::size_t channel = 1; channel < static_cast<std::size_t>(channels); ++channel) {
      const int next_x = rows.here[channel][x + 1] - rows.here[channel][x - 1];
      const int next_y = rows.below[channel][x] - rows.above[channel][x];
      const int next = next_x * next_x + next_y * next_y;
      const bool take = kLastWins ? next >= length : next > length;
      gx = take ? next_x : gx;
      gy = take ? next_y : gy;
      length = take ? next : length;
    }
    direction[x] = direction_x4(gx, gy);
    strength[x] = std::sqrt(static_cast<float>(length));
  }
}

#endif

}  // namespace

void row_gradients(const RowNeighbours& rows, int channels, int begin, int tail, int end, std::uint8_t* direction,
                   float* strength) {
  compute<true>(rows, channels, begin, std::min(tail, end), direction, strength);
  if (tail < end) compute<false>(rows, channels, std::max(begin, tail), end, direction, strength);
}

}  // namespace agegender
