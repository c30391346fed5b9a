#include "agegender/sort.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace agegender {
namespace {

constexpr std::ptrdiff_t kDropped = -2;  // assigned, but to a track that is too far off

void require_count(int value, const char* name) {
  if (value < 0) throw std::invalid_argument(std::string(name) + " must be 0 or more, got " + std::to_string(value));
}

}  // namespace

SortTracker::SortTracker(const SortOptions& options) : options_(options) {
  require_count(options.max_age, "max_age");
  require_count(options.min_hits, "min_hits");
  if (!(options.iou_threshold >= 0 && options.iou_threshold <= 1))
    throw std::invalid_argument("iou_threshold must be in [0, 1], got " + std::to_string(options.iou_threshold));
}

void SortTracker::set_max_age(int max_age) {
  require_count(max_age, "max_age");
  options_.max_age = max_age;
}

void SortTracker::reset() noexcept {
  tracks_.clear();
  frames_ = last_id_ = 0;
}

// Tracks whose box is no longer a number are lost.
void SortTracker::move_tracks() {
  predicted_.clear();
  auto kept = tracks_.begin();
  for (Track& track : tracks_) {
    const Box box = track.filter.predict();
    if (!std::isfinite(box.x1 + box.y1 + box.x2 + box.y2)) continue;
    predicted_.insert(predicted_.end(), {box.x1, box.y1, box.x2, box.y2});
    if (&*kept != &track) *kept = track;
    ++kept;
  }
  tracks_.erase(kept, tracks_.end());
}

void SortTracker::associate(const BoxesView& boxes) {
  const std::size_t columns = tracks_.size();
  finder_.find(boxes, {predicted_.data(), columns, 4}, overlaps_);
  match_.assign(boxes.count, kUnassigned);
  taken_.assign(columns, false);

  // Where each box overlaps one track clearly and the other way round, the authors take these pairs as they are, even
  // if an assignment would have had a greater total.
  bool any = false;
  bool unique = true;
  for (const Overlap& overlap : overlaps_) {
    if (!(overlap.iou > options_.iou_threshold)) continue;
    any = true;
    unique = match_[overlap.row] == kUnassigned && !taken_[overlap.column];
    if (!unique) break;
    match_[overlap.row] = overlap.column;
    taken_[overlap.column] = true;
  }
  if (any && unique) return;

  matcher_.solve(overlaps_, boxes.count, columns, match_.data());
  taken_.assign(columns, false);
  for (std::ptrdiff_t& match : match_) {
    if (match == kUnassigned) continue;
    const Overlap& overlap = overlaps_[static_cast<std::size_t>(match)];
    match = overlap.iou < options_.iou_threshold ? kDropped : static_cast<std::ptrdiff_t>(overlap.column);
    taken_[overlap.column] = true;
  }
  if (options_.iou_threshold > 0) return;
  // An assignment over the full matrix pairs those that overlap nothing, too, and an IoU of 0 is not below 0.
  std::size_t column = 0;
  for (std::ptrdiff_t& match : match_) {
    while (column < columns && taken_[column]) ++column;
    if (match == kUnassigned && column < columns) match = static_cast<std::ptrdiff_t>(column++);
  }
}

void SortTracker::update(const BoxesView& boxes, std::vector<TrackedBox>& shown) {
  require_boxes(boxes, "boxes");
  ++frames_;
  move_tracks();
  for (Track& track : tracks_)
    if (track.since_update++ > 0) track.hit_streak = 0;
  associate(boxes);

  for (std::size_t row = 0; row < boxes.count; ++row) {
    if (match_[row] < 0) continue;
    Track& track = tracks_[static_cast<std::size_t>(match_[row])];
    track.filter.update(boxes[row]);
    track.detection = static_cast<std::ptrdiff_t>(row);
    track.since_update = 0;
    ++track.hit_streak;
  }
  for (const std::ptrdiff_t without : {kUnassigned, kDropped})
    for (std::size_t row = 0; row < boxes.count; ++row)
      if (match_[row] == without)
        tracks_.push_back({KalmanBoxFilter(boxes[row]), ++last_id_, static_cast<std::ptrdiff_t>(row)});

  shown.clear();
  for (auto track = tracks_.rbegin(); track != tracks_.rend(); ++track) {
    const bool confirmed = track->hit_streak >= options_.min_hits || frames_ <= options_.min_hits ||
                           (options_.keep_confirmed && track->confirmed);
    track->shown = track->since_update == 0 && confirmed;
    track->confirmed = track->confirmed || track->shown;
    if (track->shown) shown.push_back({track->filter.box(), track->id, track->detection});
  }
  const auto lost = [&](const Track& track) { return track.since_update > options_.max_age; };
  tracks_.erase(std::remove_if(tracks_.begin(), tracks_.end(), lost), tracks_.end());
}

void SortTracker::coast(std::vector<TrackedBox>& shown) {
  move_tracks();
  shown.clear();
  for (auto track = tracks_.rbegin(); track != tracks_.rend(); ++track)
    if (track->shown) shown.push_back({track->filter.box(), track->id, -1});
}

}  // namespace agegender
