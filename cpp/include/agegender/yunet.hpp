// The steps before and after the network YuNet: its input from a picture, faces from its outputs. Those are arrays
// where ONNX Runtime runs it, and maps where our own C++ does (yunet_network.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "agegender/image.hpp"

namespace agegender {

/// Writes the picture as planes of blue, green and red, grey levels 0..255, padded with black on the right and below.
/// Requires: an RGB picture, width and height not below its own, `planes` of 3 x height x width floats.
void yunet_input(const ImageView& picture, std::ptrdiff_t width, std::ptrdiff_t height, float* planes) noexcept;

/// What the network says of the cells of one size, row after row of the picture.
struct YuNetCells {
  const float* cls = nullptr;     ///< one a cell: whether it is a face
  const float* obj = nullptr;     ///< one a cell: how well the box fits
  const float* box = nullptr;     ///< four a cell: centre from the cell's corner in cells, logarithms of the sides
  const float* points = nullptr;  ///< ten a cell: x and y of five points from the cell's corner, in cells
  std::size_t count = 0;          ///< cells
  std::size_t columns = 0;        ///< cells in a row, 1 or more
  float side = 0;                 ///< of a cell, pixels
};

/// What the network says of the cells of one size, before the sigmoid.
struct YuNetMap {
  /// Numbers of a cell, and where each begins.
  static constexpr std::ptrdiff_t kValues = 16, kCls = 0, kObj = 1, kBox = 2, kPoints = 6;

  std::vector<float> values;             ///< (rows, 2, columns, 8): each cell's numbers in two halves
  std::ptrdiff_t rows = 0, columns = 0;  ///< cells
  std::ptrdiff_t side = 0;               ///< of a cell, pixels

  /// For a picture of width x height pixels, multiples of `cell`. The values are unspecified.
  void resize(std::ptrdiff_t width, std::ptrdiff_t height, std::ptrdiff_t cell) {
    side = cell;
    rows = height / cell;
    columns = width / cell;
    values.resize(static_cast<std::size_t>(kValues * rows * columns));
  }
  /// Both halves of a cell's numbers.
  std::array<const float*, 2> cell(std::ptrdiff_t row, std::ptrdiff_t column) const {
    const float* first = values.data() + (2 * row * columns + column) * (kValues / 2);
    return {first, first + columns * (kValues / 2)};
  }
};

using YuNetMaps = std::array<YuNetMap, 3>;  ///< of cells of 8, 16 and 32 pixels

struct YuNetFace {
  std::array<float, 4> box{};      ///< left, top, right, bottom, pixels
  std::array<float, 10> points{};  ///< x and y of eyes, nose and corners of the mouth, pixels
  float score = 0;                 ///< in [0, 1]
};

/// Finds faces in the outputs frame after frame and keeps its scratch memory: it allocates only when a frame has more
/// faces than any before.
/// Boxes, points, scores and which of several overlapping faces stay are those of OpenCV's FaceDetectorYN.
/// Thread safety: one thread at a time for each object.
/// Source: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023.
class YuNetDecoder {
 public:
  /// Ensures: `faces` holds those with a score above the threshold, best first; of two whose IoU is above `overlap`,
  /// only the better one. Only the best `most` candidates are considered.
  void decode(const std::vector<YuNetCells>& cells, float threshold, float overlap, std::size_t most,
              std::vector<YuNetFace>& faces);
  void decode(const YuNetMaps& maps, float threshold, float overlap, std::size_t most, std::vector<YuNetFace>& faces);

 private:
  /// Of those found, the ones that stay.
  void suppress(float overlap, std::size_t most, std::vector<YuNetFace>& faces);

  struct Rect {
    double x, y, width, height;  ///< whole pixels, as FaceDetectorYN compares them
  };

  std::vector<YuNetFace> found_;    ///< all above the threshold
  std::vector<std::size_t> order_;  ///< of these, best first
  std::vector<Rect> kept_;          ///< those that stay
};

}  // namespace agegender
