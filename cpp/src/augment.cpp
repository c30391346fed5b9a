#include "agegender/augment.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "square_sampler.hpp"
#include "together.hpp"

namespace agegender {

using simd::Floats;
using simd::FourFloats;
using simd::kLanes;
using simd::load;
using simd::maximum;
using simd::minimum;
using simd::splat;
using simd::store;

namespace {

Affine after(const Affine& second, const Affine& first) {
  return {second[0] * first[0] + second[1] * first[3],
          second[0] * first[1] + second[1] * first[4],
          second[0] * first[2] + second[1] * first[5] + second[2],
          second[3] * first[0] + second[4] * first[3],
          second[3] * first[1] + second[4] * first[4],
          second[3] * first[2] + second[4] * first[5] + second[5]};
}

Affine scaled(double factor, double shift_x, double shift_y) { return {factor, 0, shift_x, 0, factor, shift_y}; }

/// From grey levels to what the network gets for them.
class Colours {
 public:
  explicit Colours(const PreprocessOptions& options) : options_(options) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      scale_[channel] = scale_[channel + 4] = options.scale[channel];
      start_[channel] = start_[channel + 4] = -options.mean[channel] * options.scale[channel];
    }
  }

  /// `change`: 3x4, see ChipChange.
  void set(const std::array<float, 12>& change) {
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::size_t from = 0; from < 4; ++from)
        columns_[from][channel] = columns_[from][channel + 4] = change[4 * source(channel) + from];
  }

  /// Of `size` pixels, in place. Reads and writes up to the next multiple of eight floats.
  void operator()(float* pixels, std::ptrdiff_t size) const {
    const Floats red = load(columns_[0].data()), green = load(columns_[1].data()), blue = load(columns_[2].data());
    const Floats offset = load(columns_[3].data()), scale = load(scale_.data()), start = load(start_.data());
    for (std::ptrdiff_t i = 0; i < size * kPixel; i += kLanes) {
      const Floats at = load(pixels + i);
      const Floats changed =
          red * simd::spread<0>(at) + green * simd::spread<1>(at) + blue * simd::spread<2>(at) + offset;
      store(pixels + i, maximum(minimum(changed, splat(255.0f)), splat(0.0f)) * scale + start);
    }
  }

  FourFloats colour(const std::array<float, 3>& rgb) const {
    std::array<float, kPixel> levels{};
    for (std::size_t channel = 0; channel < 3; ++channel)
      levels[channel] = std::clamp(rgb[source(channel)], 0.0f, 255.0f);
    return load<FourFloats>(levels.data()) * load<FourFloats>(scale_.data()) + load<FourFloats>(start_.data());
  }

 private:
  std::size_t source(std::size_t channel) const { return options_.bgr ? 2 - channel : channel; }

  PreprocessOptions options_;
  std::array<std::array<float, 8>, 4> columns_{};
  std::array<float, 8> scale_{}, start_{};
};

/// A small picture of `from` pixels a side, enlarged bilinearly.
class Enlarger {
 public:
  void set(std::ptrdiff_t from, std::ptrdiff_t to) {
    from_ = from;
    to_ = to;
    simd::at_least(pixels_, index(from * simd::round_up(static_cast<int>(from) * kPixel, 8)));
    places_.resize(index(to));
    for (std::ptrdiff_t i = 0; i < to; ++i) {
      const double middle = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
      const double at = std::clamp(middle, 0.0, static_cast<double>(from - 1));
      const auto first = std::min(static_cast<std::ptrdiff_t>(at), std::max<std::ptrdiff_t>(from - 2, 0));
      places_[index(i)] = {first, std::min(first + 1, from - 1), static_cast<float>(at - static_cast<double>(first))};
    }
    simd::at_least(mixed_, index(from * kPixel));
  }

  float* row(std::ptrdiff_t y) { return pixels_.data() + y * simd::round_up(static_cast<int>(from_) * kPixel, 8); }

  /// Row `y` of the large picture, `to` x 4 floats.
  void enlarged_row(std::ptrdiff_t y, float* out) {
    const Place& at = places_[index(y)];
    const float *above = row(at.first), *below = row(at.second);
    for (std::ptrdiff_t i = 0; i < from_ * kPixel; ++i) mixed_[index(i)] = above[i] + at.share * (below[i] - above[i]);
    for (std::ptrdiff_t x = 0; x < to_; ++x) {
      const Place& place = places_[index(x)];
      const FourFloats left = load<FourFloats>(mixed_.data() + place.first * kPixel);
      const FourFloats right = load<FourFloats>(mixed_.data() + place.second * kPixel);
      store(out + x * kPixel, left + simd::splat_four(place.share) * (right - left));
    }
  }

 private:
  struct Place {
    std::ptrdiff_t first, second;
    float share;  // of the second
  };
  std::ptrdiff_t from_ = 0, to_ = 0;
  std::vector<Place> places_;
  simd::Buffer<float> pixels_, mixed_;
};

/// How much of each of `size` pixels lies between two edges; which pixels have a part of it, and which lie in it
/// wholly.
struct Coverage {
  std::ptrdiff_t first = 0, end = 0, whole_first = 0, whole_end = 0;
  std::vector<float> share;

  void set(double from, double to, std::ptrdiff_t size) {
    share.resize(index(size));
    first = whole_first = size;
    end = 0;
    whole_end = size;
    for (std::ptrdiff_t i = 0; i < size; ++i) {
      const double left = static_cast<double>(i);
      const double covered = std::clamp(std::min(to, left + 1) - std::max(from, left), 0.0, 1.0);
      share[index(i)] = static_cast<float>(covered);
      if (covered > 0) {
        first = std::min(first, i);
        end = i + 1;
      }
      if (covered == 1) {
        whole_first = std::min(whole_first, i);
        whole_end = i + 1;
      }
    }
  }
};

}  // namespace

void check(const ChipChange& change) {
  const auto finite = [](const auto& values) {
    return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  };
  if (!finite(change.warp) || !finite(change.colours) || !finite(change.covered) || !finite(change.cover) ||
      !finite(change.kept) || !finite(change.surroundings))
    throw std::invalid_argument("changes must be finite numbers");
  for (const float value : change.warp)
    if (std::fabs(value) > 8)
      throw std::invalid_argument("warp must hold numbers in -8..8, got " + std::to_string(value));
  if (!(change.detail > 0 && change.detail <= 1))
    throw std::invalid_argument("detail must be in (0, 1], got " + std::to_string(change.detail));
}

struct Augmenter::Work {
  Work(std::ptrdiff_t side, const PreprocessOptions& given)
      : chip_size(side), options(given), colours(given), plain(given) {
    plain.set(ChipChange().colours);
    // With room for whole vectors.
    line.resize(index(given.size * kPixel + 8));
    around.resize(index(given.size * kPixel + 8));
  }

  std::ptrdiff_t chip_size;
  PreprocessOptions options;
  Colours colours, plain;  // of the chip, and of another one around it
  SquareSampler face, other;
  Enlarger enlarger;
  Coverage covered_x, covered_y, kept_x, kept_y;
  simd::Buffer<float> line, around;  // a row of the input at work, and of the surroundings

  double crop() const { return options.crop[2] - options.crop[0]; }

  /// From positions in an input of `size` pixels to those in the chip, in pixels.
  Affine cropped(std::ptrdiff_t size) const {
    return scaled(crop() / static_cast<double>(size), options.crop[0], options.crop[1]);
  }

  void begin_face(const std::uint8_t* chip, const ChipChange& change, std::ptrdiff_t size) {
    const double side = static_cast<double>(chip_size);
    const auto& w = change.warp;
    const Affine warp{w[0], w[1], w[2] * side, w[3], w[4], w[5] * side};
    const double zoom = std::sqrt(std::fabs(warp[0] * warp[4] - warp[1] * warp[3]));
    const Affine from = cropped(size);
    face.begin(chip, chip_size, after(warp, from), std::max(1.0, from[0] * zoom), size);
    colours.set(change.colours);
  }

  void coarsen(std::ptrdiff_t size) {
    enlarger.set(size, options.size);
    for (std::ptrdiff_t y = 0; y < size; ++y) {
      face.row(y, 0, size, enlarger.row(y));
      colours(enlarger.row(y), size);
    }
  }

  /// The middle half of another chip is as large as the face's.
  void begin_other(const std::uint8_t* chip) {
    const Affine from = cropped(options.size);
    const double quarter = static_cast<double>(chip_size) / 4;
    other.begin(chip, chip_size, after(scaled(0.5, quarter, quarter), from), std::max(1.0, from[0] / 2), options.size);
  }

  void cover(const std::array<float, 4>& rectangle, Coverage& x, Coverage& y) const {
    const auto to_input = [&](std::size_t edge) {
      const double position = static_cast<double>(rectangle[edge]) * static_cast<double>(chip_size);
      return (position - options.crop[edge % 2]) * static_cast<double>(options.size) / crop();
    };
    x.set(to_input(0), to_input(2), options.size);
    y.set(to_input(1), to_input(3), options.size);
  }

  void write(std::ptrdiff_t y, float* out) const {
    const std::ptrdiff_t size = options.size;
    if (options.channels_first) {
      for (std::ptrdiff_t channel = 0; channel < 3; ++channel) {
        float* row = out + (channel * size + y) * size;
        for (std::ptrdiff_t x = 0; x < size; ++x) row[x] = line[index(x * kPixel + channel)];
      }
      return;
    }
    float* row = out + y * size * 3;
    const float* pixels = line.data();
    std::ptrdiff_t x = 0;
    for (; x + 4 <= size; x += 4) simd::store_without_fourths(row + 3 * x, pixels + kPixel * x);
    for (; x < size; ++x) std::memcpy(row + 3 * x, pixels + kPixel * x, 3 * sizeof(float));
  }
};

Augmenter::Augmenter(std::ptrdiff_t chip_size, const PreprocessOptions& options) {
  check(chip_size, options);
  const auto& [left, top, right, bottom] = options.crop;
  if (std::fabs((right - left) - (bottom - top)) > 1e-6)
    throw std::invalid_argument("crop must be a square, got " + std::to_string(right - left) + " x " +
                                std::to_string(bottom - top) + " pixels");
  work_ = std::make_unique<Work>(chip_size, options);
}

Augmenter::~Augmenter() = default;

void Augmenter::operator()(const std::uint8_t* chip, const ChipChange& change, const std::uint8_t* other, float* out) {
  Work& work = *work_;
  const std::ptrdiff_t size = work.options.size;
  const auto left = std::max<std::ptrdiff_t>(std::lround(work.crop() * static_cast<double>(change.detail)), 1);
  const bool is_coarse = change.detail < 1 && left < size;
  work.begin_face(chip, change, is_coarse ? left : size);
  if (is_coarse) work.coarsen(left);

  const bool is_covered = change.covered[2] > change.covered[0] && change.covered[3] > change.covered[1];
  if (is_covered) work.cover(change.covered, work.covered_x, work.covered_y);
  const FourFloats cover = work.colours.colour(change.cover);
  const auto& kept = change.kept;
  const bool is_surrounded = kept[0] > 0 || kept[1] > 0 || kept[2] < 1 || kept[3] < 1;
  float *line = work.line.data(), *around = work.around.data();
  if (is_surrounded) {
    work.cover(kept, work.kept_x, work.kept_y);
    if (other) work.begin_other(other);
    const FourFloats colour = work.colours.colour(change.surroundings);
    for (std::ptrdiff_t x = 0; x < size; ++x) store(around + x * kPixel, colour);
  }

  for (std::ptrdiff_t y = 0; y < size; ++y) {
    // Of the face, only what is seen; the rest of the row has no share in what follows.
    const bool all_around = is_surrounded && work.kept_y.share[index(y)] == 0;
    const std::ptrdiff_t from = is_surrounded ? work.kept_x.first : 0, to = is_surrounded ? work.kept_x.end : size;
    if (is_coarse) {
      if (!all_around) work.enlarger.enlarged_row(y, line);
    } else if (!all_around && from < to) {
      work.face.row(y, from, to, line);
      work.colours(line + from * kPixel, to - from);
    }
    if (is_covered && work.covered_y.share[index(y)] > 0) {
      for (std::ptrdiff_t x = work.covered_x.first; x < work.covered_x.end; ++x) {
        const FourFloats pixel = load<FourFloats>(line + x * kPixel);
        const float share = work.covered_x.share[index(x)] * work.covered_y.share[index(y)];
        store(line + x * kPixel, pixel + simd::splat_four(share) * (cover - pixel));
      }
    }
    if (is_surrounded) {
      // Left and right of what the face hides.
      const bool is_inside = work.kept_y.share[index(y)] == 1;
      const std::ptrdiff_t hidden = is_inside ? work.kept_x.whole_first : size;
      const std::ptrdiff_t seen_again = is_inside ? work.kept_x.whole_end : size;
      for (const auto& [begin, end] : {std::pair{std::ptrdiff_t{0}, hidden}, std::pair{seen_again, size}}) {
        if (other && begin < end) {
          work.other.row(y, begin, end, around);
          work.plain(around + begin * kPixel, end - begin);
        }
        for (std::ptrdiff_t x = begin; x < end; ++x) {
          const FourFloats pixel = load<FourFloats>(line + x * kPixel), behind = load<FourFloats>(around + x * kPixel);
          const float share = work.kept_x.share[index(x)] * work.kept_y.share[index(y)];
          store(line + x * kPixel, behind + simd::splat_four(share) * (pixel - behind));
        }
      }
    }
    work.write(y, out);
  }
}

void augment(std::ptrdiff_t chip_size, const PreprocessOptions& options, std::ptrdiff_t count,
             const std::uint8_t* const* chips, const ChipChange* changes, const std::uint8_t* const* others, float* out,
             int threads) {
  check(chip_size, options);
  if (threads < 1) throw std::invalid_argument("threads must be at least 1, got " + std::to_string(threads));
  std::for_each(changes, changes + count, [](const ChipChange& change) { check(change); });
  const std::ptrdiff_t length = options.size * options.size * 3;
  std::atomic<std::ptrdiff_t> next{0};
  std::mutex lock;
  std::exception_ptr failed;
  const auto work = [&] {
    try {
      Augmenter change_chip(chip_size, options);
      for (std::ptrdiff_t i = next++; i < count; i = next++)
        change_chip(chips[i], changes[i], others[i], out + i * length);
    } catch (...) {  // no memory
      const std::lock_guard<std::mutex> alone(lock);
      failed = std::current_exception();
    }
  };
  together(static_cast<std::size_t>(std::min<std::ptrdiff_t>(threads, count)), [&](std::size_t) { work(); });
  if (failed) std::rethrow_exception(failed);
}

}  // namespace agegender
