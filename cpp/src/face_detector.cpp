#include "agegender/face_detector.hpp"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "level_searcher.hpp"
#include "planar_image.hpp"
#include "rectangle.hpp"

namespace agegender {
namespace {

constexpr int kMaxUpsample = 4;
constexpr std::ptrdiff_t kMaxSide = 1 << 20;  ///< pixels; a place of a pixel is an exact float up to 16 times as many
constexpr std::ptrdiff_t kPooledPixels = 1 << 24;  ///< a larger picture's scratch memory would be kept for nothing
constexpr double kStep = 6.0 / 5;                  ///< from the side of a level's faces to that of the next

void require_frame(const ImageView& image) {
  if (image.height <= 0 || image.width <= 0 || image.height > kMaxSide || image.width > kMaxSide)
    throw std::invalid_argument("image must not be empty and have sides up to " + std::to_string(kMaxSide) + ", got " +
                                std::to_string(image.height) + " x " + std::to_string(image.width) + " pixels");
  if (image.channels != 1 && image.channels != 3)
    throw std::invalid_argument("image must have 1 (grey) or 3 (RGB) channels, got " + std::to_string(image.channels));
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

/// All memory that one call of `detect` works in. It only grows: levels come in all sizes, picture after picture.
struct HogFaceDetector::Scratch {
  struct Level {
    PlanarImage image;
    std::vector<Found> found;  ///< for each detector
  };

  std::vector<Level> levels;  ///< the first `count` of them are in use
  std::size_t count = 0;
  std::size_t first = 0;  ///< level that is searched
  PlanarImage doubled;
  BilinearResizer resize;
  std::vector<std::unique_ptr<LevelSearcher>> searchers;  ///< one a thread

  std::mutex mutex;
  std::condition_variable built_more;
  std::size_t built = 0, taken = 0;  ///< levels; under the mutex
  std::exception_ptr error;          ///< the first of any thread; under the mutex

  struct {
    Found found;  ///< by one detector, in all levels
    std::vector<dlib::rect_detection> all;
    std::vector<dlib::rectangle> kept;
  } results;

  void search(const ImageView& image, const HogOptions& options) {
    begin(image, options);
    const std::size_t threads =
        std::min(static_cast<std::size_t>(options.threads), std::max(count - first, std::size_t{1}));
    while (searchers.size() < threads) searchers.push_back(std::make_unique<LevelSearcher>());
    if (threads > 1)
      search_together(threads, options);
    else
      for (std::size_t level = 0; level < count; ++level) {
        build(level);
        if (level >= first) search_level(level, *searchers[0], options);
      }
  }

 private:
  void begin(const ImageView& image, const HogOptions& options) {
    if (levels.empty()) levels.resize(1);
    PlanarImage& whole = levels[0].image;
    whole.assign(image);
    const dlib::pyramid_down<2> doubling;
    for (int times = options.upsample; times > 0; --times) {
      const dlib::rectangle rect = doubling.rect_up(
          dlib::rectangle(static_cast<unsigned long>(whole.width), static_cast<unsigned long>(whole.height)));
      doubled.reshape(static_cast<int>(rect.bottom()) + 1, static_cast<int>(rect.right()) + 1, whole.channels);
      resize(whole, doubled);
      std::swap(whole, doubled);
    }
    count = static_cast<std::size_t>(count_levels(whole.height, whole.width, detector_model().least_side));
    if (levels.size() < count) levels.resize(count);
    for (auto& level : levels) {
      level.found.resize(detector_model().thresholds.size());
      for (auto& found_by_one : level.found) found_by_one.clear();
    }
    // A face is found one level below or above that of its size, too.
    double side = (HogFilters::kSize - 1) * HogFeatures::kCell / std::pow(2.0, options.upsample);
    for (first = 0; first < count && side * kStep < options.min_face; ++first) side *= kStep;
    built = 0;
    taken = first;
    error = nullptr;
  }

  void build(std::size_t level) {
    if (level == 0) return;
    const PlanarImage& from = levels[level - 1].image;
    levels[level].image.reshape(from.height * 5 / 6, from.width * 5 / 6, from.channels);
    resize(from, levels[level].image);
  }

  void search_level(std::size_t level, LevelSearcher& searcher, const HogOptions& options) {
    searcher(levels[level].image, static_cast<int>(level), options, levels[level].found);
  }

  /// The caller's thread builds the levels, and then helps those that search them.
  void search_together(std::size_t threads, const HogOptions& options) {
    std::vector<std::thread> others;
    others.reserve(threads - 1);  // a thread that runs must not be lost to a vector that can't grow
    try {
      while (others.size() + 1 < threads)
        others.emplace_back([this, &options, &searcher = *searchers[others.size() + 1]] {
          guard([&] { take_levels(searcher, options); });
        });
    } catch (const std::system_error&) {
      // The system gives no more threads: those that there are do all of it.
    }
    guard([&] {
      for (std::size_t level = 0; level < count; ++level) {
        build(level);
        const std::lock_guard<std::mutex> lock(mutex);
        ++built;
        built_more.notify_all();
      }
      take_levels(*searchers[0], options);
    });
    for (auto& thread : others) thread.join();
    if (error) std::rethrow_exception(error);
  }

  /// No exception crosses a thread: it is kept, and all of them stop.
  template <typename Work>
  void guard(Work work) noexcept {
    try {
      work();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
      built_more.notify_all();
    }
  }

  /// The largest levels first, so that the threads end together.
  void take_levels(LevelSearcher& searcher, const HogOptions& options) {
    while (true) {
      std::size_t level;
      {
        std::unique_lock<std::mutex> lock(mutex);
        if (taken == count) return;
        level = taken++;
        built_more.wait(lock, [&] { return error || built > level; });
        if (error) return;
      }
      search_level(level, searcher, options);
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

HogModel hog_model() {
  HogModel result{{}, detector_model().thresholds};
  for (int i = 0; i < detector_model().filters.detectors(); ++i)
    for (int plane = 0; plane < HogFeatures::kPlanes; ++plane)
      for (const auto& row : detector_model().filters.window(i, plane))
        result.filters.insert(result.filters.end(), row.begin(), row.end());
  return result;
}

HogFeatureMap hog_features(const ImageView& image) {
  require_frame(image);
  PlanarImage planes;
  planes.assign(image);
  HogFeatures features;
  HogExtractor()(planes, features);
  HogFeatureMap result{features.rows, features.columns, {}};
  for (int plane = 0; plane < HogFeatures::kPlanes; ++plane)
    for (int r = 0; r < features.rows; ++r)
      result.values.insert(result.values.end(), features.row(plane, r), features.row(plane, r) + features.columns);
  return result;
}

HogFaceDetector::HogFaceDetector() : pool_(std::make_unique<Pool>()) { detector_model(); }
HogFaceDetector::~HogFaceDetector() = default;
HogFaceDetector::HogFaceDetector(HogFaceDetector&&) noexcept = default;
HogFaceDetector& HogFaceDetector::operator=(HogFaceDetector&&) noexcept = default;

std::vector<Detection> HogFaceDetector::detect(const ImageView& image, const HogOptions& options) const {
  if (options.upsample < 0 || options.upsample > kMaxUpsample)
    throw std::invalid_argument("upsample must be 0.." + std::to_string(kMaxUpsample) + ", got " +
                                std::to_string(options.upsample));
  if (!(options.threshold > -10 && options.threshold < 10))
    throw std::invalid_argument("threshold must lie between -10 and 10, got " + std::to_string(options.threshold));
  require_frame(image);
  if (!(options.min_face >= 0))
    throw std::invalid_argument("min_face must be 0 pixels or more, got " + std::to_string(options.min_face));
  if (options.threads < 1)
    throw std::invalid_argument("threads must be at least 1, got " + std::to_string(options.threads));

  // Scratch memory of a call that threw is dropped, not given back.
  auto scratch = pool_->take();
  scratch->search(image, options);
  // Sorted in dlib's two steps: equal scores come out in dlib's order, too.
  auto& [found, all, kept] = scratch->results;
  all.clear();
  kept.clear();
  for (std::size_t i = 0; i < detector_model().thresholds.size(); ++i) {
    found.clear();
    for (std::size_t level = 0; level < scratch->count; ++level) {
      const Found& here = scratch->levels[level].found[i];
      found.insert(found.end(), here.begin(), here.end());
    }
    std::sort(found.rbegin(), found.rend(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [score, rect] : found) {
      dlib::rect_detection detection;
      detection.detection_confidence = score - detector_model().thresholds[i];
      detection.weight_index = i;
      detection.rect = rect;
      all.push_back(detection);
    }
  }
  std::sort(all.rbegin(), all.rend());

  std::vector<Detection> detections;
  for (const auto& face : all) {
    if (dlib::overlaps_any_box(detector_model().overlaps, kept, face.rect)) continue;
    kept.push_back(face.rect);
    dlib::rectangle rect = face.rect;
    if (options.upsample > 0)
      rect = dlib::pyramid_down<2>().rect_down(rect, static_cast<unsigned int>(options.upsample));
    detections.push_back(to_detection(rect, face.detection_confidence));
  }
  if (((image.height * image.width) << (2 * options.upsample)) <= kPooledPixels) pool_->give_back(std::move(scratch));
  return detections;
}

}  // namespace agegender
