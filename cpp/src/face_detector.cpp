#include "agegender/face_detector.hpp"

#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_transforms/image_pyramid.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "fhog.hpp"
#include "hog_scan.hpp"
#include "planar_image.hpp"
#include "rectangle.hpp"

namespace agegender {
namespace {

constexpr int kMaxUpsample = 4;
constexpr std::ptrdiff_t kMaxSide = 1 << 20;  ///< pixels; a place of a pixel is an exact float up to 16 times as many
constexpr std::ptrdiff_t kPooledPixels = 1 << 24;  ///< a larger picture's scratch memory would be kept for nothing
constexpr int kSize = HogFilters::kSize;
using Pyramid = dlib::pyramid_down<6>;

/// What is learnt, out of dlib's own detector: filters, thresholds and when two boxes are one face.
struct Model {
  HogFilters filters;
  std::vector<double> thresholds;  ///< a detector each, in score
  dlib::test_box_overlap overlaps;
  unsigned long least_side;  ///< pixels of a level's longer and shorter side

  explicit Model(const dlib::frontal_face_detector& detector)
      : filters(static_cast<int>(detector.num_detectors())),
        overlaps(detector.get_overlap_tester()),
        least_side(detector.get_scanner().get_min_pyramid_layer_width()) {
    const auto& scanner = detector.get_scanner();
    if (scanner.get_fhog_window_width() != kSize || scanner.get_fhog_window_height() != kSize ||
        scanner.get_padding() != 0 || scanner.get_cell_size() != HogFeatures::kCell ||
        scanner.get_min_pyramid_layer_height() != least_side)
      throw std::logic_error("this dlib's face detector has another geometry than 10 x 10 cells of 8 pixels");
    for (int i = 0; i < filters.detectors(); ++i) {
      const auto index = static_cast<unsigned long>(i);
      thresholds.push_back(detector.get_w(index)(scanner.get_num_dimensions()));
      const auto& bank = detector.get_processed_w(index).get_detect_argument();
      for (std::size_t plane = 0; plane < HogFeatures::kPlanes; ++plane)
        for (std::size_t j = 0; j < bank.row_filters[plane].size(); ++j) {
          HogFilters::Taps row, column;
          std::copy_n(bank.row_filters[plane][j].begin(), kSize, row.begin());
          std::copy_n(bank.col_filters[plane][j].begin(), kSize, column.begin());
          filters.add(static_cast<int>(plane), i, row, column);
        }
    }
  }
};

const Model& model() {
  static const Model learnt(dlib::get_frontal_face_detector());
  return learnt;
}

/// Levels that dlib searches in a picture of this size.
int count_levels(int height, int width, unsigned long least_side) {
  const Pyramid pyramid;
  dlib::rectangle rect(static_cast<unsigned long>(width), static_cast<unsigned long>(height));
  int levels = 0;
  do {
    rect = pyramid.rect_down(rect);
    ++levels;
  } while (rect.width() >= least_side && rect.height() >= least_side);
  return levels;
}

}  // namespace

/// All memory that one call of `detect` works in.
struct HogFaceDetector::Scratch {
  PlanarImage image, other;
  BilinearResizer resize;
  HogExtractor extract;
  HogFeatures features;
  HogScanner scan;

  void enlarge(int times) {
    const dlib::pyramid_down<2> doubling;
    for (; times > 0; --times) {
      const dlib::rectangle rect = doubling.rect_up(
          dlib::rectangle(static_cast<unsigned long>(image.width), static_cast<unsigned long>(image.height)));
      other.reshape(static_cast<int>(rect.bottom()) + 1, static_cast<int>(rect.right()) + 1, image.channels);
      resize(image, other);
      std::swap(image, other);
    }
  }

  /// Adds what one level of the pyramid holds, detector by detector.
  void search(int level, double threshold, std::vector<std::vector<std::pair<double, dlib::rectangle>>>& found) {
    extract(image, features);
    if (features.rows == 0) return;
    scan(features, model().filters);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double least = model().thresholds[i] + threshold;
      for (int r = 0; r < features.rows; ++r) {
        const float* scores = scan.scores(static_cast<int>(i), r);
        for (int c = 0; c < features.columns; ++c) {
          if (!(scores[c] >= least)) continue;
          // In the coordinates of dlib's features, which have kSize / 2 cells before the first window.
          const dlib::rectangle cells = dlib::centered_rect(dlib::point(c + kSize / 2, r + kSize / 2), kSize, kSize);
          dlib::rectangle rect = dlib::fhog_to_image(cells, HogFeatures::kCell, kSize, kSize);
          rect = Pyramid().rect_up(rect, static_cast<unsigned int>(level));
          found[i].emplace_back(scores[c], rect);
        }
      }
    }
  }
};

struct HogFaceDetector::Pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<Scratch>> idle;

  std::unique_ptr<Scratch> take() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        auto scratch = std::move(idle.back());
        idle.pop_back();
        return scratch;
      }
    }
    return std::make_unique<Scratch>();
  }

  void give_back(std::unique_ptr<Scratch> scratch) {
    const std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(scratch));
  }
};

HogFaceDetector::HogFaceDetector() : pool_(std::make_unique<Pool>()) { model(); }
HogFaceDetector::~HogFaceDetector() = default;
HogFaceDetector::HogFaceDetector(HogFaceDetector&&) noexcept = default;
HogFaceDetector& HogFaceDetector::operator=(HogFaceDetector&&) noexcept = default;

std::vector<Detection> HogFaceDetector::detect(const ImageView& image, const HogOptions& options) const {
  if (options.upsample < 0 || options.upsample > kMaxUpsample)
    throw std::invalid_argument("upsample must be 0.." + std::to_string(kMaxUpsample) + ", got " +
                                std::to_string(options.upsample));
  if (!(options.threshold > -10 && options.threshold < 10))
    throw std::invalid_argument("threshold must lie between -10 and 10, got " + std::to_string(options.threshold));
  if (image.height <= 0 || image.width <= 0 || image.height > kMaxSide || image.width > kMaxSide)
    throw std::invalid_argument("image must not be empty and have sides up to " + std::to_string(kMaxSide) + ", got " +
                                std::to_string(image.height) + " x " + std::to_string(image.width) + " pixels");
  if (image.channels != 1 && image.channels != 3)
    throw std::invalid_argument("image must have 1 (grey) or 3 (RGB) channels, got " + std::to_string(image.channels));

  // Scratch memory of a call that threw is dropped, not given back.
  auto scratch = pool_->take();
  scratch->image.assign(image);
  scratch->enlarge(options.upsample);
  const int levels = count_levels(scratch->image.height, scratch->image.width, model().least_side);
  std::vector<std::vector<std::pair<double, dlib::rectangle>>> found(model().thresholds.size());
  for (int level = 0; level < levels; ++level) {
    if (level > 0) {
      scratch->other.reshape(scratch->image.height * 5 / 6, scratch->image.width * 5 / 6, scratch->image.channels);
      scratch->resize(scratch->image, scratch->other);
      std::swap(scratch->image, scratch->other);
    }
    scratch->search(level, options.threshold, found);
  }
  if (((image.height * image.width) << (2 * options.upsample)) <= kPooledPixels) pool_->give_back(std::move(scratch));

  // Sorted in dlib's two steps: equal scores come out in dlib's order, too.
  std::vector<dlib::rect_detection> all;
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::sort(found[i].rbegin(), found[i].rend(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [score, rect] : found[i]) {
      dlib::rect_detection detection;
      detection.detection_confidence = score - model().thresholds[i];
      detection.weight_index = i;
      detection.rect = rect;
      all.push_back(detection);
    }
  }
  std::sort(all.rbegin(), all.rend());

  std::vector<dlib::rectangle> kept;
  std::vector<Detection> detections;
  for (const auto& face : all) {
    if (dlib::overlaps_any_box(model().overlaps, kept, face.rect)) continue;
    kept.push_back(face.rect);
    dlib::rectangle rect = face.rect;
    if (options.upsample > 0)
      rect = dlib::pyramid_down<2>().rect_down(rect, static_cast<unsigned int>(options.upsample));
    detections.push_back(to_detection(rect, face.detection_confidence));
  }
  return detections;
}

}  // namespace agegender
