#include "hog_estimate.hpp"

#include <dlib/matrix.h>

#include <algorithm>
#include <cstddef>

namespace agegender {

using simd::Floats;
using simd::kLanes;
using simd::load;
using simd::splat;
using simd::store;

namespace {

constexpr int kSize = HogFilters::kSize;
constexpr int kTerms = 2;  ///< separable terms of a filter

#include "hog_estimate_table.inc"

}  // namespace

HogEstimate::HogEstimate(const HogFilters& filters) : filters_(filters.detectors()) {
  using Matrix = dlib::matrix<double, kSize, kSize>;
  for (int direction = 0; direction < kDirections; ++direction)
    for (int detector = 0; detector < filters.detectors(); ++detector) {
      Matrix whole = dlib::zeros_matrix<double>(kSize, kSize);
      for (int plane = 0; plane < HogFeatures::kPlanes; ++plane) {
        const auto window = filters.window(detector, plane);
        for (long y = 0; y < kSize; ++y)
          for (long x = 0; x < kSize; ++x)
            whole(y, x) += static_cast<double>(kFilterShares[direction][plane]) *
                           static_cast<double>(window[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)]);
      }
      Matrix left, right;
      dlib::matrix<double, kSize, 1> strength;
      dlib::svd3(whole, left, strength, right);
      for (int term = 0; term < kTerms; ++term) {
        const long k = dlib::index_of_max(strength);
        HogFilters::Taps row, column;
        for (long i = 0; i < kSize; ++i) {
          column[static_cast<std::size_t>(i)] = static_cast<float>(left(i, k) * strength(k));
          row[static_cast<std::size_t>(i)] = static_cast<float>(right(i, k));
        }
        filters_.add(direction, detector, row, column);
        strength(k) = -1;
      }
    }
}

void HogEstimate::project(const HogFeatures& features, HogFeatures& outline) const {
  outline.rows = features.rows;
  outline.columns = features.columns;
  outline.stride = features.stride;
  simd::at_least(outline.values, kDirections * static_cast<std::size_t>(features.rows) * features.stride);
  constexpr int kAtOnce = 2 * kLanes;
  static_assert(HogFeatures::kBehind >= kAtOnce, "whole vectors at the end of a row");
  const int end = simd::round_up(features.columns, kAtOnce);
  for (int r = 0; r < features.rows; ++r) {
    for (int i = 0; i < kDirections; ++i) {
      float* row = outline.row(i, r);
      std::fill(row - HogFeatures::kBefore, row, 0.0f);
      std::fill(row + end, row - HogFeatures::kBefore + features.stride, 0.0f);
    }
    for (int x = 0; x < end; x += kAtOnce) {
      Floats left[kDirections] = {}, right[kDirections] = {};
      for (int plane = 0; plane < HogFeatures::kPlanes; ++plane) {
        const float* from = features.row(plane, r) + x;
        const Floats first = load(from), second = load(from + kLanes);
        for (int i = 0; i < kDirections; ++i) {
          left[i] += first * splat(kFeatureShares[i][plane]);
          right[i] += second * splat(kFeatureShares[i][plane]);
        }
      }
      for (int i = 0; i < kDirections; ++i) {
        store(outline.row(i, r) + x, left[i]);
        store(outline.row(i, r) + x + kLanes, right[i]);
      }
    }
  }
}

double HogEstimate::slack(int detector) { return kSlack[detector]; }

}  // namespace agegender
