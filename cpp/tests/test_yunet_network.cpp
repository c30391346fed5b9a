// YuNet by rows beside the same layers one after the other, over whole maps. The comparison with ONNX Runtime is in
// tests/core, in Python.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "agegender/yunet_network.hpp"
#include "check.hpp"
#include "made_yunet.hpp"
#include "noise.hpp"

using namespace agegender;

namespace {

struct Map {
  std::ptrdiff_t channels = 0, height = 0, width = 0;
  std::vector<double> values;

  Map(std::ptrdiff_t c, std::ptrdiff_t h, std::ptrdiff_t w)
      : channels(c), height(h), width(w), values(static_cast<std::size_t>(c * h * w)) {}
  double& at(std::ptrdiff_t c, std::ptrdiff_t y, std::ptrdiff_t x) {
    return values[static_cast<std::size_t>((c * height + y) * width + x)];
  }
  double padded(std::ptrdiff_t c, std::ptrdiff_t y, std::ptrdiff_t x) const {
    if (y < 0 || x < 0 || y >= height || x >= width) return 0;
    return values[static_cast<std::size_t>((c * height + y) * width + x)];
  }
};

Map convolve(const Map& in, const YuNetLayer& layer, std::ptrdiff_t stride) {
  const auto [out, of, side, across] = layer.shape;
  CHECK(side == across);
  Map made(out, in.height / stride, in.width / stride);
  const bool each = of == 1 && out == in.channels;
  for (std::ptrdiff_t o = 0; o < out; ++o)
    for (std::ptrdiff_t y = 0; y < made.height; ++y)
      for (std::ptrdiff_t x = 0; x < made.width; ++x) {
        double sum = layer.bias[o];
        for (std::ptrdiff_t i = 0; i < of; ++i)
          for (std::ptrdiff_t k = 0; k < side * side; ++k)
            sum += static_cast<double>(layer.weight[(o * of + i) * side * side + k]) *
                   in.padded(each ? o : i, y * stride + k / side - side / 2, x * stride + k % side - side / 2);
        made.at(o, y, x) = sum;
      }
  return made;
}

Map rectified(Map map) {
  for (double& value : map.values) value = std::max(value, 0.0);
  return map;
}

Map pooled(Map in) {
  Map made(in.channels, in.height / 2, in.width / 2);
  for (std::ptrdiff_t c = 0; c < made.channels; ++c)
    for (std::ptrdiff_t y = 0; y < made.height; ++y)
      for (std::ptrdiff_t x = 0; x < made.width; ++x)
        made.at(c, y, x) = std::max({in.at(c, 2 * y, 2 * x), in.at(c, 2 * y, 2 * x + 1), in.at(c, 2 * y + 1, 2 * x),
                                     in.at(c, 2 * y + 1, 2 * x + 1)});
  return made;
}

Map added(Map fine, Map coarse) {
  for (std::ptrdiff_t c = 0; c < fine.channels; ++c)
    for (std::ptrdiff_t y = 0; y < fine.height; ++y)
      for (std::ptrdiff_t x = 0; x < fine.width; ++x) fine.at(c, y, x) += coarse.at(c, y / 2, x / 2);
  return fine;
}

/// What the graph of the model file says, in its order.
std::array<Map, 3> plain(const std::vector<YuNetLayer>& layers, const ImageView& picture) {
  Map map(3, (picture.height + 31) / 32 * 32, (picture.width + 31) / 32 * 32);
  for (std::ptrdiff_t y = 0; y < picture.height; ++y)
    for (std::ptrdiff_t x = 0; x < picture.width; ++x)
      for (std::ptrdiff_t c = 0; c < 3; ++c) map.at(2 - c, y, x) = picture.data[3 * (y * picture.width + x) + c];
  std::size_t next = 0;
  map = rectified(convolve(map, layers[next++], 2));
  const auto unit = [&](const Map& in, std::size_t first) {
    return convolve(convolve(in, layers[first], 1), layers[first + 1], 1);
  };
  const auto units = [&](int count) {
    for (; count > 0; --count, next += 2) map = rectified(unit(map, next));
  };
  units(1);
  map = pooled(map);
  units(4);
  std::vector<Map> levels;
  for (int level = 0; level < 3; ++level) {
    map = pooled(map);
    units(2);
    levels.push_back(map);
  }
  for (std::size_t level = 3; level-- > 0; next += 2) {
    if (level < 2) levels[level] = added(levels[level], levels[level + 1]);
    levels[level] = rectified(unit(levels[level], next));
  }
  std::array<Map, 3> all{Map(16, levels[0].height, levels[0].width), Map(16, levels[1].height, levels[1].width),
                         Map(16, levels[2].height, levels[2].width)};
  constexpr std::pair<std::ptrdiff_t, std::ptrdiff_t> kParts[] = {
      {YuNetMap::kCls, 1}, {YuNetMap::kBox, 4}, {YuNetMap::kObj, 1}, {YuNetMap::kPoints, 10}};
  for (const auto& [first, count] : kParts)
    for (std::size_t level = 0; level < 3; ++level, next += 2) {
      const Map head = unit(levels[level], next);
      CHECK(head.channels == count);
      std::copy(head.values.begin(), head.values.end(), all[level].values.begin() + first * head.height * head.width);
    }
  CHECK(next == layers.size());
  return all;
}

void test_rows_are_the_layers_one_after_the_other() {
  const test::MadeYuNet made;
  const YuNetNetwork network(made.layers);
  YuNetNetwork::Scratch scratch;
  YuNetMaps maps;
  constexpr std::pair<std::ptrdiff_t, std::ptrdiff_t> kSizes[] = {{1, 1}, {32, 32}, {33, 65}, {130, 31}, {64, 224}};
  for (const auto& [height, width] : kSizes) {
    const auto bytes = test::noise(static_cast<std::size_t>(3 * height * width));
    const ImageView picture{bytes.data(), height, width, 3};
    network.run(picture, 1, scratch, maps);
    const auto expected = plain(made.layers, picture);
    for (std::size_t level = 0; level < 3; ++level) {
      CHECK(maps[level].side == 8 << level);
      CHECK(maps[level].rows == expected[level].height && maps[level].columns == expected[level].width);
      double largest = 0, apart = 0;
      for (std::ptrdiff_t c = 0; c < 16; ++c)
        for (std::ptrdiff_t y = 0; y < maps[level].rows; ++y)
          for (std::ptrdiff_t x = 0; x < maps[level].columns; ++x) {
            const double value = expected[level].padded(c, y, x);
            const float ours = maps[level].cell(y, x)[static_cast<std::size_t>(c / 8)][c % 8];
            largest = std::max(largest, std::abs(value));
            apart = std::max(apart, std::abs(static_cast<double>(ours) - value));
          }
      CHECK(largest > 0.1);
      CHECK(apart < 1e-5 * largest);
    }
  }
}

void test_any_number_of_threads_gives_the_same() {
  const test::MadeYuNet made;
  const YuNetNetwork network(made.layers);
  constexpr std::pair<std::ptrdiff_t, std::ptrdiff_t> kSizes[] = {{600, 40}, {257, 96}, {32, 300}, {1056, 33}};
  for (const auto& [height, width] : kSizes) {
    const auto bytes = test::noise(static_cast<std::size_t>(3 * height * width));
    const ImageView picture{bytes.data(), height, width, 3};
    YuNetNetwork::Scratch scratch;
    YuNetMaps alone, striped;
    network.run(picture, 1, scratch, alone);
    for (const int threads : {2, 3, 8, 100}) {
      network.run(picture, threads, scratch, striped);
      for (std::size_t level = 0; level < 3; ++level) CHECK(alone[level].values == striped[level].values);
    }
  }
}

void test_a_part_of_a_picture_needs_no_copy() {
  const test::MadeYuNet made;
  const YuNetNetwork network(made.layers);
  YuNetNetwork::Scratch scratch;
  YuNetMaps expected, maps;
  constexpr std::ptrdiff_t kWidth = 90, kHeight = 70, kLeft = 7, kTop = 3, kInner = 66, kRows = 41;
  const auto bytes = test::noise(3 * kWidth * kHeight);
  std::vector<std::uint8_t> part;
  for (std::ptrdiff_t y = 0; y < kRows; ++y) {
    const auto row = bytes.begin() + 3 * ((kTop + y) * kWidth + kLeft);
    part.insert(part.end(), row, row + 3 * kInner);
  }
  network.run(ImageView{part.data(), kRows, kInner, 3}, 1, scratch, expected);
  const ImageView inside{bytes.data() + 3 * (kTop * kWidth + kLeft), kRows, kInner, 3};
  network.run(inside, 1, scratch, maps, 3 * kWidth);
  for (std::size_t level = 0; level < 3; ++level) CHECK(maps[level].values == expected[level].values);
}

void test_faces_of_maps_are_those_of_arrays() {
  const test::MadeYuNet made;
  const YuNetNetwork network(made.layers);
  YuNetNetwork::Scratch scratch;
  YuNetMaps maps;
  const auto bytes = test::noise(3 * 96 * 128);
  network.run(ImageView{bytes.data(), 96, 128, 3}, 1, scratch, maps);
  std::vector<float> cls[3], obj[3], box[3], points[3];
  std::vector<YuNetCells> cells;
  for (std::size_t level = 0; level < 3; ++level) {
    for (std::ptrdiff_t y = 0; y < maps[level].rows; ++y)
      for (std::ptrdiff_t x = 0; x < maps[level].columns; ++x) {
        const auto [first, second] = maps[level].cell(y, x);
        cls[level].push_back(1 / (1 + std::exp(-first[0])));
        obj[level].push_back(1 / (1 + std::exp(-first[1])));
        box[level].insert(box[level].end(), first + 2, first + 6);
        points[level].insert(points[level].end(), first + 6, first + 8);
        points[level].insert(points[level].end(), second, second + 8);
      }
    cells.push_back({cls[level].data(), obj[level].data(), box[level].data(), points[level].data(), cls[level].size(),
                     static_cast<std::size_t>(maps[level].columns), static_cast<float>(maps[level].side)});
  }
  YuNetDecoder decoder;
  std::vector<YuNetFace> ours, expected;
  for (const float threshold : {0.01f, 0.5f, 0.7f}) {
    decoder.decode(maps, threshold, 0.3f, 5000, ours);
    decoder.decode(cells, threshold, 0.3f, 5000, expected);
    CHECK(threshold > 0.6f || !ours.empty());
    CHECK(ours.size() == expected.size());
    for (std::size_t i = 0; i < std::min(ours.size(), expected.size()); ++i)
      CHECK(ours[i].box == expected[i].box && ours[i].points == expected[i].points &&
            ours[i].score == expected[i].score);
  }
}

void test_what_is_not_yunet_is_refused() {
  test::MadeYuNet made;
  const YuNetNetwork network(made.layers);
  YuNetNetwork::Scratch scratch;
  YuNetMaps maps;
  const std::vector<std::uint8_t> bytes(3 * 32 * 32);
  CHECK_THROWS(std::invalid_argument, network.run(ImageView{bytes.data(), 32, 32, 1}, 1, scratch, maps));
  CHECK_THROWS(std::invalid_argument, network.run(ImageView{bytes.data(), 0, 32, 3}, 1, scratch, maps));
  CHECK_THROWS(std::invalid_argument, network.run(ImageView{bytes.data(), 32, 32, 3}, 0, scratch, maps));
  CHECK_THROWS(std::invalid_argument, YuNetNetwork({made.layers.begin(), made.layers.end() - 1}));
  std::swap(made.layers[1], made.layers[2]);
  CHECK_THROWS(std::invalid_argument, YuNetNetwork(made.layers));
}

}  // namespace

int main() {
  test_rows_are_the_layers_one_after_the_other();
  test_any_number_of_threads_gives_the_same();
  test_a_part_of_a_picture_needs_no_copy();
  test_faces_of_maps_are_those_of_arrays();
  test_what_is_not_yunet_is_refused();
  return test::report();
}
