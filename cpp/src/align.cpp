#include "agegender/align.hpp"

#include <dlib/geometry/drectangle.h>
#include <dlib/image_transforms/image_pyramid.h>
#include <dlib/image_transforms/interpolation.h>
#include <dlib/matrix.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "warp.hpp"

namespace agegender {
namespace {

/// Where dlib's `get_face_chip_details` puts the five points, in sides of a face without a margin.
const std::array<dlib::dpoint, 5> kReference{
    dlib::dpoint(0.8595674595992, 0.2134981538014), dlib::dpoint(0.6460604764104, 0.2289674387677),
    dlib::dpoint(0.1205750620789, 0.2137274526848), dlib::dpoint(0.3340850613712, 0.2290642403242),
    dlib::dpoint(0.4901123135679, 0.6277975316475)};

/// A chip's corners in the frame, of which three are enough.
struct Corners {
  dlib::dpoint top_left, top_right, bottom_left, bottom_right;

  Corners(const dlib::drectangle& rect, double angle)
      : top_left(turned(rect, rect.tl_corner(), angle)),
        top_right(turned(rect, rect.tr_corner(), angle)),
        bottom_left(turned(rect, rect.bl_corner(), angle)),
        bottom_right(turned(rect, rect.br_corner(), angle)) {}

 private:
  static dlib::dpoint turned(const dlib::drectangle& rect, const dlib::dpoint& corner, double angle) {
    return dlib::rotate_point<double>(dlib::center(rect), corner, angle);
  }
};

/// A level of up to so many bytes is kept for the next face: a 4K frame at half its size. A photo's may be larger.
constexpr std::size_t kKept = std::size_t{3840} * 2160 * 3 / 4;

/// `dlib::get_face_chip_details` and `dlib::extract_image_chips` for one face, with memory that is kept: the same
/// geometry by dlib's own functions, and the pixels by `Halver` and `BilinearWarp`.
class ChipCutter {
 public:
  void cut(const ImageView& image, const std::array<dlib::point, 5>& points, std::ptrdiff_t size, double padding,
           std::uint8_t* chip) {
    prepare(size, padding);
    for (std::size_t i = 0; i < points.size(); ++i) found_[i] = points[i];
    const dlib::chip_details details(reference_, found_, dlib::chip_dims(pixels(size), pixels(size)));
    // A face of less than a pixel has no direction, and an enormous one would make the pyramid enormous.
    if (!(details.rect.width() >= 1 && details.rect.width() < 1e6))
      throw std::invalid_argument("landmarks must be five different points of one face");

    const dlib::rectangle frame(0, 0, static_cast<long>(image.width) - 1, static_cast<long>(image.height) - 1);
    const dlib::rectangle part = looked_at(details, frame);
    RgbView view{nullptr, static_cast<std::ptrdiff_t>(part.height()), static_cast<std::ptrdiff_t>(part.width()),
                 image.width * 3};
    view.data = part.is_empty() ? image.data : image.data + part.top() * view.step + part.left() * 3;
    dlib::drectangle rect = dlib::translate_rect(details.rect, -dlib::dpoint(part.tl_corner()));
    const double area = static_cast<double>(details.size());
    for (std::size_t level = 0; half_.rect_down(rect).area() > area; ++level) {
      rect = half_.rect_down(rect);
      // Each level's pixels are made from those of the level before.
      view = halve_(view, levels_[level % 2]);
    }
    warp_(view, to_image(Corners(rect, details.angle)), size, chip);
    for (auto& level : levels_)
      if (level.size() > kKept) level = {};
  }

 private:
  const dlib::pyramid_down<2> half_;
  std::ptrdiff_t size_ = 0;  ///< of what is prepared
  double padding_ = 0;
  std::vector<dlib::dpoint> reference_, found_ = std::vector<dlib::dpoint>(5);
  dlib::matrix<double, 3, 3> inverse_;
  std::array<simd::Buffer<std::uint8_t>, 2> levels_;
  Halver halve_;
  BilinearWarp warp_;

  static unsigned long pixels(std::ptrdiff_t size) { return static_cast<unsigned long>(size); }

  /// What is the same for all chips of a size.
  void prepare(std::ptrdiff_t size, double padding) {
    if (size_ == size && padding_ == padding) return;
    reference_.clear();
    for (const dlib::dpoint& point : kReference) {
      // In one expression, dlib would merge the two factors and round once.
      const dlib::dpoint placed = (padding + point) / (2 * padding + 1);
      reference_.push_back(placed * pixels(size));
    }
    // The first half of `dlib::find_affine_transform`, from three of the chip's corners.
    const double last = static_cast<double>(size - 1);
    dlib::matrix<double, 3, 0> corners(3, 3);
    corners = 0, last, 0, 0, 0, last, 1, 1, 1;
    inverse_ = dlib::pinv(corners);
    size_ = size;
    padding_ = padding;
  }

  /// The part of the frame from which levels are made.
  dlib::rectangle looked_at(const dlib::chip_details& details, const dlib::rectangle& frame) const {
    double grow = 2;
    dlib::drectangle rect = half_.rect_down(details.rect);
    while (rect.area() > static_cast<double>(details.size())) {
      rect = half_.rect_down(rect);
      grow = grow * 2 + 2;
    }
    const Corners corners(details.rect, details.angle);
    dlib::drectangle turned;
    for (const dlib::dpoint& corner : {corners.top_left, corners.top_right, corners.bottom_left, corners.bottom_right})
      turned += corner;
    dlib::rectangle part;
    part += dlib::grow_rect(turned, grow).intersect(frame);
    return part.intersect(frame);
  }

  /// The second half of `dlib::find_affine_transform`: the product, its sums from left to right.
  Affine to_image(const Corners& corners) const {
    const std::array<double, 3> x{corners.top_left.x(), corners.top_right.x(), corners.bottom_left.x()};
    const std::array<double, 3> y{corners.top_left.y(), corners.top_right.y(), corners.bottom_left.y()};
    const auto times = [&](const std::array<double, 3>& row, long column) {
      return row[0] * inverse_(0, column) + row[1] * inverse_(1, column) + row[2] * inverse_(2, column);
    };
    return {times(x, 0), times(x, 1), times(x, 2), times(y, 0), times(y, 1), times(y, 2)};
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
  std::array<dlib::point, 5> points;
  for (std::size_t i = 0; i < 5; ++i) {
    const float x = landmarks[2 * i], y = landmarks[2 * i + 1];
    if (!(std::fabs(x) < 1e6f && std::fabs(y) < 1e6f))
      throw std::invalid_argument("landmarks must be finite and within a million pixels, got " + std::to_string(x) +
                                  ", " + std::to_string(y));
    points[i] = dlib::point(std::lround(x), std::lround(y));
  }
  // dlib's Python binding takes the padding as a float; the chips are equal to the last bit only if we do, too.
  thread_local ChipCutter cutter;
  cutter.cut(image, points, options.size, static_cast<double>(static_cast<float>(options.padding)), chip);
}

}  // namespace agegender
