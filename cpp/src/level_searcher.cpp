#include "level_searcher.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace agegender {
namespace {

constexpr int kSize = HogFilters::kSize;

/// Throws std::logic_error if this isn't the detector that the rest was written for.
HogFilters read_filters(const dlib::frontal_face_detector& detector) {
  const auto& scanner = detector.get_scanner();
  if (scanner.get_fhog_window_width() != kSize || scanner.get_fhog_window_height() != kSize ||
      scanner.get_padding() != 0 || scanner.get_cell_size() != HogFeatures::kCell ||
      scanner.get_min_pyramid_layer_height() != scanner.get_min_pyramid_layer_width() ||
      detector.num_detectors() != HogEstimate::kDetectors)
    throw std::logic_error("this dlib's face detector has another geometry than five filters of 10 x 10 cells");
  HogFilters filters(static_cast<int>(detector.num_detectors()));
  for (int i = 0; i < filters.detectors(); ++i) {
    const auto& bank = detector.get_processed_w(static_cast<unsigned long>(i)).get_detect_argument();
    for (std::size_t plane = 0; plane < HogFeatures::kPlanes; ++plane)
      for (std::size_t j = 0; j < bank.row_filters[plane].size(); ++j) {
        HogFilters::Taps row, column;
        std::copy_n(bank.row_filters[plane][j].begin(), kSize, row.begin());
        std::copy_n(bank.col_filters[plane][j].begin(), kSize, column.begin());
        filters.add(static_cast<int>(plane), i, row, column);
      }
  }
  return filters;
}

}  // namespace

DetectorModel::DetectorModel(const dlib::frontal_face_detector& detector)
    : filters(read_filters(detector)),
      windows(filters),
      estimate(filters),
      overlaps(detector.get_overlap_tester()),
      least_side(detector.get_scanner().get_min_pyramid_layer_width()) {
  for (unsigned long i = 0; i < detector.num_detectors(); ++i)
    thresholds.push_back(detector.get_w(i)(detector.get_scanner().get_num_dimensions()));
}

const DetectorModel& detector_model() {
  static const DetectorModel learnt(dlib::get_frontal_face_detector());
  return learnt;
}

void LevelSearcher::operator()(const PlanarImage& image, int level, const HogOptions& options,
                               std::vector<Found>& found) {
  const DetectorModel& model = detector_model();
  extract_(image, features_);
  if (features_.rows == 0) return;
  if (options.exact) {
    scan_(features_, model.filters);
  } else {
    model.estimate.project(features_, outline_);
    scan_(outline_, model.estimate.filters());
  }
  for (int i = 0; i < static_cast<int>(found.size()); ++i) {
    const double least = model.thresholds[static_cast<std::size_t>(i)] + options.threshold;
    // High scores are estimated lower than they are, so a higher threshold rules no more windows out.
    const double likely = options.exact ? least : least - HogEstimate::slack(i) - std::max(options.threshold, 0.0);
    for (int r = 0; r < features_.rows; ++r) {
      const float* scores = scan_.scores(i, r);
      for (int c = 0; c < features_.columns; ++c) {
        if (!(scores[c] >= likely)) continue;
        const float score = options.exact ? scores[c] : model.windows.score(features_, i, r, c);
        if (!(score >= least)) continue;
        // In the coordinates of dlib's features, which have kSize / 2 cells before the first window.
        const dlib::rectangle cells = dlib::centered_rect(dlib::point(c + kSize / 2, r + kSize / 2), kSize, kSize);
        dlib::rectangle rect = dlib::fhog_to_image(cells, HogFeatures::kCell, kSize, kSize);
        rect = Pyramid().rect_up(rect, static_cast<unsigned int>(level));
        found[static_cast<std::size_t>(i)].emplace_back(score, rect);
      }
    }
  }
}

}  // namespace agegender
