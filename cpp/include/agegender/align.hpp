// Aligned faces, called chips.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agegender/image.hpp"
#include "agegender/landmarks.hpp"

namespace agegender {

struct ChipOptions {
  std::ptrdiff_t size = 140;  ///< width and height of the chip, pixels
  double padding = 0.4;       ///< margin on each side as a part of the face's side; >= 0
};

/// Cuts one aligned face out of an RGB frame into `chip`, size x size x 3 bytes of the caller's.
///
/// The same bytes as dlib's Python `get_face_chip(image, shape, size, padding)`: `get_face_chip_details` with its five
/// reference points, `extract_image_chip` with bilinear interpolation over an image pyramid, black outside the frame.
///
/// Requires: 3 channels; landmarks are rounded to whole pixels, as dlib's are. Throws std::invalid_argument otherwise,
/// or where the landmarks fall together in one point. Thread safety: may be called from any number of threads at once.
void extract_chip(const ImageView& image, const Landmarks& landmarks, const ChipOptions& options, std::uint8_t* chip);

}  // namespace agegender
