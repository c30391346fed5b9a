// Five landmarks of a face.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "agegender/image.hpp"

namespace agegender {

/// x and y of five points in dlib's order: outer and inner corner of the eye on the frame's right, outer and inner
/// corner of the eye on its left, base of the nose. Pixels of the frame.
using Landmarks = std::array<float, 10>;

/// A half-open box in pixels: left, top, right, bottom.
using BoxXyxy = std::array<float, 4>;

/// An ensemble of regression trees (Kazemi and Sullivan, CVPR 2014) as `dlib::shape_predictor` stores it.
///
/// Thread safety: `predict` may be called from any number of threads at once.
class LandmarkModel {
 public:
  /// Throws std::runtime_error that names the path when there is no 5-point model to read.
  explicit LandmarkModel(const std::string& path);
  ~LandmarkModel();
  LandmarkModel(LandmarkModel&&) noexcept;
  LandmarkModel& operator=(LandmarkModel&&) noexcept;

  /// The points of so many faces of one frame: many together take less time than each alone.
  /// Boxes are rounded to whole pixels, as dlib's rectangles are; the points come out as whole pixels.
  /// Throws std::invalid_argument for an empty frame or a box that is empty or not finite, std::runtime_error where a
  /// damaged model gives points that are none; what `landmarks` holds then is of no meaning.
  void predict(const ImageView& image, const BoxXyxy* boxes, std::size_t count, Landmarks* landmarks) const;

 private:
  struct Model;
  std::unique_ptr<Model> model_;
};

}  // namespace agegender
