#include "agegender/scaled_filter.hpp"

#include <algorithm>
#include <cmath>

namespace agegender {
namespace {

// Standard deviations in sides of the box, and per second.
constexpr double kNoise = 0.05;
constexpr double kFirstSpeed = 2;
constexpr double kFirstGrowth = 0.5;
constexpr double kAcceleration = 4;
constexpr double kGrowthChange = 0.3;

constexpr double square(double value) { return value * value; }

// White noise on the acceleration, which adds up over the time.
void predict(MotionCovariance& p, double seconds, double density) noexcept {
  p.value += seconds * (2 * p.cross + seconds * p.velocity) + density * seconds * seconds * seconds / 3;
  p.cross += seconds * p.velocity + density * seconds * seconds / 2;
  p.velocity += density * seconds;
}

}  // namespace

ScaledBoxFilter::ScaledBoxFilter(const Box& box)
    : x_{(require_box(box).x1 + box.x2) / 2, 0},
      y_{(box.y1 + box.y2) / 2, 0},
      width_{box.x2 - box.x1, 0},
      height_{box.y2 - box.y1, 0} {
  const double noise = square(2 * kNoise * side());
  centre_covariance_ = {noise, 0, square(kFirstSpeed * side())};
  size_covariance_ = {noise, 0, square(kFirstGrowth * side())};
}

double ScaledBoxFilter::side() const noexcept { return std::sqrt(width_.value * height_.value); }

void ScaledBoxFilter::predict(double seconds) noexcept {
  agegender::predict(centre_covariance_, seconds, square(kAcceleration * side()));
  agegender::predict(size_covariance_, seconds, square(kGrowthChange * side()));
  for (Motion* motion : {&x_, &y_, &width_, &height_}) motion->value += seconds * motion->velocity;
  for (Motion* motion : {&width_, &height_}) motion->value = std::max(motion->value, 1.0);
}

void ScaledBoxFilter::update(const Box& box) {
  const ScaledBoxFilter measured(box);
  const double noise = square(kNoise * side());
  correct(x_, measured.x_.value, y_, measured.y_.value, centre_covariance_, noise);
  correct(width_, measured.width_.value, height_, measured.height_.value, size_covariance_, noise);
  for (Motion* motion : {&width_, &height_}) motion->value = std::max(motion->value, 1.0);
}

void ScaledBoxFilter::slow_down(double factor) noexcept {
  for (Motion* motion : {&x_, &y_, &width_, &height_}) motion->velocity *= factor;
}

Box ScaledBoxFilter::box() const noexcept {
  return {x_.value - width_.value / 2, y_.value - height_.value / 2, x_.value + width_.value / 2,
          y_.value + height_.value / 2};
}

}  // namespace agegender
