#include "agegender/align.hpp"

#include <dlib/image_processing/full_object_detection.h>
#include <dlib/image_processing/generic_image.h>
#include <dlib/image_transforms/interpolation.h>
#include <dlib/pixel.h>

#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace agegender {

static_assert(sizeof(dlib::rgb_pixel) == 3, "an RGB picture is read as dlib::rgb_pixel in place");

namespace {

/// Each byte as a double: a load is cheaper than a conversion, of which a pixel takes twelve.
const std::array<double, 256>& doubles_of_bytes() {
  static const auto table = [] {
    std::array<double, 256> values{};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
    return values;
  }();
  return table;
}

/// `dlib::interpolate_bilinear` without its matrices and calls of floor, which take most of its time; the same
/// products and sums in the same order, cut off to bytes as it does.
struct InterpolateBilinear {
  const double* const number = doubles_of_bytes().data();

  template <typename Image>
  bool operator()(const Image& image, const dlib::dpoint& point, dlib::rgb_pixel& result) const {
    if (!(point.x() >= 0 && point.y() >= 0)) return false;
    const long left = static_cast<long>(point.x()), top = static_cast<long>(point.y());
    if (left + 1 >= image.nc() || top + 1 >= image.nr()) return false;
    const double x = point.x() - static_cast<double>(left), y = point.y() - static_cast<double>(top);
    const dlib::rgb_pixel *above = &image[top][left], *below = &image[top + 1][left];
    const auto mix = [&](unsigned char dlib::rgb_pixel::* channel) {
      const double upper = (1 - x) * number[above[0].*channel] + x * number[above[1].*channel];
      const double lower = (1 - x) * number[below[0].*channel] + x * number[below[1].*channel];
      return static_cast<unsigned char>((1 - y) * upper + y * lower);
    };
    result = {mix(&dlib::rgb_pixel::red), mix(&dlib::rgb_pixel::green), mix(&dlib::rgb_pixel::blue)};
    return true;
  }
};

}  // namespace

void extract_chip(const ImageView& image, const Landmarks& landmarks, const ChipOptions& options, std::uint8_t* chip) {
  if (image.channels != 3 || image.height <= 0 || image.width <= 0)
    throw std::invalid_argument("chips are cut from RGB pictures (H, W, 3) that are not empty");
  if (options.size < 1 || options.size > 4096)
    throw std::invalid_argument("size must be 1..4096 pixels, got " + std::to_string(options.size));
  if (!(options.padding >= 0 && options.padding <= 10))
    throw std::invalid_argument("padding must be 0..10, got " + std::to_string(options.padding));
  std::vector<dlib::point> parts;
  for (std::size_t i = 0; i < 5; ++i) {
    const float x = landmarks[2 * i], y = landmarks[2 * i + 1];
    if (!(std::fabs(x) < 1e6f && std::fabs(y) < 1e6f))
      throw std::invalid_argument("landmarks must be finite and within a million pixels, got " + std::to_string(x) +
                                  ", " + std::to_string(y));
    parts.emplace_back(std::lround(x), std::lround(y));
  }
  const dlib::full_object_detection shape(dlib::rectangle(), parts);
  // dlib's Python binding takes the padding as a float; the chips are equal to the last bit only if we do, too.
  const double padding = static_cast<double>(static_cast<float>(options.padding));
  const auto details = dlib::get_face_chip_details(shape, static_cast<unsigned long>(options.size), padding);
  // A face of less than a pixel has no direction, and an enormous one would make dlib's pyramid enormous.
  if (!(details.rect.width() >= 1 && details.rect.width() < 1e6))
    throw std::invalid_argument("landmarks must be five different points of one face");

  const auto* pixels = reinterpret_cast<const dlib::rgb_pixel*>(image.data);
  const long width = static_cast<long>(image.width);
  dlib::array2d<dlib::rgb_pixel> cut;
  dlib::extract_image_chip(dlib::sub_image(pixels, static_cast<long>(image.height), width, width), details, cut,
                           InterpolateBilinear());
  std::memcpy(chip, &cut[0][0], static_cast<std::size_t>(options.size * options.size * 3));
}

}  // namespace agegender
