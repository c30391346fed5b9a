// Colour through a mask, for what is drawn into frames.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace agegender {

/// Where colour is let through: 0 not at all, 255 wholly.
struct MaskView {
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t height = 0;  ///< pixels
  std::ptrdiff_t width = 0;   ///< pixels; rows follow each other without a gap
};

/// Paints `color` into an RGB frame through a mask whose top left lies at (x, y); what lies outside is left out.
/// A channel becomes under + (color - under) * mask / 255 * opacity, rounded.
/// Requires: `frame` of height x width x 3 bytes, opacity in [0, 1]. Thread safety: any, on different frames.
void blend(std::uint8_t* frame, std::ptrdiff_t height, std::ptrdiff_t width, const MaskView& mask, std::ptrdiff_t x,
           std::ptrdiff_t y, const std::array<float, 3>& color, double opacity) noexcept;

}  // namespace agegender
