// Linear filters over the planes of HOG features.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "fhog.hpp"
#include "simd.hpp"

namespace agegender {

/// The detectors' filters, each a sum of products of a row and a column: for every plane a few of them. A window is
/// kSize x kSize cells, and may reach beyond the features by kBefore cells before and kSize - 1 - kBefore behind.
/// Immutable while it is used: any number of threads may scan with it.
class HogFilters {
 public:
  static constexpr int kSize = 10;  ///< cells
  using Taps = std::array<float, kSize>;

  explicit HogFilters(int detectors) : detectors_(detectors) {}
  /// Filters of one plane must be added detector by detector.
  void add(int plane, int detector, const Taps& row, const Taps& column);

  int detectors() const { return detectors_; }
  /// What they add up to in one plane, row by row of the window.
  std::array<Taps, kSize> window(int detector, int plane) const;

 private:
  friend class HogScanner;
  struct Separable {
    int detector;
    Taps row, column;
  };
  int detectors_;
  std::array<std::vector<Separable>, HogFeatures::kPlanes> planes_;
  std::size_t most_ = 0;  ///< filters of a plane
};

/// Scores of all windows. Holds scratch memory: one object a thread.
class HogScanner {
 public:
  /// One score a detector and feature cell: window (r, c) covers the rows r - 4 .. r + 5, likewise the columns; what
  /// lies outside the features counts as 0. Equal to dlib's scan but for the order of additions of floats.
  void operator()(const HogFeatures& features, const HogFilters& filters);

  /// Of the last scan: the scores of a row of windows, features.columns of them.
  const float* scores(int detector, int row) const {
    return scores_.data() + static_cast<std::size_t>(detector * rows_ + row) * stride_;
  }

 private:
  void filter_rows(const HogFeatures& features, int plane, int column,
                   const std::vector<HogFilters::Separable>& filters);
  void filter_columns(const float* filtered, const HogFilters::Taps& taps, float* scores) const;

  int rows_ = 0;                  ///< cells
  std::size_t stride_ = 0;        ///< floats from row to row of scores
  simd::Buffer<float> filtered_;  ///< (filters, rows + kSize - 1, kLanes): one strip of columns of one plane
  simd::Buffer<float> scores_;    ///< (detectors, rows, columns)
};

/// The same filters as whole windows, for few places. Immutable while it is used.
class HogWindows {
 public:
  explicit HogWindows(const HogFilters& filters);

  /// The score that HogScanner gives to window (row, column), but for the order of additions of floats.
  float score(const HogFeatures& features, int detector, int row, int column) const;

 private:
  static constexpr int kWidth = 16;  ///< the taps of a row and zeros
  static_assert(HogFeatures::kBehind + HogFeatures::kBefore >= kWidth, "a row of taps reads past the features");
  simd::Buffer<float> taps_;  ///< (detectors, planes, kSize, kWidth)
};

}  // namespace agegender
