#include "fhog.hpp"

#include <algorithm>
#include <cmath>

#include "gradient.hpp"

namespace agegender {

using simd::Floats;
using simd::FourFloats;
using simd::kLanes;
using simd::load;
using simd::minimum;
using simd::round_up;
using simd::splat;
using simd::store;

namespace {

constexpr int kCell = HogFeatures::kCell;

/// How much of a pixel goes to the four cells around it, top left, top right, bottom left, bottom right, by its place
/// in the block of 8 x 8 pixels between the cells' centres.
struct BlockWeights {
  alignas(64) float of[kCell][kCell][4];
  constexpr BlockWeights() : of() {
    for (int y = 0; y < kCell; ++y)
      for (int x = 0; x < kCell; ++x) {
        const float right = (static_cast<float>(x) + 0.5f) / kCell, bottom = (static_cast<float>(y) + 0.5f) / kCell;
        of[y][x][0] = (1 - bottom) * (1 - right);
        of[y][x][1] = (1 - bottom) * right;
        of[y][x][2] = bottom * (1 - right);
        of[y][x][3] = bottom * right;
      }
  }
};
constexpr BlockWeights kWeights;

inline void add_pixel(float* bins, float strength, const float* weights) {
  store(bins, load<FourFloats>(bins) + strength * load<FourFloats>(weights));
}

}  // namespace

void HogExtractor::operator()(const PlanarImage& image, HogFeatures& features) {
  // As dlib has it: a last cell that is half there counts, and the cells at the edge have no features.
  cell_rows_ = static_cast<int>(static_cast<float>(image.height) / kCell + 0.5);
  cell_columns_ = static_cast<int>(static_cast<float>(image.width) / kCell + 0.5);
  features.rows = std::max(cell_rows_ - 2, 0);
  features.columns = std::max(cell_columns_ - 2, 0);
  if (features.rows == 0 || features.columns == 0) {
    features.rows = features.columns = 0;
    return;
  }
  features.stride =
      static_cast<std::size_t>(round_up(features.columns, 8) + HogFeatures::kBefore + HogFeatures::kBehind);
  simd::at_least(features.values, HogFeatures::kPlanes * static_cast<std::size_t>(features.rows) * features.stride);
  cell_stride_ = static_cast<std::size_t>(round_up(cell_columns_, 8) + 16);
  for (std::size_t i = 0; i < 2; ++i) {
    simd::at_least(blocks_[i], static_cast<std::size_t>(cell_columns_ + 1) * kSigned * 4);
    simd::at_least(cells_[i], kSigned * cell_stride_);
    simd::at_least(energy_[i], cell_stride_);
    simd::at_least(norm_[i], 2 * cell_stride_);
  }

  count_block_row(image, 0);
  for (int cell_row = 0; cell_row < cell_rows_; ++cell_row) {
    count_block_row(image, cell_row + 1);
    // write_features still needs the cells above these, and write_norms the energies above.
    sum_cells(cell_row);
    if (cell_row > 0) write_norms(cell_row);
    if (cell_row > 1) write_features(cell_row - 2, features);
  }
}

void HogExtractor::count_block_row(const PlanarImage& image, int block_row) {
  // Blocks lie between the centres of cells, so they start half a cell before them. Pixels at the picture's edge have
  // no gradient.
  const int end_y = std::min(cell_rows_ * kCell, image.height) - 1;
  const int end_x = std::min(cell_columns_ * kCell, image.width) - 1;
  const int tail = end_x > 8 ? 1 + (end_x - 1) / 8 * 8 : 1;
  const int top = block_row * kCell - kCell / 2;
  const int first_row = std::max(1 - top, 0), end_row = std::clamp(end_y - top, 0, kCell);
  float* block = blocks_[static_cast<std::size_t>(block_row % 2)].data();

  for (int first = 0; first <= cell_columns_; first += kChunk) {
    const int left = first * kCell - kCell / 2, blocks = std::min(kChunk, cell_columns_ + 1 - first);
    const int begin = std::max(left, 1), end = std::min(left + blocks * kCell, end_x);
    for (int y = first_row; y < end_row; ++y) {
      // Shifted so that column `left` is the chunk's first.
      std::uint8_t* direction = direction_.data() + y * kChunkPixels;
      float* strength = strength_.data() + y * kChunkPixels;
      if (begin < end) {
        RowNeighbours rows{};
        for (int channel = 0; channel < image.channels; ++channel) {
          const auto k = static_cast<std::size_t>(channel);
          rows.above[k] = image.row(channel, top + y - 1) + begin;
          rows.here[k] = image.row(channel, top + y) + begin;
          rows.below[k] = image.row(channel, top + y + 1) + begin;
        }
        row_gradients(rows, image.channels, 0, tail - begin, end - begin, direction + (begin - left),
                      strength + (begin - left));
      }
      std::fill_n(strength, begin - left, 0.0f);
      std::fill_n(direction, begin - left, std::uint8_t{0});
      const int rest = std::clamp(end - left, 0, blocks * kCell);
      std::fill(strength + rest, strength + blocks * kCell, 0.0f);
      std::fill(direction + rest, direction + blocks * kCell, std::uint8_t{0});
    }
    int i = 0;
    for (; i + 2 <= blocks; i += 2, block += 2 * kSigned * 4)
      count_blocks<2>(direction_.data() + i * kCell, strength_.data() + i * kCell, first_row, end_row, block);
    for (; i < blocks; ++i, block += kSigned * 4)
      count_blocks<1>(direction_.data() + i * kCell, strength_.data() + i * kCell, first_row, end_row, block);
  }
}

template <int kBlocks>
void HogExtractor::count_blocks(const std::uint8_t* direction, const float* strength, int first_row, int end_row,
                                float* blocks) {
  float* const even = bins_[0].data();
  float* const odd = bins_[1].data();
  for (int y = first_row; y < end_row; ++y) {
    const std::uint8_t* bins = direction + y * kChunkPixels;
    const float* values = strength + y * kChunkPixels;
#pragma GCC unroll 4
    for (int x = 0; x < kCell; x += 2)
#pragma GCC unroll 2
      for (int i = 0; i < kBlocks; ++i) {
        const int at = i * kCell + x;
        add_pixel(even + 4 * kBins * i + bins[at], values[at], kWeights.of[y][x]);
        add_pixel(odd + 4 * kBins * i + bins[at + 1], values[at + 1], kWeights.of[y][x + 1]);
      }
  }
  for (int i = 0; i < kBlocks; ++i, blocks += kSigned * 4) {
    float *first = even + 4 * kBins * i, *second = odd + 4 * kBins * i;
    add_pixel(first, 1, first + kSigned * 4);
    add_pixel(first, 1, second + kSigned * 4);
    // Not std::fill, which GCC makes a `rep stos`, slow for so few bytes.
    for (int k = 0; k < kSigned * 4; k += kLanes) {
      store(blocks + k, load(first + k) + load(second + k));
      store(first + k, Floats{});
      store(second + k, Floats{});
    }
    store(first + kSigned * 4, FourFloats{});
    store(second + kSigned * 4, FourFloats{});
  }
}

void HogExtractor::sum_cells(int cell_row) {
  const auto parity = static_cast<std::size_t>(cell_row % 2);
  const float *above = blocks_[parity].data(), *below = blocks_[1 - parity].data();
  float* cells = cells_[parity].data();
  for (int c = 0; c < cell_columns_; ++c, above += kSigned * 4, below += kSigned * 4) {
    const float *above_right = above + kSigned * 4, *below_right = below + kSigned * 4;
    for (int o = 0; o < kSigned; ++o)
      cells[static_cast<std::size_t>(o) * cell_stride_ + static_cast<std::size_t>(c)] =
          (below_right[4 * o] + below[4 * o + 1]) + (above_right[4 * o + 2] + above[4 * o + 3]);
  }
  for (std::size_t o = 0; o < kSigned; ++o)
    std::fill(cells + o * cell_stride_ + cell_columns_, cells + (o + 1) * cell_stride_, 0.0f);

  float* energy = energy_[parity].data();
  for (std::size_t c = 0; c < cell_stride_; c += kLanes) {
    Floats sum{};
    for (std::size_t o = 0; o < kUnsigned; ++o) {
      const Floats both = load(cells + o * cell_stride_ + c) + load(cells + (o + kUnsigned) * cell_stride_ + c);
      sum += both * both;
    }
    store(energy + c, sum);
  }
  // No feature is made of the last cell: zeros end each row of features.
  for (std::size_t o = 0; o < kSigned; ++o) cells[o * cell_stride_ + static_cast<std::size_t>(cell_columns_ - 1)] = 0;
}

void HogExtractor::write_norms(int cell_row) {
  const auto parity = static_cast<std::size_t>(cell_row % 2);
  const float *above = energy_[1 - parity].data(), *below = energy_[parity].data();
  float *limit = norm_[parity].data(), *factor = limit + cell_stride_;
  for (int c = 0; c + 1 < static_cast<int>(cell_stride_); ++c) {
    limit[c] = 0.2f * std::sqrt(((above[c] + above[c + 1]) + (below[c] + below[c + 1])) + 0.0001f);
    factor[c] = 0.1f / limit[c];
  }
}

void HogExtractor::write_features(int row, HogFeatures& features) {
  // The cells of this row are those of cell row + 1; the corners below them were written last.
  const auto parity = static_cast<std::size_t>(row % 2);
  const float* cells = cells_[1 - parity].data() + 1;
  const float *above = norm_[1 - parity].data(), *below = norm_[parity].data();
  for (int plane = 0; plane < HogFeatures::kPlanes; ++plane) {
    float* to = features.row(plane, row);
    std::fill(to - HogFeatures::kBefore, to, 0.0f);
    std::fill(to + round_up(features.columns, kLanes), to - HogFeatures::kBefore + features.stride, 0.0f);
  }
  for (int x = 0; x < features.columns; x += kLanes) {
    // The corners below right, above right, below left, above left: the order of the four sums.
    const float* corners[4] = {below + x + 1, above + x + 1, below + x, above + x};
    Floats limit[4], factor[4], sums[4] = {};
    for (int i = 0; i < 4; ++i) {
      limit[i] = load(corners[i]);
      factor[i] = load(corners[i] + cell_stride_);
    }
    for (int o = 0; o < kSigned; ++o) {
      const Floats cell = load(cells + static_cast<std::size_t>(o) * cell_stride_ + x);
      Floats sum{};
      for (int i = 0; i < 4; ++i) {
        const Floats value = minimum(cell, limit[i]) * factor[i];
        sums[i] += value;
        sum += value;
      }
      store(features.row(o, row) + x, sum);
    }
    for (int o = 0; o < kUnsigned; ++o) {
      const Floats cell = load(cells + static_cast<std::size_t>(o) * cell_stride_ + x) +
                          load(cells + static_cast<std::size_t>(o + kUnsigned) * cell_stride_ + x);
      Floats sum{};
      for (int i = 0; i < 4; ++i) sum += minimum(cell, limit[i]) * factor[i];
      store(features.row(kSigned + o, row) + x, sum);
    }
    for (int i = 0; i < 4; ++i) store(features.row(kSigned + kUnsigned + i, row) + x, sums[i] * splat(2 * 0.2357f));
  }
}

}  // namespace agegender
