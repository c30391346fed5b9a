#include "dlib_reference.hpp"

#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_transforms/image_pyramid.h>

#include <cstring>

namespace dlib_reference {

using agegender::ImageView;

namespace {

template <typename Pixel>
dlib::array2d<Pixel> to_dlib(const ImageView& picture) {
  dlib::array2d<Pixel> image(picture.height, picture.width);
  if (image.size() > 0) std::memcpy(&image[0][0], picture.data, image.size() * sizeof(Pixel));
  return image;
}

template <typename Pixel>
std::vector<std::uint8_t> resize_as(const ImageView& picture, int height, int width) {
  dlib::array2d<Pixel> resized(height, width);
  dlib::resize_image(to_dlib<Pixel>(picture), resized);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&resized[0][0]);
  return {bytes, bytes + resized.size() * sizeof(Pixel)};
}

template <typename Pixel>
Features features_as(const ImageView& picture, int cell) {
  dlib::array<dlib::array2d<float>> planes;
  dlib::extract_fhog_features(to_dlib<Pixel>(picture), planes, cell);
  Features found{planes[0].nr(), planes[0].nc(), {}};
  for (const auto& plane : planes)
    if (plane.size() > 0) found.values.insert(found.values.end(), &plane[0][0], &plane[0][0] + plane.size());
  return found;
}

template <typename Pixel>
std::vector<Face> detect_as(const ImageView& picture, int upsample, double threshold) {
  static auto detector = dlib::get_frontal_face_detector();
  auto image = to_dlib<Pixel>(picture);
  for (int i = 0; i < upsample; ++i) dlib::pyramid_up(image);
  std::vector<dlib::rect_detection> detections;
  detector(image, detections, threshold);
  std::vector<Face> faces;
  for (const auto& detection : detections) {
    dlib::rectangle rect = detection.rect;
    if (upsample) rect = dlib::pyramid_down<2>().rect_down(rect, static_cast<unsigned int>(upsample));
    faces.push_back({rect.left(), rect.top(), rect.right(), rect.bottom(), detection.detection_confidence});
  }
  return faces;
}

}  // namespace

std::vector<std::uint8_t> resize(const ImageView& picture, int height, int width) {
  return picture.channels == 3 ? resize_as<dlib::rgb_pixel>(picture, height, width)
                               : resize_as<unsigned char>(picture, height, width);
}

Features features(const ImageView& picture, int cell) {
  return picture.channels == 3 ? features_as<dlib::rgb_pixel>(picture, cell)
                               : features_as<unsigned char>(picture, cell);
}

std::vector<Face> detect(const ImageView& picture, int upsample, double threshold) {
  return picture.channels == 3 ? detect_as<dlib::rgb_pixel>(picture, upsample, threshold)
                               : detect_as<unsigned char>(picture, upsample, threshold);
}

}  // namespace dlib_reference
