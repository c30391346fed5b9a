// A cheap estimate of the HOG detectors' scores, so that only windows that may hold a face are scored in full.
#pragma once

#include <vector>

#include "fhog.hpp"
#include "hog_scan.hpp"

namespace agegender {

/// The detectors' filters over a few directions of the space of features in place of all planes, each cut down to two
/// separable terms. Immutable while it is used.
class HogEstimate {
 public:
  static constexpr int kDetectors = 5;

  explicit HogEstimate(const HogFilters& filters);

  /// The features' shares of the directions, in the first planes of `outline`.
  void project(const HogFeatures& features, HogFeatures& outline) const;
  /// Filters of `outline`: their score is near that of all filters over all planes.
  const HogFilters& filters() const { return filters_; }
  /// How far below a detector's threshold its estimate may lie where there is a face.
  static double slack(int detector);

 private:
  HogFilters filters_;
};

}  // namespace agegender
