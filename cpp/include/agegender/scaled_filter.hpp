// A constant-velocity Kalman filter for one box, in seconds, with noise in proportion to the box.
#pragma once

#include "agegender/box.hpp"
#include "agegender/motion.hpp"

namespace agegender {

/// Follows a box by its centre and size. A large box moves, changes and errs by more pixels than a small one: all noise
/// is in sides of the box, after Wojke et al., "Simple online and realtime tracking with a deep association metric",
/// ICIP 2017. Steps are seconds, so that frames may come at any rate and may be missing.
///
/// The noise is equal in both directions, so the 8-state filter falls apart into four of a value and a velocity, and
/// each two share one covariance.
///
/// Thread safety: none; one thread at a time.
class ScaledBoxFilter {
 public:
  /// Requires: `box` passes `require_boxes`, else std::invalid_argument. Ensures: at rest, box() equals `box`.
  explicit ScaledBoxFilter(const Box& box);

  /// So many seconds on. Requires: finite and 0 or more. Ensures: a side that would shrink below a pixel has one.
  void predict(double seconds) noexcept;

  /// Takes in a measured box. Requires: as the constructor, else std::invalid_argument and no change.
  void update(const Box& box);

  /// Multiplies all velocities, by a number in [0, 1].
  void slow_down(double factor) noexcept;

  /// The present estimate.
  Box box() const noexcept;

 private:
  double side() const noexcept;

  Motion x_;                            ///< centre, pixels
  Motion y_;                            ///< centre, pixels
  Motion width_;                        ///< pixels
  Motion height_;                       ///< pixels
  MotionCovariance centre_covariance_;  ///< of x_ and of y_, square pixels
  MotionCovariance size_covariance_;    ///< of width_ and of height_, square pixels
};

}  // namespace agegender
