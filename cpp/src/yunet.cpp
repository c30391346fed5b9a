#include "agegender/yunet.hpp"

#include <algorithm>
#include <cmath>

#include "yunet_layers.hpp"

namespace agegender {

void yunet_input(const ImageView& picture, std::ptrdiff_t width, std::ptrdiff_t height, float* planes) noexcept {
  float* blue = planes;
  float* green = planes + height * width;
  float* red = planes + 2 * height * width;
  for (std::ptrdiff_t y = 0; y < picture.height; ++y) {
    yunet::split(picture.data + 3 * y * picture.width, picture.width, width, {blue, green, red});
    blue += width;
    green += width;
    red += width;
  }
  const std::ptrdiff_t below = (height - picture.height) * width;
  for (float* plane : {blue, green, red}) std::fill(plane, plane + below, 0.0f);
}

namespace {

/// `box`: centre from the cell's corner in cells, logarithms of the sides. `points`: x and y from the corner, in cells.
YuNetFace face_of(float column, float row, float side, const float* box, const float* points, float score) {
  const float x = (column + box[0]) * side;
  const float y = (row + box[1]) * side;
  const float half_width = std::exp(box[2]) * (side / 2);
  const float half_height = std::exp(box[3]) * (side / 2);
  YuNetFace face{{x - half_width, y - half_height, x + half_width, y + half_height}, {}, score};
  for (std::size_t k = 0; k < 10; ++k) face.points[k] = ((k % 2 ? row : column) + points[k]) * side;
  return face;
}

float sigmoid(float value) { return 1 / (1 + std::exp(-value)); }

}  // namespace

void YuNetDecoder::decode(const std::vector<YuNetCells>& cells, float threshold, float overlap, std::size_t most,
                          std::vector<YuNetFace>& faces) {
  found_.clear();
  for (const YuNetCells& level : cells) {
    for (std::size_t cell = 0; cell < level.count; ++cell) {
      const float score = std::sqrt(std::clamp(level.cls[cell], 0.0f, 1.0f) * std::clamp(level.obj[cell], 0.0f, 1.0f));
      if (!(score > threshold)) continue;
      found_.push_back(face_of(static_cast<float>(cell % level.columns), static_cast<float>(cell / level.columns),
                               level.side, level.box + 4 * cell, level.points + 10 * cell, score));
    }
  }
  suppress(overlap, most, faces);
}

void YuNetDecoder::decode(const YuNetMaps& maps, float threshold, float overlap, std::size_t most,
                          std::vector<YuNetFace>& faces) {
  found_.clear();
  // The score is the root of two sigmoids' product. Where either is below the threshold's square, and so nearly
  // everywhere, no sigmoid is needed; a little less than that, for what rounding does.
  const float square = threshold * threshold * 0.999f;
  const float least = std::log(square / (1 - square));
  for (const YuNetMap& map : maps) {
    for (std::ptrdiff_t row = 0; row < map.rows; ++row)
      for (std::ptrdiff_t column = 0; column < map.columns; ++column) {
        const auto [first, second] = map.cell(row, column);
        if (!(first[YuNetMap::kCls] > least && first[YuNetMap::kObj] > least)) continue;
        const float score = std::sqrt(sigmoid(first[YuNetMap::kCls]) * sigmoid(first[YuNetMap::kObj]));
        if (!(score > threshold)) continue;
        constexpr std::ptrdiff_t kHalf = YuNetMap::kValues / 2;
        std::array<float, YuNetMap::kValues> values;
        std::copy_n(first, kHalf, values.data());
        std::copy_n(second, kHalf, values.data() + kHalf);
        found_.push_back(face_of(static_cast<float>(column), static_cast<float>(row), static_cast<float>(map.side),
                                 values.data() + YuNetMap::kBox, values.data() + YuNetMap::kPoints, score));
      }
  }
  suppress(overlap, most, faces);
}

void YuNetDecoder::suppress(float overlap, std::size_t most, std::vector<YuNetFace>& faces) {
  order_.resize(found_.size());
  for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
  // std::stable_sort would allocate.
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
    return found_[a].score > found_[b].score || (found_[a].score == found_[b].score && a < b);
  });
  order_.resize(std::min(order_.size(), most));

  faces.clear();
  kept_.clear();
  for (const std::size_t i : order_) {
    const auto& [left, top, right, bottom] = found_[i].box;
    const Rect rect{std::trunc(left), std::trunc(top), std::trunc(right - left), std::trunc(bottom - top)};
    const double area = rect.width * rect.height;
    const auto hides = [&](const Rect& other) {
      const double width = std::min(rect.x + rect.width, other.x + other.width) - std::max(rect.x, other.x);
      const double height = std::min(rect.y + rect.height, other.y + other.height) - std::max(rect.y, other.y);
      const double shared = width > 0 && height > 0 ? width * height : 0;
      const double whole = area + other.width * other.height - shared;
      // OpenCV takes boxes without an area for equal.
      return !(whole > 0) || 1.0f - static_cast<float>(1.0 - shared / whole) > overlap;
    };
    if (std::any_of(kept_.begin(), kept_.end(), hides)) continue;
    kept_.push_back(rect);
    faces.push_back(found_[i]);
  }
}

}  // namespace agegender
