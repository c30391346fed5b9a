#include "hog_scan.hpp"

#include <algorithm>
#include <numeric>

namespace agegender {

using simd::Floats;
using simd::kLanes;
using simd::load;
using simd::round_up;
using simd::splat;
using simd::store;

namespace {

constexpr int kSize = HogFilters::kSize;
constexpr int kBefore = HogFeatures::kBefore;
static_assert(HogFeatures::kBehind >= kSize - 1 - kBefore + kLanes, "a strip of columns reads past the features");

}  // namespace

void HogFilters::add(int plane, int detector, const Taps& row, const Taps& column) {
  auto& filters = planes_[static_cast<std::size_t>(plane)];
  filters.push_back({detector, row, column});
  most_ = std::max(most_, filters.size());
}

std::array<HogFilters::Taps, kSize> HogFilters::window(int detector, int plane) const {
  std::array<Taps, kSize> sum{};
  for (const auto& filter : planes_[static_cast<std::size_t>(plane)])
    if (filter.detector == detector)
      for (std::size_t y = 0; y < kSize; ++y)
        for (std::size_t x = 0; x < kSize; ++x) sum[y][x] += filter.column[y] * filter.row[x];
  return sum;
}

HogWindows::HogWindows(const HogFilters& filters)
    : taps_(static_cast<std::size_t>(filters.detectors() * HogFeatures::kPlanes * kSize * kWidth)) {
  float* to = taps_.data();
  for (int detector = 0; detector < filters.detectors(); ++detector)
    for (int plane = 0; plane < HogFeatures::kPlanes; ++plane)
      for (const auto& row : filters.window(detector, plane)) {
        std::copy(row.begin(), row.end(), to);
        to += kWidth;
      }
}

float HogWindows::score(const HogFeatures& features, int detector, int row, int column) const {
  const float* taps = taps_.data() + static_cast<std::size_t>(detector * HogFeatures::kPlanes * kSize * kWidth);
  const int top = row - kBefore, begin = std::max(-top, 0), end = std::min(features.rows - top, kSize);
  std::array<Floats, kWidth / kLanes> sums{};
  for (int plane = 0; plane < HogFeatures::kPlanes; ++plane, taps += kSize * kWidth)
    for (int y = begin; y < end; ++y) {
      const float* from = features.row(plane, top + y) + column - kBefore;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const int x = static_cast<int>(i) * kLanes;
        sums[i] += load(from + x) * load(taps + y * kWidth + x);
      }
    }
  std::array<float, kWidth> lanes{};
  for (std::size_t i = 0; i < sums.size(); ++i) store(lanes.data() + i * kLanes, sums[i]);
  return std::accumulate(lanes.begin(), lanes.end(), 0.0f);
}

void HogScanner::operator()(const HogFeatures& features, const HogFilters& filters) {
  rows_ = features.rows;
  stride_ = static_cast<std::size_t>(round_up(features.columns, 8));
  const std::size_t scores = static_cast<std::size_t>(filters.detectors_ * rows_) * stride_;
  const std::size_t strip = static_cast<std::size_t>((rows_ + kSize - 1) * kLanes);
  simd::at_least(scores_, scores);
  std::fill_n(scores_.begin(), scores, 0.0f);
  simd::at_least(filtered_, filters.most_ * strip);
  // Rows outside the features stay 0 for all planes.
  for (std::size_t i = 0; i < filters.most_; ++i) {
    float* rows = filtered_.data() + i * strip;
    std::fill_n(rows, kBefore * kLanes, 0.0f);
    std::fill(rows + (kBefore + rows_) * kLanes, rows + strip, 0.0f);
  }
  // Strip by strip: a strip's scores and filtered rows stay in the first cache for all planes.
  for (int column = 0; column < features.columns; column += kLanes)
    for (int plane = 0; plane < HogFeatures::kPlanes; ++plane) {
      const auto& separable = filters.planes_[static_cast<std::size_t>(plane)];
      if (separable.empty()) continue;
      filter_rows(features, plane, column, separable);
      for (std::size_t i = 0; i < separable.size(); ++i)
        filter_columns(filtered_.data() + i * strip, separable[i].column,
                       scores_.data() + static_cast<std::size_t>(separable[i].detector * rows_) * stride_ + column);
    }
}

void HogScanner::filter_rows(const HogFeatures& features, int plane, int column,
                             const std::vector<HogFilters::Separable>& filters) {
  const std::size_t strip = static_cast<std::size_t>((rows_ + kSize - 1) * kLanes);
  for (int r = 0; r < rows_; ++r) {
    const float* from = features.row(plane, r) + column - kBefore;
    Floats cells[kSize];
    for (int n = 0; n < kSize; ++n) cells[n] = load(from + n);
    float* to = filtered_.data() + (kBefore + r) * kLanes;
    for (const auto& filter : filters) {
      Floats even = cells[0] * splat(filter.row[0]), odd = cells[1] * splat(filter.row[1]);
      for (std::size_t n = 2; n < kSize; n += 2) {
        even += cells[n] * splat(filter.row[n]);
        odd += cells[n + 1] * splat(filter.row[n + 1]);
      }
      store(to, even + odd);
      to += strip;
    }
  }
}

void HogScanner::filter_columns(const float* filtered, const HogFilters::Taps& taps, float* scores) const {
  Floats tap[kSize];
  for (std::size_t m = 0; m < kSize; ++m) tap[m] = splat(taps[m]);
  int r = 0;
  // Four windows at a time: each filtered row is loaded once for all of them.
  for (; r + 4 <= rows_; r += 4, filtered += 4 * kLanes, scores += 4 * stride_) {
    Floats sum[4];
    for (std::size_t i = 0; i < 4; ++i) sum[i] = load(scores + i * stride_);
#pragma GCC unroll 16
    for (int m = 0; m < kSize; ++m)
      for (int i = 0; i < 4; ++i) sum[i] += load(filtered + (m + i) * kLanes) * tap[m];
    for (std::size_t i = 0; i < 4; ++i) store(scores + i * stride_, sum[i]);
  }
  for (; r < rows_; ++r, filtered += kLanes, scores += stride_) {
    Floats sum = load(scores);
    for (int m = 0; m < kSize; ++m) sum += load(filtered + m * kLanes) * tap[m];
    store(scores, sum);
  }
}

}  // namespace agegender
