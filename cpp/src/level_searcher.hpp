// The search of one level of a pyramid, by what dlib's detector learnt.
#pragma once

#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_transforms/image_pyramid.h>

#include <utility>
#include <vector>

#include "agegender/face_detector.hpp"
#include "fhog.hpp"
#include "hog_estimate.hpp"
#include "hog_scan.hpp"
#include "planar_image.hpp"

namespace agegender {

using Pyramid = dlib::pyramid_down<6>;

/// What is learnt, out of dlib's own detector: filters, thresholds and when two boxes are one face.
struct DetectorModel {
  HogFilters filters;
  HogWindows windows;
  HogEstimate estimate;
  std::vector<double> thresholds;  ///< a detector each, in score
  dlib::test_box_overlap overlaps;
  unsigned long least_side;  ///< pixels of a level's longer and shorter side

  explicit DetectorModel(const dlib::frontal_face_detector& detector);
};

/// The one that all detectors share. Thread safety: any.
const DetectorModel& detector_model();

/// Faces by score before the threshold is taken off, each as dlib's rectangle in the first level.
using Found = std::vector<std::pair<double, dlib::rectangle>>;

/// Searches levels one by one. Holds scratch memory: one object a thread.
class LevelSearcher {
 public:
  /// Adds what one level holds to `found`, which has a list for each detector.
  void operator()(const PlanarImage& image, int level, const HogOptions& options, std::vector<Found>& found);

 private:
  HogExtractor extract_;
  HogFeatures features_, outline_;
  HogScanner scan_;
};

}  // namespace agegender
