#include "agegender/augment.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "simd.hpp"

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

/// A pixel at work is four numbers, of which the last one is unused: then it lies in one register, or in half of one.
constexpr int kPixel = 4;

std::size_t index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

/// From x, y and 1 to x, y: two rows of three.
using Affine = std::array<double, 6>;

Affine after(const Affine& second, const Affine& first) {
  return {second[0] * first[0] + second[1] * first[3],
          second[0] * first[1] + second[1] * first[4],
          second[0] * first[2] + second[1] * first[5] + second[2],
          second[3] * first[0] + second[4] * first[3],
          second[3] * first[1] + second[4] * first[4],
          second[3] * first[2] + second[4] * first[5] + second[5]};
}

Affine scaled(double factor, double shift_x, double shift_y) { return {factor, 0, shift_x, 0, factor, shift_y}; }

/// Makes RGBX, less 128, of `bytes` bytes of RGB, without a read past them: the last pixels are left. Says how many it
/// made.
std::ptrdiff_t widen(const std::uint8_t* rgb, std::ptrdiff_t bytes, std::int8_t* out) {
  std::ptrdiff_t done = 0;
#if defined(__GNUC__) && defined(__AVX2__)
  const __m128i places = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  const __m128i middle = _mm_set1_epi32(0x808080);
  for (; (done + 4) * 3 + 4 <= bytes; done += 4) {
    const __m128i five = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb + done * 3));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + done * kPixel),
                     _mm_xor_si128(_mm_shuffle_epi8(five, places), middle));
  }
#else
  constexpr std::array<std::uint8_t, kPixel> three{0xff, 0xff, 0xff, 0}, middle{0x80, 0x80, 0x80, 0};
  std::uint32_t mask, difference;
  std::memcpy(&mask, three.data(), kPixel);
  std::memcpy(&difference, middle.data(), kPixel);
  for (; done * 3 + 4 <= bytes; ++done) {
    std::uint32_t pixel;
    std::memcpy(&pixel, rgb + done * 3, kPixel);
    pixel = (pixel & mask) ^ difference;
    std::memcpy(out + done * kPixel, &pixel, kPixel);
  }
#endif
  return done;
}

/// The part of a picture that is sampled: channels less 128, so that they are signed.
struct Raster {
  std::ptrdiff_t left = 0, top = 0, width = 0, height = 0;  // pixels, in the picture
  simd::Buffer<std::int8_t> pixels;

  /// Fills it from a chip, which is continued by its mirror image.
  void fill(const std::uint8_t* chip, std::ptrdiff_t chip_size) {
    const auto mirrored = [&](std::ptrdiff_t i) {
      i %= 2 * chip_size;
      if (i < 0) i += 2 * chip_size;
      return i < chip_size ? i : 2 * chip_size - 1 - i;
    };
    columns_.resize(index(width));
    for (std::ptrdiff_t x = 0; x < width; ++x) columns_[index(x)] = mirrored(left + x) * 3;
    // The columns that the chip has itself.
    const std::ptrdiff_t first = std::clamp<std::ptrdiff_t>(-left, 0, width);
    const std::ptrdiff_t end = std::clamp<std::ptrdiff_t>(chip_size - left, first, width);
    for (std::ptrdiff_t y = 0; y < height; ++y) {
      const std::uint8_t* row = chip + mirrored(top + y) * chip_size * 3;
      std::int8_t* out = pixels.data() + y * width * kPixel;
      const auto copy = [&](std::ptrdiff_t x) {
        const std::uint8_t* pixel = row + columns_[index(x)];
        for (int i = 0; i < 3; ++i) out[x * kPixel + i] = static_cast<std::int8_t>(pixel[i] ^ 0x80);
        out[x * kPixel + 3] = 0;
      };
      for (std::ptrdiff_t x = 0; x < first; ++x) copy(x);
      std::ptrdiff_t x = first + widen(row + (left + first) * 3, (end - first) * 3, out + first * kPixel);
      for (; x < width; ++x) copy(x);
    }
  }

 private:
  std::vector<std::ptrdiff_t> columns_;  // offset of each in the chip's rows, bytes
};

#if defined(__GNUC__) && defined(__AVX2__)

/// So many pixels of a row are summed at a time, with shares of 16 bits: two neighbours' beside each other.
constexpr int kTogether = 4;
using Shares = std::int32_t;
constexpr float kWhole = 32767;

std::int32_t whole_share(float share) { return static_cast<std::int32_t>(share * kWhole + 0.5f); }
std::int32_t column_shares(float first, float second) { return whole_share(first) | whole_share(second) << 16; }
std::int32_t row_shares(float share) { return whole_share(share) * 0x10001; }

#else

constexpr int kTogether = 1;
using Shares = float;

float row_shares(float share) { return share; }

#endif

/// Where the squares of a row's pixels begin, and the shares that their pixels have.
struct Squares {
  simd::Buffer<std::int32_t> corner;   // offset of the first pixel, bytes
  simd::Buffer<float> across, behind;  // how far the edges lie behind those of that pixel, in x and y, pixels
  simd::Buffer<Shares> columns, rows;  // one behind the other, each with `size` of them
};

/// The means over squares of `kRows` x `kRows` pixels, or of `rows` x `rows` if that is 0: for pixels `begin` to `end`
/// of a row of `size`, four grey levels each.
template <int kRows>
void sum_squares(const std::int8_t* pixels, std::ptrdiff_t stride, int rows, std::ptrdiff_t size, std::ptrdiff_t begin,
                 std::ptrdiff_t end, const Squares& squares, float* out) {
  if (kRows > 0) rows = kRows;
  const std::int32_t* corner = squares.corner.data();
  const Shares *column_share = squares.columns.data(), *row_share = squares.rows.data();
#if defined(__GNUC__) && defined(__AVX2__)
  const int groups = (rows + kTogether - 1) / kTogether;
  // Each channel becomes the high byte of 16 bits, beside that of the next pixel.
  const __m256i spread = _mm256_setr_epi8(-1, 0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, -1, -1, -1,  //
                                          -1, 8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, -1, -1, -1);
  const __m128 unit = _mm_set1_ps(1 / (256 * kWhole)), middle = _mm_set1_ps(128);
  for (std::ptrdiff_t x = begin; x < end; ++x) {
    __m256i total = _mm256_setzero_si256();
    for (int group = 0; group < groups; ++group) {
      const std::int8_t* from = pixels + corner[x] + group * kTogether * kPixel;
      __m256i sum = _mm256_setzero_si256();
      for (int row = 0; row < rows; ++row) {
        const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + row * stride));
        const __m256i channels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(four), spread);
        sum = _mm256_adds_epi16(sum, _mm256_mulhrs_epi16(channels, _mm256_set1_epi32(row_share[row * size + x])));
      }
      const std::int32_t* share = column_share + 2 * group * size + x;
      const __m256i shares = _mm256_blend_epi32(_mm256_set1_epi32(share[0]), _mm256_set1_epi32(share[size]), 0xf0);
      total = _mm256_add_epi32(total, _mm256_madd_epi16(sum, shares));
    }
    const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    _mm_storeu_ps(out + x * kPixel, _mm_add_ps(_mm_mul_ps(_mm_cvtepi32_ps(both), unit), middle));
  }
#else
  for (std::ptrdiff_t x = begin; x < end; ++x) {
    FourFloats total = simd::splat_four(128);
    for (int column = 0; column < rows; ++column) {
      const std::int8_t* from = pixels + corner[x] + column * kPixel;
      FourFloats sum = simd::splat_four(0);
      for (int row = 0; row < rows; ++row)
        sum += simd::splat_four(row_share[row * size + x]) * simd::load_bytes(from + row * stride);
      total += simd::splat_four(column_share[column * size + x]) * sum;
    }
    store(out + x * kPixel, total);
  }
#endif
}

/// Samples a picture at the pixels of another one, row by row: each is the mean over a square.
class Sampler {
 public:
  /// `from`: from positions in the new picture of `size` pixels a side to those in the old one; `side`: of the squares
  /// there, at least 1; all in pixels.
  void set(const Affine& from, double side, std::ptrdiff_t size) {
    from_ = from;
    side_ = side;
    size_ = size;
    rows_ = static_cast<int>(std::ceil(side)) + 1;
    groups_ = (rows_ + kTogether - 1) / kTogether;
    for (auto* buffer : {&squares_.across, &squares_.behind}) simd::at_least(*buffer, index(size));
    simd::at_least(squares_.corner, index(size));
    simd::at_least(squares_.columns, index(size * groups_ * kTogether));
    simd::at_least(squares_.rows, index(size * rows_));
    // Where a square doesn't fill its last group.
    std::fill_n(squares_.columns.begin(), size * groups_ * kTogether, Shares{0});
  }

  /// Makes room in `raster` for the part of the old picture that is needed.
  void place(Raster& raster) const {
    const double last = static_cast<double>(size_ - 1);
    const auto span = [&](std::size_t row, std::ptrdiff_t& start, std::ptrdiff_t& extent, int reach) {
      const double along = from_[row] * last, down = from_[row + 1] * last, first = edge(row, 0);
      // More than the error of the positions, which are floats within the raster.
      const double error = 1e-3 + 1e-6 * (std::fabs(along) + std::fabs(down));
      const double low = first + std::min(along, 0.0) + std::min(down, 0.0) - error;
      const double high = first + std::max(along, 0.0) + std::max(down, 0.0) + error;
      start = static_cast<std::ptrdiff_t>(std::floor(low));
      extent = static_cast<std::ptrdiff_t>(std::floor(high)) - start + reach;
    };
    span(0, raster.left, raster.width, groups_ * kTogether);
    span(3, raster.top, raster.height, rows_);
    if (raster.width * raster.height >= std::ptrdiff_t{1} << 29)
      throw std::invalid_argument("a chip of this size can't be warped so far");
    simd::at_least(raster.pixels, index(raster.width * raster.height * kPixel));
  }

  /// Pixels `from` to `to` of row `y` of the new picture, four grey levels each, to their places in `out`; `raster` was
  /// placed here, and filled.
  void row(const Raster& raster, std::ptrdiff_t y, std::ptrdiff_t from, std::ptrdiff_t to, float* out) {
    const float step_x = static_cast<float>(from_[0]), step_y = static_cast<float>(from_[3]);
    const float start_x = static_cast<float>(edge(0, y) - static_cast<double>(raster.left));
    const float start_y = static_cast<float>(edge(3, y) - static_cast<double>(raster.top));
    const auto stride = static_cast<std::int32_t>(raster.width * kPixel);
    const auto size = static_cast<std::int32_t>(size_), begin = static_cast<std::int32_t>(from),
               end = static_cast<std::int32_t>(to);
    std::int32_t* corner = squares_.corner.data();
    float *across = squares_.across.data(), *behind = squares_.behind.data();
    for (std::int32_t x = begin; x < end; ++x) {
      const float u = start_x + step_x * static_cast<float>(x), v = start_y + step_y * static_cast<float>(x);
      const auto column = static_cast<std::int32_t>(u), line = static_cast<std::int32_t>(v);
      corner[x] = line * stride + column * kPixel;
      across[x] = u - static_cast<float>(column);
      behind[x] = v - static_cast<float>(line);
    }
#if defined(__GNUC__) && defined(__AVX2__)
    for (int pair = 0; 2 * pair < rows_; ++pair) {
      std::int32_t* shares = squares_.columns.data() + pair * size;
      const Share first(side_, 2 * pair), second(side_, 2 * pair + 1);
      if (2 * pair + 1 < rows_)
        for (std::int32_t x = begin; x < end; ++x) shares[x] = column_shares(first(across[x]), second(across[x]));
      else
        for (std::int32_t x = begin; x < end; ++x) shares[x] = column_shares(first(across[x]), 0);
    }
#else
    for (int column = 0; column < rows_; ++column) {
      float* shares = squares_.columns.data() + column * size;
      const Share share(side_, column);
      for (std::int32_t x = begin; x < end; ++x) shares[x] = share(across[x]);
    }
#endif
    for (int line = 0; line < rows_; ++line) {
      Shares* shares = squares_.rows.data() + line * size;
      const Share share(side_, line);
      for (std::int32_t x = begin; x < end; ++x) shares[x] = row_shares(share(behind[x]));
    }
    const auto sum = rows_ == 2   ? sum_squares<2>
                     : rows_ == 3 ? sum_squares<3>
                     : rows_ == 4 ? sum_squares<4>
                                  : sum_squares<0>;
    sum(raster.pixels.data(), stride, rows_, size_, from, to, squares_, out);
  }

 private:
  /// What a pixel has of a square whose edge lies so far behind that of its first pixel.
  struct Share {
    float slope, start, whole;
    Share(double side, int pixel)
        : slope(pixel == 0 ? -1.0f : 1.0f),
          start(pixel == 0 ? 1.0f : static_cast<float>(side - pixel)),
          whole(static_cast<float>(1 / side)) {}
    float operator()(float behind) const { return whole * std::max(std::min(slope * behind + start, 1.0f), 0.0f); }
  };

  /// Left (row 0) or top (row 3) edge of the square of the first pixel in row `y`.
  double edge(std::size_t row, std::ptrdiff_t y) const {
    return from_[row] * 0.5 + from_[row + 1] * (static_cast<double>(y) + 0.5) + from_[row + 2] - side_ / 2;
  }

  Affine from_{};
  double side_ = 1;
  std::ptrdiff_t size_ = 0;
  int rows_ = 0, groups_ = 0;
  Squares squares_;
};

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

/// How much of each of `size` pixels lies between two edges, and which pixels have a part of it.
struct Coverage {
  std::ptrdiff_t first = 0, end = 0;
  std::vector<float> share;

  void set(double from, double to, std::ptrdiff_t size) {
    share.resize(index(size));
    first = size;
    end = 0;
    for (std::ptrdiff_t i = 0; i < size; ++i) {
      const double left = static_cast<double>(i);
      const double covered = std::clamp(std::min(to, left + 1) - std::max(from, left), 0.0, 1.0);
      share[index(i)] = static_cast<float>(covered);
      if (covered > 0) {
        first = std::min(first, i);
        end = i + 1;
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
  Raster face_raster, other_raster;
  Sampler face_sampler, other_sampler;
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
    face_sampler.set(after(warp, from), std::max(1.0, from[0] * zoom), size);
    face_sampler.place(face_raster);
    face_raster.fill(chip, chip_size);
    colours.set(change.colours);
  }

  void coarsen(std::ptrdiff_t size) {
    enlarger.set(size, options.size);
    for (std::ptrdiff_t y = 0; y < size; ++y) {
      face_sampler.row(face_raster, y, 0, size, enlarger.row(y));
      colours(enlarger.row(y), size);
    }
  }

  /// The middle half of another chip is as large as the face's.
  void begin_other(const std::uint8_t* chip) {
    const Affine from = cropped(options.size);
    const double quarter = static_cast<double>(chip_size) / 4;
    other_sampler.set(after(scaled(0.5, quarter, quarter), from), std::max(1.0, from[0] / 2), options.size);
    other_sampler.place(other_raster);
    other_raster.fill(chip, chip_size);
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
    // The fourth float lies where the next pixel is written then.
    for (std::ptrdiff_t x = 0; x + 1 < size; ++x) store(row + 3 * x, load<FourFloats>(line.data() + x * kPixel));
    std::memcpy(row + 3 * (size - 1), line.data() + (size - 1) * kPixel, 3 * sizeof(float));
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
      work.face_sampler.row(work.face_raster, y, from, to, line);
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
      if (other) {
        work.other_sampler.row(work.other_raster, y, 0, size, around);
        work.plain(around, size);
      }
      for (std::ptrdiff_t x = 0; x < size; ++x) {
        const FourFloats pixel = load<FourFloats>(line + x * kPixel), behind = load<FourFloats>(around + x * kPixel);
        const float share = work.kept_x.share[index(x)] * work.kept_y.share[index(y)];
        store(line + x * kPixel, behind + simd::splat_four(share) * (pixel - behind));
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
  std::vector<std::thread> others_at_work;
  try {
    while (static_cast<std::ptrdiff_t>(others_at_work.size()) + 1 < std::min<std::ptrdiff_t>(threads, count))
      others_at_work.emplace_back(work);
  } catch (const std::system_error&) {
    // The system gives no more threads: those that there are do all of it.
  }
  work();
  for (auto& thread : others_at_work) thread.join();
  if (failed) std::rethrow_exception(failed);
}

}  // namespace agegender
