#include "agegender/face_tracker.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace agegender {
namespace {

// Faces seldom overlap and their boxes jump by parts of their side: they are compared grown by so much on each side,
// the weak ones, whose boxes are worse, by more.
constexpr double kGrowth = 0.1;
constexpr double kWideGrowth = 0.3;
constexpr double kNewGrowth = 0.5;
constexpr double kMargin = 0.1;
constexpr double kRounding = 1e-6;  // scores come as float32
constexpr double kSamePlace = 0.04;
// A face that is lost has mostly stopped or turned: its expected speed falls to 1/e in so many seconds.
constexpr double kStopping = 0.2;
// After a longer gap nobody is where they were heading.
constexpr double kLongestStep = 1;

void require_number(bool in_range, const char* what, double value) {
  if (!in_range) throw std::invalid_argument(std::string(what) + ", got " + std::to_string(value));
}

// Between the centres, in sides of `from`.
double moved(const Box& to, const Box& from) {
  const double x = std::abs(to.x1 + to.x2 - from.x1 - from.x2) / 2;
  const double y = std::abs(to.y1 + to.y2 - from.y1 - from.y2) / 2;
  return std::max(x / (from.x2 - from.x1), y / (from.y2 - from.y1));
}

Box grown(const Box& box, double part) {
  const double x = part * (box.x2 - box.x1);
  const double y = part * (box.y2 - box.y1);
  return {box.x1 - x, box.y1 - y, box.x2 + x, box.y2 + y};
}

void append(std::vector<double>& numbers, const Box& box) {
  numbers.insert(numbers.end(), {box.x1, box.y1, box.x2, box.y2});
}

}  // namespace

FaceTracker::FaceTracker(const FaceTrackerOptions& options) : options_(options) {
  require_number(std::isfinite(options.threshold), "threshold must be a finite number", options.threshold);
  require_number(std::isfinite(options.evidence), "evidence must be a finite number", options.evidence);
  require_number(options.max_age >= 0, "max_age must be a number of seconds of 0 or more", options.max_age);
  require_number(options.iou_threshold >= 0 && options.iou_threshold <= 1, "iou_threshold must be in [0, 1]",
                 options.iou_threshold);
}

void FaceTracker::reset() noexcept {
  tracks_.clear();
  last_id_ = 0;
  started_ = false;
}

double FaceTracker::seconds_to(double time) const {
  require_number(std::isfinite(time) && !(started_ && time < time_), "time must be finite and must not go back", time);
  return started_ ? time - time_ : 0;
}

void FaceTracker::move_to(double time) {
  const double seconds = seconds_to(time);
  time_ = time;
  started_ = true;
  const auto gone = [&](const Track& track) { return track.misses > 0 && time - track.seen > options_.max_age; };
  tracks_.erase(std::remove_if(tracks_.begin(), tracks_.end(), gone), tracks_.end());
  for (Track& track : tracks_) {
    track.filter.predict(std::min(seconds, kLongestStep));
    if (track.misses > 0) track.filter.slow_down(std::exp(-seconds / kStopping));
  }
}

void FaceTracker::associate(const BoxesView& boxes, const std::vector<std::size_t>& rows, double growth) {
  free_.clear();
  for (std::size_t track = 0; track < tracks_.size(); ++track)
    if (!taken_[track]) free_.push_back(track);
  // What overlaps when it is grown by less does so when it is grown by more.
  const double most = std::max(growth, kNewGrowth);
  grown_rows_.clear();
  for (const std::size_t row : rows) append(grown_rows_, grown(boxes[row], most));
  grown_tracks_.clear();
  for (const std::size_t track : free_) append(grown_tracks_, grown(tracks_[track].filter.box(), most));
  finder_.find({grown_rows_.data(), rows.size(), 4}, {grown_tracks_.data(), free_.size(), 4}, overlaps_);
  const auto apart = [&](Overlap& overlap) {
    const Track& track = tracks_[free_[overlap.column]];
    const double part = track.moving ? growth : kNewGrowth;
    overlap.iou = iou(grown(boxes[rows[overlap.row]], part), grown(track.filter.box(), part));
    return !(overlap.iou > 0 && overlap.iou >= options_.iou_threshold);
  };
  overlaps_.erase(std::remove_if(overlaps_.begin(), overlaps_.end(), apart), overlaps_.end());
  pair_of_row_.resize(rows.size());
  matcher_.solve(overlaps_, rows.size(), free_.size(), pair_of_row_.data());
  for (std::size_t place = 0; place < rows.size(); ++place) {
    if (pair_of_row_[place] == kUnassigned) continue;
    const std::size_t track = free_[overlaps_[static_cast<std::size_t>(pair_of_row_[place])].column];
    track_of_[rows[place]] = static_cast<std::ptrdiff_t>(track);
    taken_[track] = true;
  }
}

std::int64_t FaceTracker::confirm(Track& track) {
  if (track.id == 0 && track.evidence >= options_.evidence - kRounding) track.id = ++last_id_;
  return track.id;
}

void FaceTracker::update(const BoxesView& boxes, const double* scores, double time, std::vector<std::int64_t>& ids) {
  require_boxes(boxes, "boxes");
  for (std::size_t row = 0; row < boxes.count; ++row)
    require_number(!std::isnan(scores[row]), "scores must be numbers", scores[row]);
  move_to(time);

  strong_.clear();
  weak_.clear();
  for (std::size_t row = 0; row < boxes.count; ++row)
    (scores[row] >= options_.threshold ? strong_ : weak_).push_back(row);
  track_of_.assign(boxes.count, kUnassigned);
  taken_.assign(tracks_.size(), false);
  associate(boxes, strong_, kGrowth);
  associate(boxes, weak_, kWideGrowth);

  const double base = options_.threshold - kMargin;
  ids.assign(boxes.count, 0);
  for (std::size_t row = 0; row < boxes.count; ++row) {
    if (track_of_[row] == kUnassigned) continue;
    Track& track = tracks_[static_cast<std::size_t>(track_of_[row])];
    track.filter.update(boxes[row]);
    track.seen = time;
    track.misses = 0;
    track.moving = true;
    // A poster or a screen gives the same weak answer for ever: it says something once.
    const bool elsewhere = moved(track.filter.box(), track.last_place) > kSamePlace;
    if (elsewhere) track.last_place = track.filter.box();
    if (elsewhere || scores[row] >= options_.threshold + kMargin - kRounding) track.evidence += scores[row] - base;
    ids[row] = confirm(track);
  }
  for (std::size_t place = 0; place < taken_.size(); ++place)
    if (!taken_[place]) ++tracks_[place].misses;
  const auto unconfirmed = [](const Track& track) { return track.misses > 0 && track.id == 0; };
  tracks_.erase(std::remove_if(tracks_.begin(), tracks_.end(), unconfirmed), tracks_.end());
  for (const std::size_t row : strong_)
    if (track_of_[row] == kUnassigned) {
      tracks_.push_back({ScaledBoxFilter(boxes[row]), boxes[row], time, scores[row] - base});
      ids[row] = confirm(tracks_.back());
    }
}

void FaceTracker::coast(double time, std::vector<FollowedBox>& shown) {
  move_to(time);
  shown.clear();
  for (const Track& track : tracks_)
    if (track.id > 0 && track.misses == 0) shown.push_back({track.filter.box(), track.id});
}

void FaceTracker::expected(double time, std::vector<FollowedBox>& boxes) const {
  const double seconds = std::min(seconds_to(time), kLongestStep);
  boxes.clear();
  for (const Track& track : tracks_) {
    ScaledBoxFilter filter = track.filter;
    filter.predict(seconds);
    boxes.push_back({filter.box(), track.id});
  }
}

}  // namespace agegender
