// A view of a frame or chip that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace agegender {

/// Rows of interleaved 8-bit channels without gaps: grey or RGB.
struct ImageView {
  const std::uint8_t* data = nullptr;  ///< first byte of the top left pixel
  std::ptrdiff_t height = 0;           ///< pixels
  std::ptrdiff_t width = 0;            ///< pixels
  std::ptrdiff_t channels = 0;         ///< 1 (grey) or 3 (RGB)
};

}  // namespace agegender
