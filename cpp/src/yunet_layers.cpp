#include "yunet_layers.hpp"

#include <limits>

namespace agegender::yunet {
namespace {

using simd::Floats;
using simd::kLanes;

constexpr std::ptrdiff_t kVectors = kPair / kLanes;
// Pixels at a time: as many sums as fit into 16 registers beside weights and a pixel.
constexpr int kTile = kLanes == 8 ? 6 : 3;
constexpr int kStemTile = kLanes == 8 ? 4 : 2;
constexpr int kDepthwiseTile = 4;

/// Becomes one instruction, which rounds once, where the CPU has it: this file is compiled so.
Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) { return a * b + c; }

/// Sums of kCount pixels by kPair channels.
template <int kCount>
struct Sums {
  Floats of[kCount][kVectors];

  Sums() {
    for (auto& pixel : of)
      for (Floats& sum : pixel) sum = simd::splat(0);
  }

  /// Adds a channel's pixels, `step` floats apart, times its weights.
  void add(const float* pixels, std::ptrdiff_t step, const float* weights) {
    Floats weight[kVectors];
    for (std::ptrdiff_t v = 0; v < kVectors; ++v) weight[v] = simd::load(weights + v * kLanes);
    for (std::ptrdiff_t x = 0; x < kCount; ++x) {
      const Floats pixel = simd::splat(pixels[x * step]);
      for (std::ptrdiff_t v = 0; v < kVectors; ++v) of[x][v] = multiply_add(pixel, weight[v], of[x][v]);
    }
  }

  /// Writes them to two blocks, `block` floats apart.
  void write(const float* bias, const Floats& least, float* out, std::ptrdiff_t block) const {
    for (std::ptrdiff_t x = 0; x < kCount; ++x)
      for (std::ptrdiff_t v = 0; v < kVectors; ++v) {
        float* to = out + v * kLanes / kBlock * block + x * kBlock + v * kLanes % kBlock;
        simd::store(to, simd::maximum(of[x][v] + simd::load(bias + v * kLanes), least));
      }
  }
};

Floats least(bool rectified) { return simd::splat(rectified ? 0.0f : -std::numeric_limits<float>::infinity()); }

template <int kCount>
void stem_tile(const Stem& stem, const std::array<const float*, 3>& rows, std::ptrdiff_t x, std::ptrdiff_t width,
               float* out) {
  Sums<kCount> all;
  const float* weights = stem.weights.data();
  for (std::ptrdiff_t channel = 0; channel < 3; ++channel) {
    // ONNX Runtime sums up each channel by itself.
    Sums<kCount> sums;
    for (const float* row : rows)
      for (std::ptrdiff_t k = 0; k < 3; ++k, weights += kStemChannels)
        sums.add(row + channel * (2 * width + 1) + 2 * x + k, 2, weights);
    for (std::ptrdiff_t i = 0; i < kCount; ++i)
      for (std::ptrdiff_t v = 0; v < kVectors; ++v)
        all.of[i][v] = channel == 0 ? sums.of[i][v] : sums.of[i][v] + all.of[i][v];
  }
  all.write(stem.bias.data(), least(true), out + x * kBlock, width * kBlock);
}

template <int kCount>
void pointwise_tile(const float* in, std::ptrdiff_t width, std::ptrdiff_t channels, const float* weights,
                    const float* bias, float* out, std::ptrdiff_t block) {
  Sums<kCount> sums;
  for (std::ptrdiff_t channel = 0; channel < channels; channel += kBlock, in += width * kBlock)
    for (std::ptrdiff_t lane = 0; lane < kBlock; ++lane, weights += kPair) sums.add(in + lane, kBlock, weights);
  sums.write(bias, least(false), out, block);
}

/// Calls `tile` for each kTile pixels of a row, or `single` for each pixel of a shorter one. Where tiles don't add up
/// the last overlaps the one before it.
template <typename Tile, typename Single>
void in_tiles(std::ptrdiff_t width, const Tile& tile, const Single& single) {
  if (width < kTile)
    for (std::ptrdiff_t x = 0; x < width; ++x) single(x);
  else
    for (std::ptrdiff_t x = 0; x < width; x += kTile) tile(std::min(x, width - kTile));
}

/// Sums of 3 x 3 pixels from `x` on, a vector of channels.
Floats nine(const std::array<const float*, 3>& rows, std::ptrdiff_t x, const std::array<Floats, 9>& weights) {
  Floats sum = simd::splat(0);
  for (std::size_t k = 0; k < 9; ++k)
    sum = multiply_add(simd::load(rows[k / 3] + (x + static_cast<std::ptrdiff_t>(k % 3)) * kBlock), weights[k], sum);
  return sum;
}

}  // namespace

void split(const std::uint8_t* pixels, std::ptrdiff_t known, std::ptrdiff_t width,
           const std::array<float*, 3>& planes) noexcept {
  float* const blue = planes[0];
  float* const green = planes[1];
  float* const red = planes[2];
  for (std::ptrdiff_t x = 0; x < known; ++x) {
    red[x] = pixels[3 * x];
    green[x] = pixels[3 * x + 1];
    blue[x] = pixels[3 * x + 2];
  }
  for (float* plane : planes) std::fill(plane + known, plane + width, 0.0f);
}

void pixel_row(const ImageView& picture, std::ptrdiff_t pitch, std::ptrdiff_t y, std::ptrdiff_t width,
               float* planes) noexcept {
  float* blue = planes + 1;
  float* green = blue + width + 1;
  float* red = green + width + 1;
  const std::ptrdiff_t known = y >= 0 && y < picture.height ? picture.width : 0;
  const std::uint8_t* pixel = known > 0 ? picture.data + y * pitch : nullptr;
  for (float* plane : {blue, green, red}) plane[-1] = 0;
  split(pixel, known, width, {blue, green, red});
}

void stem_row(const Stem& stem, const std::array<const float*, 3>& rows, std::ptrdiff_t width, float* out) noexcept {
  for (std::ptrdiff_t x = 0; x < width; x += kStemTile) stem_tile<kStemTile>(stem, rows, x, width, out);
}

void pool_rows(const float* upper, const float* lower, std::ptrdiff_t channels, std::ptrdiff_t width,
               float* out) noexcept {
  for (std::ptrdiff_t i = 0; i < channels * width; i += kLanes) {
    const std::ptrdiff_t from = i / kBlock * 2 * kBlock + i % kBlock;
    const Floats above = simd::maximum(simd::load(upper + from), simd::load(upper + from + kBlock));
    const Floats below = simd::maximum(simd::load(lower + from), simd::load(lower + from + kBlock));
    simd::store(out + i, simd::maximum(above, below));
  }
}

void add_doubled(const float* coarse, const float* fine, std::ptrdiff_t channels, std::ptrdiff_t width,
                 float* out) noexcept {
  for (std::ptrdiff_t i = 0; i < channels * width; i += kLanes) {
    const std::ptrdiff_t from = i / (2 * kBlock) * kBlock + i % kBlock;
    simd::store(out + i, simd::load(fine + i) + simd::load(coarse + from));
  }
}

void UnitRows::reserve(const Unit& unit, std::ptrdiff_t width) {
  unit_ = &unit;
  width_ = width;
  simd::at_least(between_, static_cast<std::size_t>(3 * unit.out * (width + 2)));
  simd::at_least(out_, static_cast<std::size_t>(2 * unit.out * width));
}

void UnitRows::start(std::ptrdiff_t first, std::ptrdiff_t height, const float* zeros) noexcept {
  first_ = next_ = first;
  height_ = height;
  zeros_ = zeros;
  // Nothing lies beside a row.
  for (std::ptrdiff_t block = 0; block < 3 * unit_->out / kBlock; ++block) {
    float* left = between_.data() + block * (width_ + 2) * kBlock;
    std::fill_n(left, kBlock, 0.0f);
    std::fill_n(left + (width_ + 1) * kBlock, kBlock, 0.0f);
  }
}

void UnitRows::convolve_pixels(const float* row, std::ptrdiff_t y) noexcept {
  const std::ptrdiff_t block = (width_ + 2) * kBlock;
  float* out = between_.data() + y % 3 * unit_->out * (width_ + 2) + kBlock;
  for (std::ptrdiff_t o = 0; o < unit_->out; o += kPair, out += 2 * block) {
    const float* weights = unit_->pointwise.data() + o * unit_->in;
    const float* bias = unit_->pointwise_bias.data() + o;
    in_tiles(
        width_,
        [&](std::ptrdiff_t x) {
          pointwise_tile<kTile>(row + x * kBlock, width_, unit_->in, weights, bias, out + x * kBlock, block);
        },
        [&](std::ptrdiff_t x) {
          pointwise_tile<1>(row + x * kBlock, width_, unit_->in, weights, bias, out + x * kBlock, block);
        });
  }
}

const float* UnitRows::convolve(std::ptrdiff_t y) noexcept {
  const auto row_of = [&](std::ptrdiff_t row) {
    return row < 0 || row >= height_ ? zeros_ : between_.data() + row % 3 * unit_->out * (width_ + 2);
  };
  const std::array<const float*, 3> rows{row_of(y - 1), row_of(y), row_of(y + 1)};
  float* const out = out_.data() + y % 2 * unit_->out * width_;
  const Floats floor = least(unit_->rectified);
  for (std::ptrdiff_t channel = 0; channel < unit_->out; channel += kLanes) {
    const std::ptrdiff_t block = channel / kBlock, lane = channel % kBlock;
    std::array<Floats, 9> weights;
    for (std::size_t k = 0; k < 9; ++k)
      weights[k] = simd::load(unit_->depthwise.data() + (9 * block + static_cast<std::ptrdiff_t>(k)) * kBlock + lane);
    const Floats bias = simd::load(unit_->depthwise_bias.data() + channel);
    std::array<const float*, 3> from = rows;
    for (const float*& row : from) row += block * (width_ + 2) * kBlock + lane;
    float* to = out + block * width_ * kBlock + lane;
    std::ptrdiff_t x = 0;
    for (; x + kDepthwiseTile <= width_; x += kDepthwiseTile) {
      // Sums of neighbours don't wait for each other.
      Floats sums[kDepthwiseTile];
      for (std::ptrdiff_t i = 0; i < kDepthwiseTile; ++i) sums[i] = nine(from, x + i, weights);
      for (std::ptrdiff_t i = 0; i < kDepthwiseTile; ++i)
        simd::store(to + (x + i) * kBlock, simd::maximum(sums[i] + bias, floor));
    }
    for (; x < width_; ++x) simd::store(to + x * kBlock, simd::maximum(nine(from, x, weights) + bias, floor));
  }
  return out;
}

}  // namespace agegender::yunet
