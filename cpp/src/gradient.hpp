// The gradient of one row of pixels: how strong it is and in which of 18 directions it points.
#pragma once

#include <array>
#include <cstdint>

namespace agegender {

/// A row of pixels with the ones above and below it, a pointer a channel; each to column 0.
struct RowNeighbours {
  std::array<const std::uint8_t*, 3> above, here, below;
};

/// The direction of a gradient, four times its number 0..17 (20 degrees each, from +x towards +y; a place in bins of
/// four floats). It is the one that dlib finds as the greatest of 18 dot products of floats: between two directions
/// the ratio of the sides decides, and among the ratios of differences of bytes these fractions are the first above.
/// A test goes through all 511 x 511 gradients. 18 stands for 0, where rounding comes to it from below.
inline std::uint8_t direction_x4(int gx, int gy) {
  const bool down = gy < 0;
  const int x = down ? -gx : gx, ax = x < 0 ? -x : x, ay = gy < 0 ? -gy : gy;
  const int quarter = (ay * 17 >= ax * 3) + (ay * 71 >= ax * 41) + (ay * 73 >= ax * 87) + (ay * 4 >= ax * 11);
  return static_cast<std::uint8_t>(4 * ((x < 0 ? 9 - quarter : quarter) + (down ? 9 : 0)));
}

/// Writes `direction[x]` (see direction_x4) and `strength[x]` (its length in grey levels over two pixels) for x in
/// [begin, end). Of three channels the one of the greatest gradient counts; among equal ones the last before column
/// `tail` and the first from there on, as dlib's vector and remainder loops have it.
/// Requires: columns begin - 1 to end + 16 may be read, and up to end + 16 be written.
void row_gradients(const RowNeighbours& rows, int channels, int begin, int tail, int end, std::uint8_t* direction,
                   float* strength);

}  // namespace agegender
