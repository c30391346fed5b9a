// Felzenszwalb's histograms of oriented gradients.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "planar_image.hpp"
#include "simd.hpp"

namespace agegender {

/// The features of a picture: kPlanes planes of (rows, columns), of which each row lies between zeros.
struct HogFeatures {
  static constexpr int kPlanes = 31;
  static constexpr int kCell = 8;     ///< pixels
  static constexpr int kBefore = 4;   ///< zeros left of each row
  static constexpr int kBehind = 16;  ///< zeros right of each row, at least

  int rows = 0;            ///< cells that have features: all but those at the picture's edge
  int columns = 0;         ///< likewise
  std::size_t stride = 0;  ///< floats from row to row
  simd::Buffer<float> values;

  /// The first feature of a row; the zeros before it may be read, too.
  float* row(int plane, int y) { return values.data() + offset(plane, y); }
  const float* row(int plane, int y) const { return values.data() + offset(plane, y); }

 private:
  std::size_t offset(int plane, int y) const { return static_cast<std::size_t>(plane * rows + y) * stride + kBefore; }
};

/// Extracts the features of cells of 8 x 8 pixels as `dlib::extract_fhog_features` does: 18 signed directions, 9
/// unsigned ones and 4 sums over each block's neighbours. Equal to dlib's but for the order of additions of floats.
///
/// Source: Felzenszwalb, Girshick, McAllester, Ramanan, "Object Detection with Discriminatively Trained Part Based
/// Models", IEEE TPAMI 32(9), 2010, section 6.2; dlib/image_transforms/fhog.h for what the paper leaves open.
/// Holds scratch memory: one object a thread.
class HogExtractor {
 public:
  void operator()(const PlanarImage& image, HogFeatures& features);

 private:
  static constexpr int kSigned = 18, kUnsigned = 9;
  /// Direction 18 is one more name of direction 0: see direction_x4.
  static constexpr int kBins = kSigned + 1;
  /// Blocks whose gradients are computed before they are counted: as many as stay in the first cache.
  static constexpr int kChunk = 64;
  static constexpr int kChunkPixels = kChunk * HogFeatures::kCell + 32;

  void count_block_row(const PlanarImage& image, int block_row);
  template <int kBlocks>
  void count_blocks(const std::uint8_t* direction, const float* strength, int first_row, int end_row, float* blocks);
  void sum_cells(int cell_row);
  void write_norms(int cell_row);
  void write_features(int row, HogFeatures& features);

  int cell_rows_ = 0, cell_columns_ = 0;
  std::size_t cell_stride_ = 0;                             ///< floats, for rows of cells
  std::array<std::uint8_t, 8 * kChunkPixels> direction_{};  ///< 8 rows of one chunk
  std::array<float, 8 * kChunkPixels> strength_{};          ///< likewise
  /// Of the two blocks that are counted, left at 0 in between. Two histograms of each take turns, since neighbours
  /// often share a direction and would wait for each other's sum.
  alignas(64) std::array<std::array<float, 2 * kBins * 4>, 2> bins_{};
  std::array<simd::Buffer<float>, 2> blocks_;  ///< (blocks, 18, 4 cells), of two rows of blocks
  std::array<simd::Buffer<float>, 2> cells_;   ///< (18, columns), of two rows of cells
  std::array<simd::Buffer<float>, 2> energy_;  ///< (columns), of two rows of cells
  std::array<simd::Buffer<float>, 2> norm_;    ///< (2, columns + 1): limit and factor at corners of cells
};

}  // namespace agegender
