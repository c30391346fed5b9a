#include "agegender/landmarks.hpp"

#include <dlib/image_processing/shape_predictor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <vector>

#include "rectangle.hpp"

namespace agegender {

/// Two of a cascade's pixels, and by how much the first must be brighter for the left branch: by more than this. Pixels
/// are whole numbers, so dlib's threshold is rounded down.
struct Split {
  std::uint16_t first, second;
  std::int16_t threshold;
};

/// One level of the cascade: pixels near the points, and trees that compare them. dlib keeps each leaf and each tree's
/// nodes in memory of their own; side by side they need a third of the room and of the time.
struct Cascade {
  /// Pixels in the order of the points that they lie near, which `ends` divides.
  std::vector<float> dx, dy;  ///< from the point, in the mean shape's units
  std::array<std::size_t, 5> ends{};
  std::size_t trees = 0, leaves_of_tree = 0;
  std::vector<Split> splits;  ///< of all trees, each tree's in the order of a heap
  std::vector<float> leaves;  ///< what each leaf adds to the ten numbers
};

namespace {

constexpr std::size_t kPoints = 5, kNumbers = 2 * kPoints;
constexpr std::size_t kBlock = 16;  // faces that go through the trees together

/// x and y of the points, where the corners of the face's box are (0, 0) and (1, 1).
using Shape = std::array<float, kNumbers>;

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

dlib::rectangle require_rectangle(const BoxXyxy& box) {
  for (const float side : box)
    if (!(std::fabs(side) < 1e6f))
      throw std::invalid_argument("box must be finite and within a million pixels, got " + std::to_string(side));
  const dlib::rectangle rectangle = to_rectangle(box);
  if (rectangle.is_empty())
    throw std::invalid_argument("box must be left, top, right, bottom with right > left and bottom > top, got " +
                                std::to_string(box[0]) + ", " + std::to_string(box[1]) + ", " + std::to_string(box[2]) +
                                ", " + std::to_string(box[3]));
  return rectangle;
}

Cascade flatten(const std::vector<dlib::impl::regression_tree>& forest, const std::vector<unsigned long>& anchors,
                const std::vector<dlib::vector<float, 2>>& deltas) {
  const std::size_t pixels = deltas.size();
  require(anchors.size() == pixels && pixels <= std::numeric_limits<std::uint16_t>::max(), "its pixels are damaged");
  for (const unsigned long anchor : anchors) require(anchor < kPoints, "its pixels lie near no point");
  Cascade cascade;
  std::vector<std::uint16_t> place(pixels);  // of each of the file's pixels among ours
  for (std::size_t point = 0; point < kPoints; ++point) {
    for (std::size_t i = 0; i < pixels; ++i) {
      if (anchors[i] != point) continue;
      place[i] = static_cast<std::uint16_t>(cascade.dx.size());
      cascade.dx.push_back(deltas[i].x());
      cascade.dy.push_back(deltas[i].y());
    }
    cascade.ends[point] = cascade.dx.size();
  }
  cascade.trees = forest.size();
  cascade.leaves_of_tree = forest.empty() ? 1 : forest.front().leaf_values.size();
  const std::size_t leaves = cascade.leaves_of_tree;
  require(leaves > 0 && (leaves & (leaves - 1)) == 0, "its trees are not full");
  require(leaves <= 1 << 15, "its trees are too deep");
  for (const auto& tree : forest) {
    require(tree.leaf_values.size() == leaves && tree.splits.size() + 1 == leaves, "its trees are not full");
    for (const auto& split : tree.splits) {
      require(split.idx1 < pixels && split.idx2 < pixels, "its trees ask for a pixel that is none");
      require(!std::isnan(split.thresh), "its trees compare with what is no number");
      const float threshold = std::floor(std::clamp(split.thresh, -300.0f, 300.0f));
      cascade.splits.push_back({place[split.idx1], place[split.idx2], static_cast<std::int16_t>(threshold)});
    }
    for (const auto& leaf : tree.leaf_values) {
      require(static_cast<std::size_t>(leaf.size()) == kNumbers, "its leaves are not of 5 points");
      cascade.leaves.insert(cascade.leaves.end(), leaf.begin(), leaf.end());
    }
  }
  return cascade;
}

/// Takes points of a `Shape` to pixels of the picture.
struct Placement {
  double xx, xy, yx, yy, x, y;

  /// `dlib::impl::unnormalizing_tform` with the same products and sums, and without its heap.
  static Placement of(const dlib::rectangle& box) {
    static const dlib::matrix<double, 3, 3> inverse = [] {
      dlib::matrix<double, 3, 0> corners(3, 3);
      corners = 0, 1, 1,  //
          0, 0, 1,        //
          1, 1, 1;
      return dlib::matrix<double, 3, 3>(dlib::pinv(corners));
    }();
    dlib::matrix<double, 2, 3> to;
    to = static_cast<double>(box.left()), static_cast<double>(box.right()), static_cast<double>(box.right()),
    static_cast<double>(box.top()), static_cast<double>(box.top()), static_cast<double>(box.bottom());
    const dlib::matrix<double, 2, 3> m = to * inverse;
    return {m(0, 0), m(0, 1), m(1, 0), m(1, 1), m(0, 2), m(1, 2)};
  }

  double column(double at_x, double at_y) const { return xx * at_x + xy * at_y + x; }
  double row(double at_x, double at_y) const { return yx * at_x + yy * at_y + y; }
};

/// A turn and a scale: (x, y) goes to (along x - across y, across x + along y).
struct Turn {
  float along, across;
};

/// The turn and scale of least squared error from the mean shape to others: what
/// `dlib::impl::find_tform_between_shapes` finds by a singular value decomposition has a closed form in two dimensions.
class FromMeanShape {
 public:
  explicit FromMeanShape(const Shape& mean_shape) : centred_(centred(mean_shape)) {
    for (const double number : centred_) size_ += number * number;
  }

  Turn to(const Shape& shape) const {
    const std::array<double, kNumbers> other = centred(shape);
    double along = 0, across = 0;
    for (std::size_t i = 0; i < kNumbers; i += 2) {
      along += centred_[i] * other[i] + centred_[i + 1] * other[i + 1];
      across += centred_[i] * other[i + 1] - centred_[i + 1] * other[i];
    }
    return {static_cast<float>(along / size_), static_cast<float>(across / size_)};
  }

 private:
  static std::array<double, kNumbers> centred(const Shape& shape) {
    double x = 0, y = 0;
    for (std::size_t i = 0; i < kNumbers; i += 2) {
      x += static_cast<double>(shape[i]);
      y += static_cast<double>(shape[i + 1]);
    }
    std::array<double, kNumbers> result;
    for (std::size_t i = 0; i < kNumbers; i += 2) {
      result[i] = static_cast<double>(shape[i]) - x / kPoints;
      result[i + 1] = static_cast<double>(shape[i + 1]) - y / kPoints;
    }
    return result;
  }

  std::array<double, kNumbers> centred_;
  double size_ = 0;
};

/// A cascade's pixels of all faces of a block, (pixels, kBlock) grey levels; memory of a thread.
class Pixels {
 public:
  const std::int16_t* of_faces() const { return levels_.data(); }

  /// `dlib::impl::extract_feature_pixel_values`; pixels outside the picture are 0.
  template <int kChannels>
  void read(const ImageView& image, const Placement& place, const Cascade& cascade, const Turn& turn,
            const Shape& shape, std::size_t face) {
    const std::size_t count = cascade.dx.size();
    grow(count);
    // A loop of which compilers make vectors, and one that they can't.
    std::int32_t *const columns = columns_.data(), *const rows = rows_.data(), *const inside = inside_.data();
    const float *const dx = cascade.dx.data(), *const dy = cascade.dy.data();
    const double width = static_cast<double>(image.width), height = static_cast<double>(image.height);
    for (std::size_t point = 0, i = 0; point < kPoints; ++point) {
      const float at_x = shape[2 * point], at_y = shape[2 * point + 1];
      for (; i < cascade.ends[point]; ++i) {
        const double x = (turn.along * dx[i] - turn.across * dy[i]) + at_x;
        const double y = (turn.across * dx[i] + turn.along * dy[i]) + at_y;
        // dlib rounds with floor(x + 0.5), which inside the picture is to cut off.
        const double column = place.column(x, y) + 0.5, row = place.row(x, y) + 0.5;
        const bool is_inside = (column >= 0) & (row >= 0) & (column < width) & (row < height);
        columns[i] = static_cast<std::int32_t>(is_inside ? column : 0);
        rows[i] = static_cast<std::int32_t>(is_inside ? row : 0);
        inside[i] = is_inside ? -1 : 0;
      }
    }
    std::int16_t* level = levels_.data() + face;
    for (std::size_t i = 0; i < count; ++i, level += kBlock) {
      const std::uint8_t* pixel = image.data + (rows[i] * image.width + columns[i]) * kChannels;
      const int value = kChannels == 1 ? pixel[0] : (pixel[0] + pixel[1] + pixel[2]) / 3;
      *level = static_cast<std::int16_t>(value & inside[i]);
    }
  }

 private:
  void grow(std::size_t count) {
    if (columns_.size() >= count) return;
    for (auto* numbers : {&columns_, &rows_, &inside_}) numbers->resize(count);
    levels_.resize(count * kBlock);
  }

  std::vector<std::int16_t> levels_;
  std::vector<std::int32_t> columns_, rows_, inside_;
};

/// The leaf of a tree that one face comes to.
std::int16_t leaf_of(const Split* splits, std::size_t inner, const std::int16_t* level) {
  std::size_t node = 0;
  while (node < inner) {
    const Split& split = splits[node];
    const int brighter = level[split.first * kBlock] - level[split.second * kBlock];
    node = 2 * node + 2 - static_cast<std::size_t>(brighter > split.threshold);
  }
  return static_cast<std::int16_t>(node - inner);
}

#if defined(__GNUC__)
constexpr std::size_t kInner = 15;  // splits of a tree of dlib's 5-point models and ours, which are four deep
constexpr std::size_t kFew = 4;     // so many faces are no faster by themselves than all at once
#ifdef __AVX2__
constexpr std::size_t kLanes = 16;
#else
constexpr std::size_t kLanes = 8;
#endif
static_assert(kBlock % kLanes == 0);
/// A number of kLanes faces: as many as one register holds.
using Lanes = std::int16_t __attribute__((vector_size(kLanes * sizeof(std::int16_t))));

Lanes choose(const Lanes& which, const Lanes& yes, const Lanes& no) { return (which & yes) | (~which & no); }

/// The leaves of a tree of kInner splits that all faces of a block come to. Every split is decided for every face,
/// which takes fewer instructions than to find out for each face which splits it meets.
void leaves_of_block(const Split* splits, const std::int16_t* levels, std::int16_t* leaves) {
  for (std::size_t face = 0; face < kBlock; face += kLanes) {
    std::array<Lanes, kInner> brighter;  // -1 where the first pixel is, otherwise 0
    for (std::size_t node = 0; node < kInner; ++node) {
      Lanes first, second;
      std::memcpy(&first, levels + splits[node].first * kBlock + face, sizeof first);
      std::memcpy(&second, levels + splits[node].second * kBlock + face, sizeof second);
      brighter[node] = first - second > splits[node].threshold;
    }
    // From the root down: the split that is met in each depth, whichever way those above it have sent the face.
    const auto& [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14] = brighter;
    const Lanes one = choose(b0, b1, b2);
    const Lanes two = choose(one, choose(b0, b3, b5), choose(b0, b4, b6));
    const Lanes three = choose(two, choose(one, choose(b0, b7, b11), choose(b0, b9, b13)),
                               choose(one, choose(b0, b8, b12), choose(b0, b10, b14)));
    const Lanes leaf = 15 + 8 * b0 + 4 * one + 2 * two + three;
    std::memcpy(leaves + face, &leaf, sizeof leaf);
  }
}
#endif

}  // namespace

struct LandmarkModel::Model {
  Shape mean_shape;
  std::vector<Cascade> cascades;

  explicit Model(std::istream& in) {
    // As dlib's `deserialize(shape_predictor&, std::istream&)`, whose members are its own.
    int version = 0;
    dlib::matrix<float, 0, 1> shape;
    std::vector<std::vector<dlib::impl::regression_tree>> forests;
    std::vector<std::vector<unsigned long>> anchors;
    std::vector<std::vector<dlib::vector<float, 2>>> deltas;
    dlib::deserialize(version, in);
    require(version == 1, "its version is not 1");
    dlib::deserialize(shape, in);
    dlib::deserialize(forests, in);
    dlib::deserialize(anchors, in);
    dlib::deserialize(deltas, in);
    if (static_cast<std::size_t>(shape.size()) != kNumbers)
      throw std::runtime_error("it predicts " + std::to_string(shape.size() / 2) + " points, alignment needs 5");
    std::copy(shape.begin(), shape.end(), mean_shape.begin());
    require(forests.size() == anchors.size() && forests.size() == deltas.size(), "its cascades are damaged");
    for (std::size_t i = 0; i < forests.size(); ++i) cascades.push_back(flatten(forests[i], anchors[i], deltas[i]));
  }

  /// `dlib::shape_predictor::operator()` for up to kBlock faces: the same sums in the same order for each.
  template <int kChannels>
  void predict(const ImageView& image, const Placement* places, std::size_t count, Shape* shapes) const {
    static thread_local Pixels pixels;
    const FromMeanShape turn(mean_shape);
    std::fill_n(shapes, count, mean_shape);
    for (const Cascade& cascade : cascades) {
      for (std::size_t face = 0; face < count; ++face)
        pixels.read<kChannels>(image, places[face], cascade, turn.to(shapes[face]), shapes[face], face);
      add_leaves(cascade, pixels.of_faces(), count, shapes);
    }
  }

 private:
  static void add_leaves(const Cascade& cascade, const std::int16_t* levels, std::size_t count, Shape* shapes) {
    const Split* splits = cascade.splits.data();
    const float* leaves = cascade.leaves.data();
    const std::size_t inner = cascade.leaves_of_tree - 1;
    // Tree by tree, not face by face: one tree stays in the cache, all of them don't fit.
    for (std::size_t tree = 0; tree < cascade.trees; ++tree) {
      std::array<std::int16_t, kBlock> met;
#if defined(__GNUC__)
      if (inner == kInner && count >= kFew)
        leaves_of_block(splits, levels, met.data());
      else
#endif
        for (std::size_t face = 0; face < count; ++face) met[face] = leaf_of(splits, inner, levels + face);
      for (std::size_t face = 0; face < count; ++face) {
        const float* leaf = leaves + static_cast<std::size_t>(met[face]) * kNumbers;
        for (std::size_t i = 0; i < kNumbers; ++i) shapes[face][i] += leaf[i];
      }
      splits += inner;
      leaves += cascade.leaves_of_tree * kNumbers;
    }
  }
};

LandmarkModel::LandmarkModel(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open the landmark model " + path);
  try {
    model_ = std::make_unique<Model>(file);
  } catch (const std::exception& error) {
    throw std::runtime_error(path + " is no dlib shape predictor for alignment: " + error.what());
  }
}

LandmarkModel::~LandmarkModel() = default;
LandmarkModel::LandmarkModel(LandmarkModel&&) noexcept = default;
LandmarkModel& LandmarkModel::operator=(LandmarkModel&&) noexcept = default;

void LandmarkModel::predict(const ImageView& image, const BoxXyxy* boxes, std::size_t count,
                            Landmarks* landmarks) const {
  if (image.height <= 0 || image.width <= 0)
    throw std::invalid_argument("image must not be empty, got " + std::to_string(image.height) + " x " +
                                std::to_string(image.width) + " pixels");
  if (image.channels != 1 && image.channels != 3)
    throw std::invalid_argument("image must have 1 (grey) or 3 (RGB) channels, got " + std::to_string(image.channels));
  std::array<Shape, kBlock> shapes;
  std::array<Placement, kBlock> places;
  for (std::size_t done = 0; done < count; done += kBlock) {
    const std::size_t block = std::min(kBlock, count - done);
    for (std::size_t face = 0; face < block; ++face)
      places[face] = Placement::of(require_rectangle(boxes[done + face]));
    if (image.channels == 1)
      model_->predict<1>(image, places.data(), block, shapes.data());
    else
      model_->predict<3>(image, places.data(), block, shapes.data());
    for (std::size_t face = 0; face < block; ++face) {
      for (std::size_t i = 0; i < kPoints; ++i) {
        const double x = shapes[face][2 * i], y = shapes[face][2 * i + 1];
        const dlib::dpoint place(places[face].column(x, y), places[face].row(x, y));
        if (!(std::fabs(place.x()) < 1e9 && std::fabs(place.y()) < 1e9))
          throw std::runtime_error("the landmark model gives points that are none: its file is damaged");
        const dlib::point point(place);
        landmarks[done + face][2 * i] = static_cast<float>(point.x());
        landmarks[done + face][2 * i + 1] = static_cast<float>(point.y());
      }
    }
  }
}

}  // namespace agegender
