// A number that moves at a nearly constant speed, and how well it is known.
#pragma once

namespace agegender {

/// A value and its velocity per step, which is a frame or a second.
struct Motion {
  double value = 0;     ///< pixels, or square pixels for an area
  double velocity = 0;  ///< the same per step
};

/// Covariance of a `Motion`.
struct MotionCovariance {
  double value = 0;     ///< variance of the value
  double cross = 0;     ///< covariance of value and velocity
  double velocity = 0;  ///< variance of the velocity
};

/// Kalman's correction of a state by a measured value of that variance. Thread safety: pure but for `state`.
inline void correct(Motion& state, const MotionCovariance& p, double noise, double measured) noexcept {
  const double step = (measured - state.value) / (p.value + noise);
  state.value += p.value * step;
  state.velocity += p.cross * step;
}

/// The covariance after that correction.
inline void correct(MotionCovariance& p, double noise) noexcept {
  const double total = p.value + noise;
  p.velocity -= p.cross * p.cross / total;
  p.value *= noise / total;
  p.cross *= noise / total;
}

}  // namespace agegender
