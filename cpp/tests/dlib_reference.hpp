// What dlib makes of a picture, as plain numbers: the reference of the detector's tests.
//
// A shared object of its own, so that dlib is compiled once for all builds of the detector, without sanitizers, which
// are for our code, and so that the linker mixes none of its templates with those that are tested.
#pragma once

#include <cstdint>
#include <vector>

#include "agegender/image.hpp"

#ifdef _WIN32
#define DLIB_REFERENCE_API
#else
#define DLIB_REFERENCE_API __attribute__((visibility("default")))
#endif

namespace dlib_reference {

/// HOG features: planes of `rows` x `columns`, one after the other.
struct Features {
  long rows, columns;
  std::vector<float> values;
};

/// A face with the edges of dlib's rectangle, whose right and bottom are the last pixel inside.
struct Face {
  long left, top, right, bottom;
  double score;
};

/// `dlib::resize_image`: the pixels, channels side by side.
DLIB_REFERENCE_API std::vector<std::uint8_t> resize(const agegender::ImageView& picture, int height, int width);

/// `dlib::extract_fhog_features`.
DLIB_REFERENCE_API Features features(const agegender::ImageView& picture, int cell);

/// `dlib::get_frontal_face_detector()` on a picture that went through `dlib::pyramid_up` `upsample` times; the faces
/// are in pixels of the picture as given.
DLIB_REFERENCE_API std::vector<Face> detect(const agegender::ImageView& picture, int upsample, double threshold);

}  // namespace dlib_reference
