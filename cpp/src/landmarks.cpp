#include "agegender/landmarks.hpp"

#include <dlib/image_processing/shape_predictor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <vector>

#include "rectangle.hpp"

namespace agegender {

/// Two of a cascade's pixels, and by how much the first must be brighter for the left branch.
struct Split {
  std::uint16_t first, second;
  float threshold;
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
  for (const auto& tree : forest) {
    require(tree.leaf_values.size() == leaves && tree.splits.size() + 1 == leaves, "its trees are not full");
    for (const auto& split : tree.splits) {
      require(split.idx1 < pixels && split.idx2 < pixels, "its trees ask for a pixel that is none");
      cascade.splits.push_back({place[split.idx1], place[split.idx2], split.thresh});
    }
    for (const auto& leaf : tree.leaf_values) {
      require(static_cast<std::size_t>(leaf.size()) == kNumbers, "its leaves are not of 5 points");
      cascade.leaves.insert(cascade.leaves.end(), leaf.begin(), leaf.end());
    }
  }
  return cascade;
}

}  // namespace

struct LandmarkModel::Model {
  using Shape = dlib::matrix<float, 0, 1>;

  Shape initial_shape;
  std::vector<Cascade> cascades;

  explicit Model(std::istream& in) {
    // As dlib's `deserialize(shape_predictor&, std::istream&)`, whose members are its own.
    int version = 0;
    std::vector<std::vector<dlib::impl::regression_tree>> forests;
    std::vector<std::vector<unsigned long>> anchors;
    std::vector<std::vector<dlib::vector<float, 2>>> deltas;
    dlib::deserialize(version, in);
    require(version == 1, "its version is not 1");
    dlib::deserialize(initial_shape, in);
    dlib::deserialize(forests, in);
    dlib::deserialize(anchors, in);
    dlib::deserialize(deltas, in);
    if (static_cast<std::size_t>(initial_shape.size()) != kNumbers)
      throw std::runtime_error("it predicts " + std::to_string(initial_shape.size() / 2) +
                               " points, alignment needs 5");
    require(forests.size() == anchors.size() && forests.size() == deltas.size(), "its cascades are damaged");
    for (std::size_t i = 0; i < forests.size(); ++i) cascades.push_back(flatten(forests[i], anchors[i], deltas[i]));
  }

  /// `dlib::shape_predictor::operator()` for up to kBlock faces: the same products and sums in the same order for each.
  template <int kChannels>
  void predict(const ImageView& image, const dlib::point_transform_affine* to_image, std::size_t count,
               Shape* shapes) const {
    static thread_local std::vector<float> pixels;
    float numbers[kBlock][kNumbers];
    std::fill_n(shapes, count, initial_shape);
    for (const Cascade& cascade : cascades) {
      const std::size_t row = cascade.dx.size();
      pixels.resize(count * row);
      for (std::size_t face = 0; face < count; ++face) {
        read_pixels<kChannels>(image, to_image[face], cascade, shapes[face], pixels.data() + face * row);
        std::copy(shapes[face].begin(), shapes[face].end(), numbers[face]);
      }
      const Split* splits = cascade.splits.data();
      const float* leaves = cascade.leaves.data();
      const std::size_t inner = cascade.leaves_of_tree - 1;
      // Tree by tree, not face by face: one tree stays in the cache, all of them don't fit, and the faces' comparisons
      // don't depend on each other.
      for (std::size_t tree = 0; tree < cascade.trees; ++tree) {
        for (std::size_t face = 0; face < count; ++face) {
          const float* values = pixels.data() + face * row;
          std::size_t node = 0;
          while (node < inner) {
            const Split& split = splits[node];
            node =
                2 * node + 2 - static_cast<std::size_t>(values[split.first] - values[split.second] > split.threshold);
          }
          const float* leaf = leaves + (node - inner) * kNumbers;
          for (std::size_t i = 0; i < kNumbers; ++i) numbers[face][i] += leaf[i];
        }
        splits += inner;
        leaves += cascade.leaves_of_tree * kNumbers;
      }
      for (std::size_t face = 0; face < count; ++face)
        std::copy(numbers[face], numbers[face] + kNumbers, shapes[face].begin());
    }
  }

 private:
  /// `dlib::impl::extract_feature_pixel_values`; pixels outside the picture are 0.
  template <int kChannels>
  void read_pixels(const ImageView& image, const dlib::point_transform_affine& to_image, const Cascade& cascade,
                   const Shape& shape, float* pixels) const {
    const dlib::matrix<float, 2, 2> turn =
        dlib::matrix_cast<float>(dlib::impl::find_tform_between_shapes(initial_shape, shape).get_m());
    const float turn_xx = turn(0, 0), turn_xy = turn(0, 1), turn_yx = turn(1, 0), turn_yy = turn(1, 1);
    const auto& scale = to_image.get_m();
    const double scale_xx = scale(0, 0), scale_xy = scale(0, 1), scale_yx = scale(1, 0), scale_yy = scale(1, 1);
    const double move_x = to_image.get_b().x(), move_y = to_image.get_b().y();
    const double width = static_cast<double>(image.width), height = static_cast<double>(image.height);
    // Three loops, of which compilers make vectors of the first and the last.
    static thread_local std::vector<std::int32_t> columns, rows;
    const std::size_t count = cascade.dx.size();
    columns.resize(count);
    rows.resize(count);
    std::int32_t *const column_of = columns.data(), *const row_of = rows.data();
    const float *const dx = cascade.dx.data(), *const dy = cascade.dy.data();
    for (std::size_t point = 0, i = 0; point < kPoints; ++point) {
      const float at_x = shape(2 * static_cast<long>(point)), at_y = shape(2 * static_cast<long>(point) + 1);
      for (; i < cascade.ends[point]; ++i) {
        const double x = (turn_xx * dx[i] + turn_xy * dy[i]) + at_x;
        const double y = (turn_yx * dx[i] + turn_yy * dy[i]) + at_y;
        // dlib rounds with floor(x + 0.5), which inside the picture is to cut off.
        const double column = scale_xx * x + scale_xy * y + move_x + 0.5;
        const double row = scale_yx * x + scale_yy * y + move_y + 0.5;
        const bool inside = (column >= 0) & (row >= 0) & (column < width) & (row < height);
        column_of[i] = static_cast<std::int32_t>(inside ? column : 0);
        row_of[i] = static_cast<std::int32_t>(inside ? row : 0);
        pixels[i] = inside ? 1.0f : 0.0f;
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* pixel = image.data + (row_of[i] * image.width + column_of[i]) * kChannels;
      row_of[i] = kChannels == 1 ? pixel[0] : pixel[0] + pixel[1] + pixel[2];
    }
    for (std::size_t i = 0; i < count; ++i) pixels[i] *= static_cast<float>(kChannels == 1 ? row_of[i] : row_of[i] / 3);
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
  static thread_local std::array<Model::Shape, kBlock> shapes;
  std::array<dlib::point_transform_affine, kBlock> to_image;
  for (std::size_t done = 0; done < count; done += kBlock) {
    const std::size_t block = std::min(kBlock, count - done);
    for (std::size_t face = 0; face < block; ++face)
      to_image[face] = dlib::impl::unnormalizing_tform(require_rectangle(boxes[done + face]));
    if (image.channels == 1)
      model_->predict<1>(image, to_image.data(), block, shapes.data());
    else
      model_->predict<3>(image, to_image.data(), block, shapes.data());
    for (std::size_t face = 0; face < block; ++face) {
      for (std::size_t i = 0; i < kPoints; ++i) {
        const dlib::dpoint place = to_image[face](dlib::impl::location(shapes[face], i));
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
