// Where dlib's rectangles and our boxes are turned into each other, and nowhere else.
#pragma once

#include <dlib/geometry/rectangle.h>

#include <cmath>
#include <cstdint>

#include "agegender/face_detector.hpp"
#include "agegender/landmarks.hpp"

namespace agegender {

/// The box of a dlib rectangle, whose right and bottom are the last pixel inside; a box ends behind that.
inline Detection to_detection(const dlib::rectangle& rect, double score) {
  return {rect.left(), rect.top(), std::int64_t{rect.right()} + 1, std::int64_t{rect.bottom()} + 1, score};
}

/// The rectangle of a box, rounded to whole pixels.
inline dlib::rectangle to_rectangle(const BoxXyxy& box) {
  return {std::lround(box[0]), std::lround(box[1]), std::lround(box[2]) - 1, std::lround(box[3]) - 1};
}

}  // namespace agegender
