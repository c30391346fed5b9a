// A tracker for faces: boxes with scores and the time of their frame in, ids out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agegender/box.hpp"
#include "agegender/overlap_matcher.hpp"
#include "agegender/overlaps.hpp"
#include "agegender/scaled_filter.hpp"

namespace agegender {

struct FaceTrackerOptions {
  double threshold = 0.6;  ///< least score of a detection that begins a track
  double evidence = 0.4;   ///< what the scores of a track, each above threshold - 0.1, must add up to for it to count
  double max_age = 1;      ///< seconds that a lost face is waited for, >= 0
  double iou_threshold = 0.25;  ///< least IoU of a detection and a track's expected box, both grown, in [0, 1]
};

struct FollowedBox {
  Box box;              ///< where the face is expected, pixels
  std::int64_t id = 0;  ///< counted from 1 in each tracker
};

/// Follows faces from frame to frame by overlap with their expected places.
///
/// What it has of others: weak detections carry a track on but begin none (Zhang et al., "ByteTrack", ECCV 2022), noise
/// in proportion to the box (DeepSORT), and a track once confirmed stays so. A lost face is expected to stop rather
/// than to go on. The options and constants were chosen by id changes on video clips: scripts/measure_tracks.py.
///
/// Thread safety: one thread at a time for each tracker; trackers share nothing.
class FaceTracker {
 public:
  /// Requires: options in their ranges, else std::invalid_argument.
  explicit FaceTracker(const FaceTrackerOptions& options = {});

  /// One frame with its detections, all of them or those near tracks; to be called for frames without any too.
  /// Requires: boxes that pass `require_boxes`, a score for each (no NaN), a finite time in seconds that is not before
  /// that of the last call; else std::invalid_argument and no change.
  /// Ensures: `ids` holds for each box the id of its confirmed track, or 0.
  void update(const BoxesView& boxes, const double* scores, double time, std::vector<std::int64_t>& ids);

  /// One frame without detections. Requires: time as `update`. Ensures: `shown` holds the confirmed tracks that the
  /// last update saw, oldest first, where they are expected by now.
  void coast(double time, std::vector<FollowedBox>& shown);

  /// Where all faces that are followed are expected at a time, those lost or not yet confirmed (id 0) too.
  /// Requires: time as `update`. Ensures: nothing changes.
  void expected(double time, std::vector<FollowedBox>& boxes) const;

  /// Forgets all tracks and the time; ids start from 1 again.
  void reset() noexcept;

  const FaceTrackerOptions& options() const noexcept { return options_; }

 private:
  struct Track {
    ScaledBoxFilter filter;  ///< at time_
    Box last_place;          ///< where it was when it last had moved
    double seen;             ///< time of its last detection, seconds
    double evidence;         ///< sum of its scores less threshold - 0.1
    int misses = 0;          ///< updates since its last detection
    bool moving = false;     ///< whether it has a speed: from its second detection on
    std::int64_t id = 0;     ///< 0 until it is confirmed
  };

  double seconds_to(double time) const;
  void move_to(double time);
  std::int64_t confirm(Track& track);
  void associate(const BoxesView& boxes, const std::vector<std::size_t>& rows, double growth);

  FaceTrackerOptions options_;
  std::vector<Track> tracks_;                ///< oldest first
  double time_ = 0;                          ///< of the last call, seconds
  bool started_ = false;                     ///< whether there was one
  std::int64_t last_id_ = 0;                 ///< the newest confirmed track's
  std::vector<std::size_t> strong_, weak_;   ///< rows of the boxes by their score
  std::vector<std::ptrdiff_t> track_of_;     ///< track of each box, or kUnassigned
  std::vector<bool> taken_;                  ///< tracks that have a box
  std::vector<std::size_t> free_;            ///< tracks without one
  std::vector<double> grown_rows_;           ///< boxes that look for a track, grown, 4 numbers each
  std::vector<double> grown_tracks_;         ///< boxes of the free tracks, grown, 4 numbers each
  OverlapFinder finder_;                     ///< and its scratch
  std::vector<Overlap> overlaps_;            ///< of these
  std::vector<std::ptrdiff_t> pair_of_row_;  ///< the matcher's answer
  OverlapMatcher matcher_;                   ///< and its scratch
};

}  // namespace agegender
