// Smaller pictures: each pixel is the mean over the area that it stands for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agegender/image.hpp"

namespace agegender {

/// A part of a picture in pixels; `right` and `bottom` no longer belong to it.
struct Region {
  std::ptrdiff_t left = 0, top = 0, right = 0, bottom = 0;
};

/// Part of an RGB picture at a smaller size: the same pixels as OpenCV's INTER_AREA, which has a loop of its own where
/// both sides are divided by whole numbers and may round halves the other way there.
///
/// Requires: `image` with 3 channels; `out` of `height` x `width` x 3 bytes.
/// Throws std::invalid_argument when the part is empty or leaves the image, and when it is smaller than the output.
/// Thread safety: may be called from many threads at once; each keeps its scratch memory.
void shrink(const ImageView& image, const Region& part, std::ptrdiff_t width, std::ptrdiff_t height, std::uint8_t* out);

}  // namespace agegender
