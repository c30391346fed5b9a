// Axis-aligned boxes in continuous coordinates of the frame: half-open, so that the width is x2 - x1.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace agegender {

struct Box {
  double x1 = 0;  ///< left edge, pixels
  double y1 = 0;  ///< top edge, pixels
  double x2 = 0;  ///< right edge, pixels
  double y2 = 0;  ///< bottom edge, pixels
};

/// Rows of boxes that somebody else owns, without gaps.
struct BoxesView {
  const double* data = nullptr;  ///< x1, y1, x2, y2 in pixels, then whatever the other columns hold
  std::size_t count = 0;         ///< rows
  std::size_t columns = 4;       ///< numbers in a row, 4 or more; those after the first four are not read

  Box operator[](std::size_t row) const noexcept {
    const double* p = data + row * columns;
    return {p[0], p[1], p[2], p[3]};
  }
};

/// Intersection over union.
/// Requires: finite numbers, areas that don't overflow. Ensures: symmetric, in [0, 1]; 0 where the boxes share no area
/// or one has none. Thread safety: pure. Source: Jaccard index of the areas; the result cannot pass 1 by rounding,
/// since rounding is monotone and the intersection's sides are at most the boxes' own.
inline double iou(const Box& a, const Box& b) noexcept {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(width > 0 && height > 0)) return 0;
  const double shared = width * height;
  const double whole = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared;
  return whole > 0 ? shared / whole : 0;
}

/// IoU of each box of `a` with each of `b`.
/// Requires: as `iou`; `out` has room for a.count x b.count numbers, one row for each box of `a`.
/// Thread safety: reads `a` and `b`, writes `out` alone.
inline void iou_matrix(const BoxesView& a, const BoxesView& b, double* out) noexcept {
  for (std::size_t i = 0; i < a.count; ++i) {
    const Box box = a[i];
    for (std::size_t j = 0; j < b.count; ++j) *out++ = iou(box, b[j]);
  }
}

/// Refuses boxes that have no IoU.
/// Ensures: returns only if each row is finite and at most 1e100 pixels in size, so that no area overflows; else throws
/// std::invalid_argument with `name`, the first bad row (from 0) and the number.
/// Thread safety: pure.
inline void require_finite(const BoxesView& boxes, const char* name) {
  for (std::size_t row = 0; row < boxes.count; ++row) {
    const Box box = boxes[row];
    for (const double value : {box.x1, box.y1, box.x2, box.y2})
      if (!(std::fabs(value) <= 1e100))
        throw std::invalid_argument(std::string(name) + " must have finite numbers of at most 1e100, got row " +
                                    std::to_string(row) + ": " + std::to_string(value));
  }
}

/// Refuses boxes that a filter over centre, area and aspect ratio cannot hold.
/// Ensures: returns only if each row is finite with x1 < x2 and y1 < y2, and its area and aspect ratio neither
/// overflow nor vanish; else throws std::invalid_argument with `name`, the first bad row (from 0) and its numbers.
/// Thread safety: pure.
inline void require_boxes(const BoxesView& boxes, const char* name) {
  for (std::size_t row = 0; row < boxes.count; ++row) {
    const Box box = boxes[row];
    const double width = box.x2 - box.x1;
    const double height = box.y2 - box.y1;
    const bool finite =
        std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2);
    const bool ordered = width > 0 && height > 0;
    // the filter finds the width again as the root of its square
    if (finite && ordered && std::isnormal(width * height) && std::isnormal(width / height) &&
        std::isnormal(width * width))
      continue;
    const char* expected = !finite    ? "finite numbers"
                           : !ordered ? "x1 < x2 and y1 < y2"
                                      : "areas and aspect ratios that float64 can hold";
    std::string text = std::string(name) + " must have " + expected + ", got row " + std::to_string(row) + ":";
    for (const double value : {box.x1, box.y1, box.x2, box.y2}) text += " " + std::to_string(value);
    throw std::invalid_argument(text);
  }
}

/// As `require_boxes`, for one box, which it returns.
inline const Box& require_box(const Box& box) {
  const double row[] = {box.x1, box.y1, box.x2, box.y2};
  require_boxes({row, 1, 4}, "box");
  return box;
}

}  // namespace agegender
