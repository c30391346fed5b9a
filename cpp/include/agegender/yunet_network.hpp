// The network YuNet itself, from a picture to what it says of each cell.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "agegender/image.hpp"
#include "agegender/yunet.hpp"

namespace agegender {

/// A convolution as its model file has it.
struct YuNetLayer {
  const float* weight = nullptr;          ///< (out, in / groups, height, width)
  const float* bias = nullptr;            ///< one a channel that comes out
  std::array<std::ptrdiff_t, 4> shape{};  ///< of the weight
};

/// Takes row after row of the picture through all of the backbone while it is in the cache: memory is needed for three
/// rows of each layer, and for whole maps only at a stride of 8 and more.
/// Sums are in ONNX Runtime's order: on a CPU with AVX2, boxes are its boxes to the last bit (tests/core/
/// test_yunet_network.py). Results are equal for any number of threads.
/// Source: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023.
class YuNetNetwork {
 public:
  static constexpr std::size_t kLayers = 53;

  /// Memory that grows with the largest picture and then stays. Thread safety: one call of `run` at a time.
  class Scratch {
   public:
    Scratch();
    ~Scratch();

   private:
    friend class YuNetNetwork;
    struct Rows;
    std::unique_ptr<Rows> rows_;
  };

  /// The convolutions in the order of the model file; they are copied.
  /// Throws std::invalid_argument if they are not YuNet's.
  explicit YuNetNetwork(const std::vector<YuNetLayer>& layers);
  ~YuNetNetwork();

  /// What it says of the picture, padded with black on the right and below to multiples of 32 pixels, by stripes on up
  /// to so many threads, the caller's included. Thread safety: any number of calls at once, each with its own scratch.
  /// `pitch`: bytes from a row to the next; 0 for rows without a gap.
  /// Throws std::invalid_argument if it is no RGB picture, is empty, or `threads` is not positive.
  void run(const ImageView& picture, int threads, Scratch& scratch, YuNetMaps& maps, std::ptrdiff_t pitch = 0) const;

 private:
  struct Weights;
  std::unique_ptr<const Weights> weights_;
};

}  // namespace agegender
