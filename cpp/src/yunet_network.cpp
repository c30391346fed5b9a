#include "agegender/yunet_network.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "simd.hpp"
#include "together.hpp"
#include "yunet_layers.hpp"

namespace agegender {

using simd::Buffer;
using yunet::kBlock;
using yunet::kPair;
using yunet::kStemChannels;
using yunet::PoolRows;
using yunet::Unit;
using yunet::UnitRows;

namespace {

constexpr std::ptrdiff_t kChannels = 64;     ///< of the backbone from a stride of 8 on, and of the neck
constexpr std::ptrdiff_t kLeastStripe = 16;  ///< rows of cells of 8 pixels, so that what stripes share stays small
constexpr std::size_t kStrides = 3;          ///< 8, 16 and 32 pixels

/// Units of the backbone by their stride, then those of the neck from the coarsest on.
constexpr std::size_t kAt2 = 0, kAt4 = 1, kAt8 = 5, kAt16 = 7, kAt32 = 9, kNeck = 11, kUnits = 14;
constexpr std::array<std::ptrdiff_t, kUnits> kIn{16, 16, 16, 32, 32, 64, 64, 64, 64, 64, 64, 64, 64, 64};
constexpr std::array<std::ptrdiff_t, kUnits> kOut{16, 16, 32, 32, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64};

/// The unit of the neck at the stride of 8 << level.
constexpr std::size_t neck_at(std::size_t level) { return kNeck + kStrides - 1 - level; }

Unit empty_unit(std::ptrdiff_t in, std::ptrdiff_t out, bool rectified) {
  const auto channels = static_cast<std::size_t>(out);
  return {in,
          out,
          rectified,
          Buffer<float>(static_cast<std::size_t>(in) * channels),
          Buffer<float>(channels),
          Buffer<float>(9 * channels),
          Buffer<float>(channels)};
}

/// Sets the channels of a unit from `first` on.
void set(Unit& unit, std::ptrdiff_t first, const YuNetLayer& pointwise, const YuNetLayer& depthwise) {
  for (std::ptrdiff_t i = 0; i < pointwise.shape[0]; ++i) {
    const std::ptrdiff_t out = first + i;
    float* weights = unit.pointwise.data() + out / kPair * unit.in * kPair + out % kPair;
    for (std::ptrdiff_t in = 0; in < unit.in; ++in) weights[in * kPair] = pointwise.weight[i * unit.in + in];
    float* filter = unit.depthwise.data() + out / kBlock * 9 * kBlock + out % kBlock;
    for (std::ptrdiff_t k = 0; k < 9; ++k) filter[k * kBlock] = depthwise.weight[i * 9 + k];
    unit.pointwise_bias[static_cast<std::size_t>(out)] = pointwise.bias[i];
    unit.depthwise_bias[static_cast<std::size_t>(out)] = depthwise.bias[i];
  }
}

}  // namespace

struct YuNetNetwork::Weights {
  yunet::Stem stem;
  std::array<Unit, kUnits> units;
  std::array<Unit, kStrides> heads;
};

YuNetNetwork::YuNetNetwork(const std::vector<YuNetLayer>& layers) {
  if (layers.size() != kLayers)
    throw std::invalid_argument("YuNet has " + std::to_string(kLayers) + " convolutions, got " +
                                std::to_string(layers.size()));
  std::size_t taken = 0;
  const auto take = [&](const std::array<std::ptrdiff_t, 4>& shape) -> const YuNetLayer& {
    if (layers[taken].shape != shape)
      throw std::invalid_argument("convolution " + std::to_string(taken) + " has another shape than YuNet's");
    return layers[taken++];
  };
  const auto take_unit = [&](Unit& unit, std::ptrdiff_t first, std::ptrdiff_t out) {
    const YuNetLayer& pointwise = take({out, unit.in, 1, 1});
    set(unit, first, pointwise, take({out, 1, 3, 3}));
  };
  auto weights = std::make_unique<Weights>();
  const YuNetLayer& stem = take({kStemChannels, 3, 3, 3});
  weights->stem.weights.resize(27 * kStemChannels);
  weights->stem.bias.assign(stem.bias, stem.bias + kStemChannels);
  for (std::size_t out = 0; out < kStemChannels; ++out)
    for (std::size_t k = 0; k < 27; ++k) weights->stem.weights[k * kStemChannels + out] = stem.weight[27 * out + k];
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    weights->units[unit] = empty_unit(kIn[unit], kOut[unit], true);
    take_unit(weights->units[unit], 0, kOut[unit]);
  }
  for (Unit& head : weights->heads) head = empty_unit(kChannels, YuNetMap::kValues, false);
  // As the file has them: cls, bbox, obj and kps, each for all strides.
  constexpr std::pair<std::ptrdiff_t, std::ptrdiff_t> kParts[] = {
      {YuNetMap::kCls, 1}, {YuNetMap::kBox, 4}, {YuNetMap::kObj, 1}, {YuNetMap::kPoints, 10}};
  for (const auto& [first, count] : kParts)
    for (Unit& head : weights->heads) take_unit(head, first, count);
  weights_ = std::move(weights);
}

YuNetNetwork::~YuNetNetwork() = default;

struct YuNetNetwork::Scratch::Rows {
  /// What a thread needs for its rows up to a stride of 8, and for the neck and the head there.
  struct Stripe {
    Buffer<float> pixels;  ///< three rows
    Buffer<float> stem, sum;
    std::array<UnitRows, kAt16> units;
    std::array<PoolRows, 2> pools;
    UnitRows neck, head;
  };

  std::vector<Stripe> stripes;
  std::array<UnitRows, kUnits - kAt16 - 1> coarse;  ///< units from a stride of 16 on
  std::array<UnitRows, kStrides> heads;
  std::array<PoolRows, 2> coarse_pools;
  std::array<Buffer<float>, kStrides> levels, necks;  ///< whole maps of the backbone and of the neck
  Buffer<float> zeros, sum;

  void reserve(const Weights& weights, std::ptrdiff_t width, std::ptrdiff_t height, std::size_t count);
  void run_stripe(const Weights& weights, const ImageView& picture, std::ptrdiff_t pitch, Stripe& stripe,
                  std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t width, std::ptrdiff_t height) noexcept;
  void run_coarse(std::ptrdiff_t width, std::ptrdiff_t height, YuNetMaps& maps) noexcept;
  void run_neck(std::size_t level, UnitRows& neck, UnitRows& head, Buffer<float>& sums, std::ptrdiff_t begin,
                std::ptrdiff_t end, YuNetMap& map) noexcept;
};

YuNetNetwork::Scratch::Scratch() : rows_(std::make_unique<Rows>()) {}
YuNetNetwork::Scratch::~Scratch() = default;

/// All memory is taken here, so that no thread can fail.
void YuNetNetwork::Scratch::Rows::reserve(const Weights& weights, std::ptrdiff_t width, std::ptrdiff_t height,
                                          std::size_t count) {
  simd::at_least(zeros, static_cast<std::size_t>(kChannels * (width / 2 + 2)));
  simd::at_least(sum, static_cast<std::size_t>(kChannels * width / 8));
  for (std::size_t level = 0; level < kStrides; ++level) {
    const std::ptrdiff_t stride = 8 << level;
    const auto size = static_cast<std::size_t>(kChannels * (width / stride) * (height / stride));
    simd::at_least(levels[level], size);
    if (level > 0) simd::at_least(necks[level], size);
    heads[level].reserve(weights.heads[level], width / stride);
  }
  for (std::size_t unit = kAt16; unit < neck_at(0); ++unit)
    coarse[unit - kAt16].reserve(weights.units[unit], width / (unit < kAt32 || unit == neck_at(1) ? 16 : 32));
  coarse_pools[0].reserve(kChannels, width / 16);
  coarse_pools[1].reserve(kChannels, width / 32);
  if (stripes.size() < count) stripes.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Stripe& stripe = stripes[i];
    simd::at_least(stripe.pixels, static_cast<std::size_t>(9 * (width + 1)));
    simd::at_least(stripe.stem, static_cast<std::size_t>(kStemChannels * width / 2));
    simd::at_least(stripe.sum, static_cast<std::size_t>(kChannels * width / 8));
    for (std::size_t unit = kAt2; unit < kAt16; ++unit)
      stripe.units[unit].reserve(weights.units[unit], width / (unit < kAt4 ? 2 : unit < kAt8 ? 4 : 8));
    stripe.pools[0].reserve(kOut[kAt4 - 1], width / 4);
    stripe.pools[1].reserve(kOut[kAt8 - 1], width / 8);
    stripe.neck.reserve(weights.units[neck_at(0)], width / 8);
    stripe.head.reserve(weights.heads[0], width / 8);
  }
}

/// The backbone up to a stride of 8: its rows from `begin` to before `end`.
void YuNetNetwork::Scratch::Rows::run_stripe(const Weights& weights, const ImageView& picture, std::ptrdiff_t pitch,
                                             Stripe& stripe, std::ptrdiff_t begin, std::ptrdiff_t end,
                                             std::ptrdiff_t width, std::ptrdiff_t height) noexcept {
  // What those rows see: a row above and below for each of two units, then twice as many, and those of four, and so on.
  const std::ptrdiff_t first = std::max(std::ptrdiff_t{0}, 4 * begin - 18);
  const std::ptrdiff_t last = std::min(height / 2, 4 * end + 17);
  auto& units = stripe.units;
  auto& pools = stripe.pools;
  std::ptrdiff_t next = first;
  for (std::size_t unit = kAt2; unit < kAt16; ++unit) {
    if (unit == kAt4 || unit == kAt8) next = (next + 1) / 2;
    units[unit].start(next, height / (unit < kAt4 ? 2 : unit < kAt8 ? 4 : 8), zeros.data());
    next = units[unit].first_out();
  }
  for (PoolRows& pool : pools) pool.start();

  const auto keep = [&](std::ptrdiff_t y, const float* row) {
    const std::ptrdiff_t count = kChannels * (width / 8);
    if (y >= begin && y < end) std::copy_n(row, count, levels[0].data() + y * count);
  };
  const auto at_8 = [&](const float* row) {
    units[kAt8].push(row, [&](std::ptrdiff_t, const float* second) { units[kAt8 + 1].push(second, keep); });
  };
  const auto at_4 = [&](const float* row) {
    units[kAt4].push(row, [&](std::ptrdiff_t, const float* second) {
      units[kAt4 + 1].push(second, [&](std::ptrdiff_t, const float* third) {
        units[kAt4 + 2].push(third, [&](std::ptrdiff_t, const float* fourth) {
          units[kAt4 + 3].push(fourth, [&](std::ptrdiff_t y, const float* done) { pools[1].push(y, done, at_8); });
        });
      });
    });
  };
  const auto pixels_of = [&](std::ptrdiff_t y) { return stripe.pixels.data() + (y + 3) % 3 * 3 * (width + 1); };
  const auto read = [&](std::ptrdiff_t y) { yunet::pixel_row(picture, pitch, y, width, pixels_of(y)); };
  read(2 * first - 1);
  for (std::ptrdiff_t y = first; y < last; ++y) {
    read(2 * y);
    read(2 * y + 1);
    yunet::stem_row(weights.stem, {pixels_of(2 * y - 1), pixels_of(2 * y), pixels_of(2 * y + 1)}, width / 2,
                    stripe.stem.data());
    units[kAt2].push(stripe.stem.data(),
                     [&](std::ptrdiff_t row, const float* done) { pools[0].push(row, done, at_4); });
  }
}

/// From the backbone at a stride of 8, what comes of it at 16 and 32.
void YuNetNetwork::Scratch::Rows::run_coarse(std::ptrdiff_t width, std::ptrdiff_t height, YuNetMaps& maps) noexcept {
  const auto unit = [&](std::size_t number) -> UnitRows& { return coarse[number - kAt16]; };
  for (std::size_t number = kAt16; number < kNeck; ++number)
    unit(number).start(0, height / (number < kAt32 ? 16 : 32), zeros.data());
  for (PoolRows& pool : coarse_pools) pool.start();
  const auto keep = [&](std::size_t level, std::ptrdiff_t y, const float* row) {
    const std::ptrdiff_t count = kChannels * (width / (8 << level));
    std::copy_n(row, count, levels[level].data() + y * count);
  };
  const auto at_32 = [&](const float* row) {
    unit(kAt32).push(row, [&](std::ptrdiff_t, const float* second) {
      unit(kAt32 + 1).push(second, [&](std::ptrdiff_t y, const float* done) { keep(2, y, done); });
    });
  };
  const auto at_16 = [&](const float* row) {
    unit(kAt16).push(row, [&](std::ptrdiff_t, const float* second) {
      unit(kAt16 + 1).push(second, [&](std::ptrdiff_t y, const float* done) {
        keep(1, y, done);
        coarse_pools[1].push(y, done, at_32);
      });
    });
  };
  for (std::ptrdiff_t y = 0; y < height / 8; ++y)
    coarse_pools[0].push(y, levels[0].data() + y * kChannels * (width / 8), at_16);
  for (const std::size_t level : {std::size_t{2}, std::size_t{1}})
    run_neck(level, unit(neck_at(level)), heads[level], sum, 0, maps[level].rows, maps[level]);
}

/// The neck and the head of a level: rows of its map from `begin` to before `end`.
void YuNetNetwork::Scratch::Rows::run_neck(std::size_t level, UnitRows& neck, UnitRows& head, Buffer<float>& sums,
                                           std::ptrdiff_t begin, std::ptrdiff_t end, YuNetMap& map) noexcept {
  const std::ptrdiff_t columns = map.columns, count = kChannels * columns;
  const std::ptrdiff_t first = std::max(std::ptrdiff_t{0}, begin - 2), last = std::min(map.rows, end + 2);
  neck.start(first, map.rows, zeros.data());
  head.start(neck.first_out(), map.rows, zeros.data());
  const auto answer = [&](std::ptrdiff_t y, const float* row) {
    constexpr std::ptrdiff_t kCell = YuNetMap::kValues;
    if (y >= begin && y < end) std::copy_n(row, kCell * columns, map.values.data() + y * kCell * columns);
  };
  for (std::ptrdiff_t y = first; y < last; ++y) {
    const float* row = levels[level].data() + y * count;
    if (level + 1 < kStrides) {
      yunet::add_doubled(necks[level + 1].data() + y / 2 * (count / 2), row, kChannels, columns, sums.data());
      row = sums.data();
    }
    neck.push(row, [&](std::ptrdiff_t done, const float* values) {
      if (level > 0) std::copy_n(values, count, necks[level].data() + done * count);
      head.push(values, answer);
    });
  }
}

void YuNetNetwork::run(const ImageView& picture, int threads, Scratch& scratch, YuNetMaps& maps,
                       std::ptrdiff_t pitch) const {
  if (picture.channels != 3 || picture.width < 1 || picture.height < 1)
    throw std::invalid_argument("the picture must be RGB and not empty");
  if (threads < 1) throw std::invalid_argument("threads must be at least 1, got " + std::to_string(threads));
  const std::ptrdiff_t width = (picture.width + 31) / 32 * 32, height = (picture.height + 31) / 32 * 32;
  const std::ptrdiff_t rows = height / 8;
  const auto count = static_cast<std::size_t>(
      std::clamp(rows / kLeastStripe, std::ptrdiff_t{1}, static_cast<std::ptrdiff_t>(threads)));
  Scratch::Rows& memory = *scratch.rows_;
  memory.reserve(*weights_, width, height, count);
  for (std::size_t level = 0; level < kStrides; ++level) maps[level].resize(width, height, 8 << level);
  const auto from = [&](std::size_t stripe) {
    return static_cast<std::ptrdiff_t>(stripe) * rows / static_cast<std::ptrdiff_t>(count);
  };
  together(count, [&](std::size_t i) {
    memory.run_stripe(*weights_, picture, pitch > 0 ? pitch : 3 * picture.width, memory.stripes[i], from(i),
                      from(i + 1), width, height);
  });
  memory.run_coarse(width, height, maps);
  together(count, [&](std::size_t i) {
    Scratch::Rows::Stripe& stripe = memory.stripes[i];
    memory.run_neck(0, stripe.neck, stripe.head, stripe.sum, from(i), from(i + 1), maps[0]);
  });
}

}  // namespace agegender
