// Faces by histograms of oriented gradients, as dlib's frontal face detector finds them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "agegender/image.hpp"

namespace agegender {

/// The half-open box of one face: the pixels from left up to, but without, right. dlib's rectangle of it ends a pixel
/// earlier, on the last pixel inside.
struct Detection {
  std::int64_t left = 0;    ///< pixels, may lie outside the frame
  std::int64_t top = 0;     ///< pixels
  std::int64_t right = 0;   ///< pixels
  std::int64_t bottom = 0;  ///< pixels
  double score = 0;         ///< distance from the detector's decision plane; above the threshold
};

struct HogOptions {
  int upsample = 0;      ///< how often the frame is doubled first, 0..4; each doubling halves the smallest face
  double threshold = 0;  ///< least score; negative finds more faces and more mistakes
  bool exact = true;     ///< score every window; otherwise only those that a cheap estimate doesn't rule out
  int threads = 1;       ///< that search together, the caller's included
  double min_face = 0;   ///< side in pixels of the frame; levels for smaller faces are left out
};

/// What the detector learnt: a window's score is the sum of filters times features, less the threshold.
struct HogModel {
  std::vector<float> filters;      ///< (detectors, 31 planes, 10, 10)
  std::vector<double> thresholds;  ///< a detector each
};

HogModel hog_model();

/// The features of the cells of a frame, without any pyramid.
struct HogFeatureMap {
  int rows = 0;               ///< cells: one for each 8 pixels, but for those at the frame's edge
  int columns = 0;            ///< likewise
  std::vector<float> values;  ///< (31 planes, rows, columns)
};

/// Requires: a frame of 1 or 3 channels. Source: see HogFaceDetector.
HogFeatureMap hog_features(const ImageView& image);

/// HOG + linear SVM over an image pyramid: our own search with the five filters, thresholds and overlap test of
/// `dlib::get_frontal_face_detector()`.
///
/// Faces from about 70 x 70 pixels are found without upsampling. The same faces as `dlib.get_frontal_face_detector()`
/// gives in Python, best first, with scores that differ by the rounding of sums.
///
/// Source: Felzenszwalb, Girshick, McAllester, Ramanan, "Object Detection with Discriminatively Trained Part Based
/// Models", IEEE TPAMI 32(9), 2010, for the features; dlib's fhog.h, scan_fhog_pyramid.h and interpolation.h for all
/// that decides which pixel counts where.
///
/// With `exact` off, windows are ruled out by a cheap estimate (four directions of the space of features, two separable
/// terms a filter). What is left is scored in full, so that no face is found that would not be found otherwise, unless
/// a better window of the same face was ruled out.
///
/// Thread safety: `detect` may be called from any number of threads at once. Each running call takes scratch memory
/// from a pool that grows to the largest number of calls that ever ran together, for frames of up to 16 megapixels;
/// what a larger one needs is freed at the end of its call. The filters are shared and immutable.
class HogFaceDetector {
 public:
  HogFaceDetector();
  ~HogFaceDetector();
  HogFaceDetector(HogFaceDetector&&) noexcept;
  HogFaceDetector& operator=(HogFaceDetector&&) noexcept;

  /// Requires: a frame of 1 or 3 channels. Ensures: detections sorted by falling score.
  /// Results are equal for any number of threads.
  /// Throws std::invalid_argument for an empty frame, other channels, or options out of range.
  std::vector<Detection> detect(const ImageView& image, const HogOptions& options) const;

 private:
  struct Scratch;
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace agegender
