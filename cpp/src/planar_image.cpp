#include "planar_image.hpp"

#include <algorithm>
#include <cmath>

#ifdef __SSSE3__
#include <immintrin.h>
#endif

namespace agegender {

using simd::round_up;

namespace {
constexpr int kGroup = 32;  ///< columns that are blended together: a register of bytes

/// Splits a row of RGB pixels into its planes.
void split_channels(const std::uint8_t* from, int width, std::uint8_t* red, std::uint8_t* green, std::uint8_t* blue) {
  int x = 0;
#ifdef __SSSE3__
  // Of 16 pixels, 48 bytes: which byte of each third goes where; -1 gives 0.
  const auto places = [](int channel, int third) {
    alignas(16) std::int8_t bytes[16];
    for (int i = 0; i < 16; ++i) {
      const int byte = 3 * i + channel - 16 * third;
      bytes[i] = static_cast<std::int8_t>(byte >= 0 && byte < 16 ? byte : -1);
    }
    return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
  };
  __m128i place[3][3];
  for (int channel = 0; channel < 3; ++channel)
    for (int third = 0; third < 3; ++third) place[channel][third] = places(channel, third);
  std::uint8_t* const to[3] = {red, green, blue};
  for (; x + 16 <= width; x += 16) {
    __m128i bytes[3];
    for (int third = 0; third < 3; ++third)
      bytes[third] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 3 * x + 16 * third));
    for (int channel = 0; channel < 3; ++channel) {
      const __m128i first = _mm_shuffle_epi8(bytes[0], place[channel][0]);
      const __m128i second = _mm_shuffle_epi8(bytes[1], place[channel][1]);
      const __m128i last = _mm_shuffle_epi8(bytes[2], place[channel][2]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to[channel] + x), _mm_or_si128(_mm_or_si128(first, second), last));
    }
  }
#endif
  for (; x < width; ++x) {
    red[x] = from[3 * x];
    green[x] = from[3 * x + 1];
    blue[x] = from[3 * x + 2];
  }
}
}  // namespace

void PlanarImage::reshape(int new_height, int new_width, int new_channels) {
  height = new_height;
  width = new_width;
  channels = new_channels;
  stride_ = static_cast<std::size_t>(round_up(width, 64) + kSlack);
  simd::at_least(bytes_, offset(channels, 0));
}

void PlanarImage::assign(const ImageView& image) {
  reshape(static_cast<int>(image.height), static_cast<int>(image.width), static_cast<int>(image.channels));
  const std::uint8_t* from = image.data;
  for (int y = 0; y < height; ++y, from += image.width * image.channels) {
    if (channels == 1)
      std::copy_n(from, width, row(0, y));
    else
      split_channels(from, width, row(0, y), row(1, y), row(2, y));
  }
}

void BilinearResizer::find_columns(int in_width, int out_width) {
  const auto columns = static_cast<std::size_t>(round_up(out_width, kGroup));
  simd::at_least(left_, columns);
  simd::at_least(right_weight_, columns);
  simd::at_least(left_weight_, columns);
  simd::at_least(exact_weight_, columns);
  simd::at_least(shuffles_, 2 * columns);

  const double scale = (in_width - 1) / static_cast<double>(std::max(out_width - 1, 1));
  // Four columns move on together and add up their rounding errors, as dlib's do.
  float place[4];
  for (int i = 0; i < 4; ++i) place[i] = static_cast<float>(-4 * scale + i * scale);
  const float step = static_cast<float>(4 * scale);
  int c = 0;
  for (; c + 4 <= out_width; c += 4) {
    for (float& x : place) x += step;
    if (static_cast<int>(place[3]) + 1 >= in_width) break;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto k = static_cast<std::size_t>(c) + i;
      left_[k] = static_cast<int>(place[i]);
      right_weight_[k] = place[i] - static_cast<float>(left_[k]);
      left_weight_[k] = 1 - right_weight_[k];
    }
  }
  in_lanes_ = c;
  double x = -scale + c * scale;
  for (; c < out_width; ++c) {
    x += scale;
    const auto k = static_cast<std::size_t>(c);
    left_[k] = static_cast<int>(std::floor(x));
    exact_weight_[k] = x - left_[k];
  }

  near_ = true;
  for (std::size_t k = 0; k < columns; ++k) {
    // The columns behind the last one read anything that lies near.
    const std::size_t last = static_cast<std::size_t>(std::max(in_lanes_ - 1, 0));
    const int offset = left_[std::min(k, last)] - left_[std::min(k / 8 * 8, last)];
    near_ = near_ && offset < 15;
    shuffles_[k / 8 * 16 + k % 8] = static_cast<std::uint8_t>(offset);
    shuffles_[k / 8 * 16 + k % 8 + 8] = static_cast<std::uint8_t>(offset + 1);
  }
}

void BilinearResizer::gather(const std::uint8_t* row, float* left, float* right) const {
#ifdef __AVX2__
  if (near_) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(in_lanes_); k += 8) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + left_[k]));
      const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(&shuffles_[2 * k]));
      const __m128i pairs = _mm_shuffle_epi8(bytes, order);
      _mm256_store_ps(left + k, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(pairs)));
      _mm256_store_ps(right + k, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(pairs, pairs))));
    }
    return;
  }
#endif
  for (std::size_t k = 0; k < static_cast<std::size_t>(in_lanes_); ++k) {
    left[k] = row[left_[k]];
    right[k] = row[left_[k] + 1];
  }
}

namespace {

struct Side {
  const float *left, *right;  ///< grey levels, or the weights of them
};

/// Columns that dlib computes with floats, four at a time.
template <bool kRounds>
void blend_lanes(Side top, Side bottom, Side weights, float top_weight, float bottom_weight, int columns,
                 std::uint8_t* __restrict to) {
  // Whole groups, so that there is no remainder: what lies behind the columns is written anew, or is slack.
  for (int c = 0; c < round_up(columns, kGroup); ++c) {
    const float left = weights.left[c], right = weights.right[c];
    const float value = (top_weight * left) * top.left[c] + (top_weight * right) * top.right[c] +
                        (bottom_weight * left) * bottom.left[c] + (bottom_weight * right) * bottom.right[c];
    int whole = static_cast<int>(value);
    // Not value + 0.5f, which would round up what lies just below a half.
    if (kRounds) whole += value - static_cast<float>(whole) >= 0.5f ? 1 : 0;
    to[c] = static_cast<std::uint8_t>(whole);
  }
}

}  // namespace

void BilinearResizer::blend(const PlanarImage& in, int top, int bottom, double down, int r, PlanarImage& out) const {
  for (int channel = 0; channel < in.channels; ++channel) {
    const std::uint8_t *above = in.row(channel, top), *below = in.row(channel, bottom);
    std::uint8_t* to = out.row(channel, r);
    for (int c = in_lanes_; c < out.width; ++c) {
      const auto k = static_cast<std::size_t>(c);
      const int left = left_[k], right = std::min(left + 1, in.width - 1);
      if (in.channels == 3) {
        const double x = exact_weight_[k];
        to[c] = static_cast<std::uint8_t>((1 - down) * ((1 - x) * above[left] + x * above[right]) +
                                          down * ((1 - x) * below[left] + x * below[right]));
      } else {
        const float x = static_cast<float>(exact_weight_[k]);
        const double over = (1 - x) * static_cast<float>(above[left]) + x * static_cast<float>(above[right]);
        const double under = (1 - x) * static_cast<float>(below[left]) + x * static_cast<float>(below[right]);
        to[c] = static_cast<std::uint8_t>(static_cast<float>((1 - down) * over + down * under));
      }
    }
  }
}

void BilinearResizer::operator()(const PlanarImage& in, PlanarImage& out) {
  if (in.height == 0 || in.width == 0 || out.height == 0 || out.width == 0) return;
  find_columns(in.width, out.width);
  const auto columns = static_cast<std::size_t>(round_up(out.width, kGroup));
  simd::at_least(gathered_, 2 * static_cast<std::size_t>(in.channels) * 2 * columns);
  // A row below is mostly the next one's row above: each row's pixels are gathered once.
  int held[2] = {-1, -1};
  const auto side = [&](int slot, int channel, int which) {
    return gathered_.data() + static_cast<std::size_t>((slot * in.channels + channel) * 2 + which) * columns;
  };
  const auto slot_of = [&](int y, int other) {
    for (int slot = 0; slot < 2; ++slot)
      if (held[slot] == y) return slot;
    const int slot = other == 0 ? 1 : 0;
    for (int channel = 0; channel < in.channels; ++channel)
      gather(in.row(channel, y), side(slot, channel, 0), side(slot, channel, 1));
    held[slot] = y;
    return slot;
  };

  const double scale = (in.height - 1) / static_cast<double>(std::max(out.height - 1, 1));
  double y = -scale;
  for (int r = 0; r < out.height; ++r) {
    y += scale;
    const int top = static_cast<int>(std::floor(y)), bottom = std::min(top + 1, in.height - 1);
    const double down = y - top;
    // The slot that the row below does not lie in already is the one to fill.
    const int above = slot_of(top, held[0] == bottom ? 0 : 1);
    const int below = slot_of(bottom, above);
    for (int channel = 0; channel < in.channels; ++channel) {
      (in.channels == 1 ? blend_lanes<true>
                        : blend_lanes<false>)({side(above, channel, 0), side(above, channel, 1)},
                                              {side(below, channel, 0), side(below, channel, 1)},
                                              {left_weight_.data(), right_weight_.data()}, static_cast<float>(1 - down),
                                              static_cast<float>(down), in_lanes_, out.row(channel, r));
    }
    blend(in, top, bottom, down, r, out);
  }
}

}  // namespace agegender
