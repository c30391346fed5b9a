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
    *kept++ = track;
  }
  tracks_.erase(kept, tracks_.end());
}

void SortTracker::associate(const BoxesView& boxes) {
  const std::size_t columns = tracks_.size();
  ious_.resize(boxes.count * columns);
  iou_matrix(boxes, {predicted_.data(), columns, 4}, ious_.data());

  // Where each box overlaps one track clearly and the other way round, the authors take these pairs as they are, even
  // if an assignment would have had a greater total.
  match_.assign(boxes.count, kUnassigned);
  marks_.assign(columns, 0);
  bool any = false;
  bool unique = true;
  for (std::size_t row = 0; row < boxes.count && unique; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      if (!(ious_[row * columns + column] > options_.iou_threshold)) continue;
      any = true;
      unique = unique && match_[row] == kUnassigned && ++marks_[column] == 1;
      match_[row] = static_cast<std::ptrdiff_t>(column);
    }
  }
  if (any && unique) return;

  solver_.solve({ious_.data(), boxes.count, columns}, true, match_.data());
  for (std::size_t row = 0; row < boxes.count; ++row)
    if (match_[row] != kUnassigned &&
        ious_[row * columns + static_cast<std::size_t>(match_[row])] < options_.iou_threshold)
      match_[row] = kDropped;
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
