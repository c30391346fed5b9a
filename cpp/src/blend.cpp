#include "agegender/blend.hpp"

#include <algorithm>
#include <cstring>

namespace agegender {

void blend(std::uint8_t* frame, std::ptrdiff_t height, std::ptrdiff_t width, const MaskView& mask, std::ptrdiff_t x,
           std::ptrdiff_t y, const std::array<float, 3>& color, double opacity) noexcept {
  const std::ptrdiff_t top = std::max<std::ptrdiff_t>(-y, 0), bottom = std::min(mask.height, height - y);
  const std::ptrdiff_t left = std::max<std::ptrdiff_t>(-x, 0), right = std::min(mask.width, width - x);
  const auto share = static_cast<float>(opacity / 255.0);
  for (std::ptrdiff_t row = top; row < bottom; ++row) {
    const std::uint8_t* through = mask.data + row * mask.width;
    std::uint8_t* pixels = frame + ((y + row) * width + x) * 3;
    for (std::ptrdiff_t column = left; column < right; ++column) {
      // An outline leaves most of its mask empty.
      std::uint64_t eight;
      while (column + 8 <= right && (std::memcpy(&eight, through + column, 8), eight == 0)) column += 8;
      if (column == right || through[column] == 0) continue;
      const float alpha = static_cast<float>(through[column]) * share;
      std::uint8_t* pixel = pixels + column * 3;
      for (std::size_t channel = 0; channel < 3; ++channel) {
        const float under = pixel[channel];
        pixel[channel] = static_cast<std::uint8_t>(under + (color[channel] - under) * alpha + 0.5f);
      }
    }
  }
}

}  // namespace agegender
