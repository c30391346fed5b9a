#include "agegender/landmarks.hpp"

#include <dlib/image_processing/shape_predictor.h>

#include <cmath>
#include <fstream>

#include "dlib_image.hpp"

namespace agegender {

struct LandmarkModel::Model {
  dlib::shape_predictor predictor;
};

LandmarkModel::LandmarkModel(const std::string& path) : model_(std::make_unique<Model>()) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open the landmark model " + path);
  try {
    deserialize(model_->predictor, file);
  } catch (const std::exception& error) {
    throw std::runtime_error(path + " is no dlib shape predictor: " + error.what());
  }
  if (model_->predictor.num_parts() != 5)
    throw std::runtime_error(path + " predicts " + std::to_string(model_->predictor.num_parts()) +
                             " points; alignment needs dlib's 5-point model");
}

LandmarkModel::~LandmarkModel() = default;
LandmarkModel::LandmarkModel(LandmarkModel&&) noexcept = default;
LandmarkModel& LandmarkModel::operator=(LandmarkModel&&) noexcept = default;

Landmarks LandmarkModel::predict(const ImageView& image, const BoxXyxy& box) const {
  for (const float side : box)
    if (!(std::fabs(side) < 1e6f))
      throw std::invalid_argument("box must be finite and within a million pixels, got " + std::to_string(side));
  const dlib::rectangle rectangle(std::lround(box[0]), std::lround(box[1]), std::lround(box[2]), std::lround(box[3]));
  if (rectangle.is_empty())
    throw std::invalid_argument("box must be left, top, right, bottom with right >= left and bottom >= top, got " +
                                std::to_string(box[0]) + ", " + std::to_string(box[1]) + ", " + std::to_string(box[2]) +
                                ", " + std::to_string(box[3]));
  const auto shape = with_dlib_image(image, [&](const auto& view) { return model_->predictor(view, rectangle); });
  Landmarks landmarks;
  for (std::size_t i = 0; i < 5; ++i) {
    landmarks[2 * i] = static_cast<float>(shape.part(i).x());
    landmarks[2 * i + 1] = static_cast<float>(shape.part(i).y());
  }
  return landmarks;
}

}  // namespace agegender
