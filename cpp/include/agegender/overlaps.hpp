// Which boxes of one set overlap which of another, without comparing all pairs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agegender/box.hpp"

namespace agegender {

/// A box of the one set and a box of the other that share some area.
struct Overlap {
  std::uint32_t row = 0;     ///< of the first set
  std::uint32_t column = 0;  ///< of the second set
  double iou = 0;            ///< above 0
};

/// Finds overlaps frame after frame and keeps its scratch memory: it allocates only when a frame has more boxes than
/// any before.
///
/// The boxes of the second set are sorted into strips along the axis on which they spread the most, and each box of the
/// first is compared with those in the strips that it touches. Boxes much longer than the others are in no strip; they
/// are compared with every box.
///
/// Thread safety: one thread at a time for each finder.
class OverlapFinder {
 public:
  /// Requires: finite boxes, fewer than 2^32 of each set. Ensures: `overlaps` holds each pair with an IoU above 0 once,
  /// row after row. O(n + p) time for n boxes of which p pairs share a strip.
  void find(const BoxesView& rows, const BoxesView& columns, std::vector<Overlap>& overlaps);

 private:
  struct Strips {
    std::size_t strip_of(double place) const noexcept;

    bool across_x = true;   ///< whether the strips follow each other from left to right, or else from top to bottom
    double start = 0;       ///< of the first strip, pixels
    double per_pixel = 0;   ///< strips in a pixel, 0 for a single one
    double widest = 0;      ///< length of the longest box in the strips
    std::size_t count = 1;  ///< strips
  };

  Strips plan(const BoxesView& columns) const noexcept;
  void sort(const BoxesView& columns, const Strips& strips);
  std::size_t look(const Box& box, std::size_t begin, std::size_t end, std::size_t count) noexcept;

  std::vector<std::uint32_t> first_;       ///< first place of each strip, then of the wide boxes
  std::vector<std::uint32_t> index_;       ///< column of each box, strip after strip
  std::vector<double> x1_, y1_, x2_, y2_;  ///< its sides, pixels
  std::vector<std::uint32_t> found_;       ///< places of the boxes that one row overlaps
};

}  // namespace agegender
