// SORT: boxes of one frame after the other in, boxes with ids out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agegender/box.hpp"
#include "agegender/kalman.hpp"
#include "agegender/overlap_matcher.hpp"
#include "agegender/overlaps.hpp"

namespace agegender {

struct SortOptions {
  int max_age = 1;              ///< updates in a row that a track survives without a detection, >= 0
  int min_hits = 3;             ///< updates in a row, after its first, that a track needs to be shown, >= 0
  double iou_threshold = 0.3;   ///< least IoU of a detection and a track's predicted box, in [0, 1]
  bool keep_confirmed = false;  ///< beyond SORT: a track once shown is shown again at its first hit after a miss
};

struct TrackedBox {
  Box box;                        ///< the filter's estimate, pixels
  std::int64_t id = 0;            ///< counted from 1 in each tracker
  std::ptrdiff_t detection = -1;  ///< row of the update's boxes that the track took, -1 after coast()
};

/// Follows boxes from frame to frame by overlap with their predicted places.
/// Thread safety: one thread at a time for each tracker; trackers share nothing.
/// Source: Bewley et al., "Simple online and realtime tracking", ICIP 2016, with the association shortcut of the
/// authors' program.
class SortTracker {
 public:
  /// Requires: options in their ranges, else std::invalid_argument.
  explicit SortTracker(const SortOptions& options = {});

  /// One frame with a detection pass; to be called for frames without detections too.
  /// Requires: boxes that pass `require_boxes`, else std::invalid_argument and no change.
  /// Ensures: `shown` holds the tracks that took a detection and are confirmed, newest first. Allocates only while the
  /// number of boxes or tracks grows past what was seen before.
  void update(const BoxesView& boxes, std::vector<TrackedBox>& shown);

  /// One frame without a detection pass: all tracks move, and no count of hits or misses does, so that max_age and
  /// min_hits count detection passes. Ensures: `shown` holds the tracks that the last update showed, moved on.
  void coast(std::vector<TrackedBox>& shown);

  /// Forgets all tracks; ids start from 1 again.
  void reset() noexcept;

  /// From the next update on another max_age: for a limit in seconds, which differs with the rate of the updates.
  /// Requires: >= 0, else std::invalid_argument.
  void set_max_age(int max_age);

  const SortOptions& options() const noexcept { return options_; }

 private:
  struct Track {
    KalmanBoxFilter filter;         ///< pixels
    std::int64_t id;                ///< from 1
    std::ptrdiff_t detection;       ///< row of the last update's boxes
    std::int64_t hit_streak = 0;    ///< updates in a row with a detection, after the first
    std::int64_t since_update = 0;  ///< updates since the last detection
    bool shown = false;             ///< by the last update
    bool confirmed = false;         ///< was shown once
  };

  void move_tracks();
  void associate(const BoxesView& boxes);

  SortOptions options_;
  std::vector<Track> tracks_;          ///< oldest first
  std::int64_t frames_ = 0;            ///< updates so far
  std::int64_t last_id_ = 0;           ///< the newest track's
  std::vector<double> predicted_;      ///< box of each track, 4 numbers each
  OverlapFinder finder_;               ///< and its scratch
  std::vector<Overlap> overlaps_;      ///< of detections and predicted boxes
  std::vector<char> taken_;            ///< tracks that have a detection
  std::vector<std::ptrdiff_t> match_;  ///< track of each detection, kUnassigned or kDropped
  OverlapMatcher matcher_;             ///< and its scratch
};

}  // namespace agegender
