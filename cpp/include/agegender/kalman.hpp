// The constant-velocity Kalman filter of SORT for one box.
#pragma once

#include "agegender/box.hpp"
#include "agegender/motion.hpp"

namespace agegender {

/// Follows a box by its centre, area and aspect ratio, one step a frame.
///
/// SORT's noise matrices are diagonal, so its 7-state filter falls apart into three filters of a value and a velocity
/// (x, y, area) and one of a value alone (ratio), exactly; x and y have the same noise and share one covariance.
///
/// Thread safety: none; one thread at a time. Source: Bewley et al., "Simple online and realtime tracking", ICIP 2016.
class KalmanBoxFilter {
 public:
  /// Requires: `box` passes `require_boxes`, else std::invalid_argument. Ensures: at rest, box() equals `box` up to
  /// rounding.
  explicit KalmanBoxFilter(const Box& box);

  /// One frame on. Ensures: an area that would shrink to 0 or below stands still instead; returns box().
  Box predict() noexcept;

  /// Takes in a measured box. Requires: as the constructor, else std::invalid_argument and no change.
  void update(const Box& box);

  /// The present estimate. Ensures: the width is sqrt(area ratio), the height area / width; NaN if the area or the
  /// ratio left the positive numbers.
  Box box() const noexcept;

  // The state is open to read: tests, and noise models that other trackers choose.
  const Motion& x() const noexcept { return x_; }
  const Motion& y() const noexcept { return y_; }
  const Motion& area() const noexcept { return area_; }
  double ratio() const noexcept { return ratio_; }
  const MotionCovariance& centre_covariance() const noexcept { return centre_covariance_; }
  const MotionCovariance& area_covariance() const noexcept { return area_covariance_; }
  double ratio_variance() const noexcept { return ratio_variance_; }

 private:
  Motion x_;                            ///< centre, pixels
  Motion y_;                            ///< centre, pixels
  Motion area_;                         ///< square pixels
  double ratio_;                        ///< width / height
  MotionCovariance centre_covariance_;  ///< of x_ and of y_, square pixels
  MotionCovariance area_covariance_;    ///< of area_, pixels to the 4th
  double ratio_variance_;               ///< of ratio_
};

}  // namespace agegender
