#include "agegender/face_detector.hpp"

#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_transforms/image_pyramid.h>

#include <algorithm>
#include <mutex>
#include <type_traits>
#include <utility>

#include "dlib_image.hpp"

namespace agegender {
namespace {

constexpr int kMaxUpsample = 4;

template <typename Image>
std::vector<dlib::rect_detection> run(dlib::frontal_face_detector& detector, const Image& image,
                                      const HogOptions& options) {
  std::vector<dlib::rect_detection> found;
  if (options.upsample == 0) {
    detector(image, found, options.threshold);
    return found;
  }
  using Pixel = std::remove_const_t<typename dlib::image_traits<Image>::pixel_type>;
  const dlib::pyramid_down<2> doubling;
  dlib::array2d<Pixel> enlarged;
  dlib::pyramid_up(image, enlarged, doubling);
  for (int level = 1; level < options.upsample; ++level) dlib::pyramid_up(enlarged);
  detector(enlarged, found, options.threshold);
  for (auto& face : found) face.rect = doubling.rect_down(face.rect, static_cast<unsigned long>(options.upsample));
  return found;
}

}  // namespace

struct HogFaceDetector::Pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<dlib::frontal_face_detector>> idle;

  std::unique_ptr<dlib::frontal_face_detector> take() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        auto detector = std::move(idle.back());
        idle.pop_back();
        return detector;
      }
    }
    return std::make_unique<dlib::frontal_face_detector>(dlib::get_frontal_face_detector());
  }

  void give_back(std::unique_ptr<dlib::frontal_face_detector> detector) {
    const std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(detector));
  }
};

HogFaceDetector::HogFaceDetector() : pool_(std::make_unique<Pool>()) { pool_->give_back(pool_->take()); }
HogFaceDetector::~HogFaceDetector() = default;
HogFaceDetector::HogFaceDetector(HogFaceDetector&&) noexcept = default;
HogFaceDetector& HogFaceDetector::operator=(HogFaceDetector&&) noexcept = default;

std::vector<Detection> HogFaceDetector::detect(const ImageView& image, const HogOptions& options) const {
  if (options.upsample < 0 || options.upsample > kMaxUpsample)
    throw std::invalid_argument("upsample must be 0.." + std::to_string(kMaxUpsample) + ", got " +
                                std::to_string(options.upsample));
  if (!(options.threshold > -10 && options.threshold < 10))
    throw std::invalid_argument("threshold must lie between -10 and 10, got " + std::to_string(options.threshold));
  // A detector that threw may hold half-built scratch memory: it is dropped, not given back.
  auto detector = pool_->take();
  const auto found = with_dlib_image(image, [&](const auto& view) { return run(*detector, view, options); });
  pool_->give_back(std::move(detector));

  std::vector<Detection> detections;
  detections.reserve(found.size());
  for (const auto& face : found)
    detections.push_back(
        {face.rect.left(), face.rect.top(), face.rect.right(), face.rect.bottom(), face.detection_confidence});
  return detections;
}

}  // namespace agegender
