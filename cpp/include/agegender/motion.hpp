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

/// How far a measured value moves a `Motion`.
struct Gain {
  double value = 0;     ///< in [0, 1]
  double velocity = 0;  ///< per step
};

/// Kalman's gain for a measurement of that variance. Thread safety: pure, as all here.
inline Gain gain(const MotionCovariance& p, double noise) noexcept {
  const double total = p.value + noise;
  return {p.value / total, p.cross / total};
}

/// Kalman's correction of a state by a measured value.
inline void correct(Motion& state, const Gain& gain, double measured) noexcept {
  const double innovation = measured - state.value;
  state.value += gain.value * innovation;
  state.velocity += gain.velocity * innovation;
}

/// The covariance after that correction, with the noise that the gain was made for.
inline void correct(MotionCovariance& p, const Gain& gain, double noise) noexcept {
  p.velocity -= gain.velocity * p.cross;
  p.value = gain.value * noise;
  p.cross = gain.velocity * noise;
}

/// Kalman's correction of two states that share one covariance, such as x and y.
inline void correct(Motion& a, double measured_a, Motion& b, double measured_b, MotionCovariance& p,
                    double noise) noexcept {
  const Gain shared = gain(p, noise);
  correct(a, shared, measured_a);
  correct(b, shared, measured_b);
  correct(p, shared, noise);
}

}  // namespace agegender
