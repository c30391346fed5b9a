// From stored chips to a network's input with changes that a training makes: all of them in one pass.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "agegender/preprocess.hpp"

namespace agegender {

/// What is changed in one chip, in this order. Positions are parts of the chip's side: 0 at its left and top edges, 1
/// at its right and bottom edges. Colours are RGB in grey levels, 0..255.
struct ChipChange {
  /// 2x3, by rows: from x, y and 1 in the new chip to x and y in the old one
  std::array<float, 6> warp{1, 0, 0, 0, 1, 0};
  float detail = 1;  ///< (0, 1]: as of a chip with so much of the pixels along each side
  /// 3x4, by rows: from red, green, blue and 1 to red, green and blue
  std::array<float, 12> colours{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  std::array<float, 4> covered{};         ///< left, top, right, bottom of what lies under one colour; empty: nothing
  std::array<float, 3> cover{};           ///< that colour
  std::array<float, 4> kept{0, 0, 1, 1};  ///< left, top, right, bottom; all that is outside gets other surroundings
  std::array<float, 3> surroundings{};    ///< their colour, where they aren't another chip's
};

/// Throws std::invalid_argument, and says why, if a value isn't finite, one of `warp` is beyond -8..8, or `detail` is
/// out of its range.
void check(const ChipChange& change);

/// Changes chips and makes a network's input of them.
///
/// A pixel of the input is the mean of the stored chip over a square about the position that it comes from, as wide as
/// the pixel is there, at least one pixel of the chip. Without a change that is what `Preprocessor` gives, whether it
/// averages or interpolates; and a face that is shifted by half a pixel is no less sharp than one that isn't. Beyond
/// its edges a chip is continued by its mirror image.
///
/// Then colours are changed, and held in 0..255. A chip with less `detail` is sampled at so many pixels fewer, and
/// enlarged bilinearly. Surroundings are those of another chip's middle, two times enlarged, or a colour.
///
/// Thread safety: one object a thread; it holds scratch memory, which grows with the first faces and then stays.
class Augmenter {
 public:
  /// Throws std::invalid_argument as `Preprocessor`.
  Augmenter(std::ptrdiff_t chip_size, const PreprocessOptions& options);
  ~Augmenter();
  Augmenter(const Augmenter&) = delete;
  Augmenter& operator=(const Augmenter&) = delete;

  /// Requires: chip of chip_size x chip_size x 3 bytes, other the same or null for surroundings of one colour, a change
  /// that passes `check`, out of size x size x 3 floats.
  void operator()(const std::uint8_t* chip, const ChipChange& change, const std::uint8_t* other, float* out);

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

/// Changes `count` chips, each as an `Augmenter` does, on `threads` threads. What comes out doesn't depend on how many.
///
/// Requires: `chips`, `changes` and `others` of `count`, out of count x size x size x 3 floats.
/// Throws std::invalid_argument as `Augmenter` and `check`, or if `threads` is not positive; then nothing is written.
void augment(std::ptrdiff_t chip_size, const PreprocessOptions& options, std::ptrdiff_t count,
             const std::uint8_t* const* chips, const ChipChange* changes, const std::uint8_t* const* others, float* out,
             int threads);

}  // namespace agegender
