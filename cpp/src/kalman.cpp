#include "agegender/kalman.hpp"

#include <cmath>

namespace agegender {
namespace {

// The diagonals of P0, Q and R in the paper's order x, y, s, r, and the velocities of x, y, s.
constexpr MotionCovariance kStart{10, 0, 10000};
constexpr double kRatioStart = 10;
constexpr double kValueDrift = 1;
constexpr double kCentreVelocityDrift = 0.01;
constexpr double kAreaVelocityDrift = 0.0001;
constexpr double kCentreNoise = 1;
constexpr double kShapeNoise = 10;

void predict(MotionCovariance& p, double velocity_drift) noexcept {
  p.value += 2 * p.cross + p.velocity + kValueDrift;
  p.cross += p.velocity;
  p.velocity += velocity_drift;
}

}  // namespace

KalmanBoxFilter::KalmanBoxFilter(const Box& box)
    : ratio_(0), centre_covariance_(kStart), area_covariance_(kStart), ratio_variance_(kRatioStart) {
  require_box(box);
  const double width = box.x2 - box.x1;
  const double height = box.y2 - box.y1;
  x_.value = box.x1 + width / 2;
  y_.value = box.y1 + height / 2;
  area_.value = width * height;
  ratio_ = width / height;
}

Box KalmanBoxFilter::predict() noexcept {
  if (area_.value + area_.velocity <= 0) area_.velocity = 0;
  for (Motion* motion : {&x_, &y_, &area_}) motion->value += motion->velocity;
  agegender::predict(centre_covariance_, kCentreVelocityDrift);
  agegender::predict(area_covariance_, kAreaVelocityDrift);
  ratio_variance_ += kValueDrift;
  return box();
}

void KalmanBoxFilter::update(const Box& box) {
  const KalmanBoxFilter measured(box);
  correct(x_, measured.x_.value, y_, measured.y_.value, centre_covariance_, kCentreNoise);
  const Gain area = gain(area_covariance_, kShapeNoise);
  correct(area_, area, measured.area_.value);
  correct(area_covariance_, area, kShapeNoise);
  const double ratio_gain = ratio_variance_ / (ratio_variance_ + kShapeNoise);
  ratio_ += ratio_gain * (measured.ratio_ - ratio_);
  ratio_variance_ = ratio_gain * kShapeNoise;
}

Box KalmanBoxFilter::box() const noexcept {
  const double width = std::sqrt(area_.value * ratio_);
  const double height = area_.value / width;
  return {x_.value - width / 2, y_.value - height / 2, x_.value + width / 2, y_.value + height / 2};
}

}  // namespace agegender
