// dlib's view of a picture that lies in our ImageView.
#pragma once

#include <dlib/image_processing/generic_image.h>
#include <dlib/image_transforms/interpolation.h>
#include <dlib/pixel.h>

#include <stdexcept>
#include <string>

#include "agegender/image.hpp"

namespace agegender {

/// Calls `function` with dlib's image over the view's memory, of grey or of RGB pixels.
template <typename Function>
auto with_dlib_image(const ImageView& image, Function&& function) {
  if (image.height <= 0 || image.width <= 0)
    throw std::invalid_argument("image must not be empty, got " + std::to_string(image.height) + " x " +
                                std::to_string(image.width) + " pixels");
  const long height = static_cast<long>(image.height), width = static_cast<long>(image.width);
  if (image.channels == 1)
    return function(dlib::sub_image(static_cast<const unsigned char*>(image.data), height, width, width));
  if (image.channels == 3)
    return function(dlib::sub_image(reinterpret_cast<const dlib::rgb_pixel*>(image.data), height, width, width));
  throw std::invalid_argument("image must have 1 (grey) or 3 (RGB) channels, got " + std::to_string(image.channels));
}

static_assert(sizeof(dlib::rgb_pixel) == 3, "an RGB picture is read as dlib::rgb_pixel in place");

}  // namespace agegender
