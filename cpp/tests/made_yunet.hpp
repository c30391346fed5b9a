// YuNet with made weights: the same on every machine.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "agegender/yunet_network.hpp"
#include "noise.hpp"

namespace agegender::test {

struct MadeYuNet {
  std::vector<YuNetLayer> layers;

  MadeYuNet() {
    add(16, 3, 3);
    for (const auto& [in, out] : {Pair{16, 16}, {16, 16}, {16, 32}, {32, 32}, {32, 64}}) add_unit(in, out);
    for (int unit = 0; unit < 9; ++unit) add_unit(64, 64);
    for (const std::ptrdiff_t out : {1, 4, 1, 10})
      for (int stride = 0; stride < 3; ++stride) add_unit(64, out);
    // Only now does the memory stay where it is.
    const auto bytes = noise(size_);
    for (std::size_t i = 0; i < size_; ++i) numbers_.push_back((static_cast<float>(bytes[i]) - 127.5f) / 127.5f);
    float* at = numbers_.data();
    for (YuNetLayer& layer : layers) {
      const auto [out, in, height, width] = layer.shape;
      layer.weight = at;
      // As large that what comes out is about as large as what goes in; grey levels become small at once.
      const auto taps = static_cast<float>(in * height * width);
      const float scale = 2 / std::sqrt(taps) * (in == 3 ? 0.01f : 1.0f);
      for (float* const end = at + out * in * height * width; at < end; ++at) *at *= scale;
      layer.bias = at;
      at += out;
    }
  }
  MadeYuNet(const MadeYuNet&) = delete;
  MadeYuNet& operator=(const MadeYuNet&) = delete;

 private:
  struct Pair {
    std::ptrdiff_t in, out;
  };

  void add(std::ptrdiff_t out, std::ptrdiff_t in, std::ptrdiff_t side) {
    layers.push_back({nullptr, nullptr, {out, in, side, side}});
    size_ += static_cast<std::size_t>(out * in * side * side + out);
  }
  void add_unit(std::ptrdiff_t in, std::ptrdiff_t out) {
    add(out, in, 1);
    add(out, 1, 3);
  }

  std::size_t size_ = 0;
  std::vector<float> numbers_;
};

}  // namespace agegender::test
