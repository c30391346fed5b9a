#include <pybind11/stl.h>

#include "agegender/yunet.hpp"
#include "agegender/yunet_network.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

void fill_input(const py::object& picture, const py::object& output) {
  const auto image = require<std::uint8_t>(picture, "image", "of uint8 (H, W, 3)", {-1, -1, 3});
  auto planes = require<float>(output, "out", "of float32 (1, 3, H, W)", {1, 3, -1, -1});
  const auto view = image_view(image);
  const auto height = planes.shape(2), width = planes.shape(3);
  if (height < view.height || width < view.width)
    throw std::invalid_argument("out must be as large as the image or larger, got shape " + shape_of(planes));
  float* out = planes.mutable_data();
  // `image` and `planes` hold references to the memory used below, so nobody can free it meanwhile.
  const py::gil_scoped_release unlocked;
  yunet_input(view, width, height, out);
}

/// Scratch memory, which is small.
struct Decoding {
  YuNetDecoder decoder;
  std::vector<YuNetFace> faces;
};

Decoding& decoding_of_thread() {
  thread_local Decoding decoding;
  return decoding;
}

py::tuple arrays_of(const std::vector<YuNetFace>& faces) {
  const auto count = static_cast<py::ssize_t>(faces.size());
  Array<float> boxes({count, py::ssize_t{4}});
  Array<float> points({count, py::ssize_t{5}, py::ssize_t{2}});
  Array<float> scores(count);
  float* box = boxes.mutable_data();
  float* point = points.mutable_data();
  float* score = scores.mutable_data();
  for (const YuNetFace& face : faces) {
    box = std::copy(face.box.begin(), face.box.end(), box);
    point = std::copy(face.points.begin(), face.points.end(), point);
    *score++ = face.score;
  }
  return py::make_tuple(boxes, points, scores);
}

py::tuple find_faces(const std::vector<py::object>& outputs, py::ssize_t width, const std::vector<py::ssize_t>& strides,
                     float threshold, float overlap, std::size_t most) {
  const std::size_t levels = strides.size();
  if (outputs.size() != 4 * levels)
    throw std::invalid_argument("outputs must be cls, obj, bbox and kps of each stride, got " +
                                std::to_string(outputs.size()));
  std::vector<Array<float>> parts;
  std::vector<YuNetCells> cells(levels);
  for (std::size_t part = 0; part < 4; ++part) {
    static constexpr py::ssize_t kWidths[] = {1, 1, 4, 10};
    for (std::size_t level = 0; level < levels; ++level) {
      const auto count = part == 0 ? py::ssize_t{-1} : static_cast<py::ssize_t>(cells[level].count);
      parts.push_back(require<float>(outputs[part * levels + level], "outputs", "of float32 (1, cells, k)",
                                     {1, count, kWidths[part]}));
      const float* numbers = parts.back().data();
      if (part == 0) {
        if (strides[level] < 1 || width < strides[level])
          throw std::invalid_argument("strides must be 1 or more and not above the width, got " +
                                      std::to_string(strides[level]));
        cells[level] = {numbers,
                        nullptr,
                        nullptr,
                        nullptr,
                        static_cast<std::size_t>(parts.back().shape(1)),
                        static_cast<std::size_t>(width / strides[level]),
                        static_cast<float>(strides[level])};
      } else {
        (part == 1 ? cells[level].obj : part == 2 ? cells[level].box : cells[level].points) = numbers;
      }
    }
  }
  Decoding& work = decoding_of_thread();
  {
    // `parts` holds references to the memory that `cells` reads.
    const py::gil_scoped_release unlocked;
    work.decoder.decode(cells, threshold, overlap, most, work.faces);
  }
  return arrays_of(work.faces);
}

class Network {
 public:
  explicit Network(const std::vector<std::pair<py::object, py::object>>& layers) : network_(layers_of(layers)) {}

  py::tuple find(const py::object& picture, float threshold, float overlap, std::size_t most, int threads) const {
    const auto image = rows_of_rgb(picture);
    const ImageView view{static_cast<const std::uint8_t*>(image.data()), image.shape(0), image.shape(1), 3};
    const auto pitch = image.strides(0);
    thread_local YuNetNetwork::Scratch scratch;
    thread_local YuNetMaps maps;
    Decoding& work = decoding_of_thread();
    {
      // `image` holds a reference to the memory that `view` reads.
      const py::gil_scoped_release unlocked;
      network_.run(view, threads, scratch, maps, pitch);
      work.decoder.decode(maps, threshold, overlap, most, work.faces);
    }
    return arrays_of(work.faces);
  }

 private:
  /// A part of a picture: its rows lie together, but not one after the other.
  static py::array rows_of_rgb(const py::object& object) {
    if (!py::isinstance<py::array>(object)) throw py::type_error("image must be a NumPy array of uint8 (H, W, 3)");
    auto image = py::reinterpret_borrow<py::array>(object);
    if (!image.dtype().is(py::dtype::of<std::uint8_t>()) || image.ndim() != 3 || image.shape(2) != 3)
      throw std::invalid_argument("image must be of uint8 (H, W, 3), got shape " + shape_of(image));
    const bool packed = image.strides(2) == 1 && image.strides(1) == 3 && image.strides(0) >= 3 * image.shape(1);
    if (!packed && image.size() > 0)
      throw std::invalid_argument("image must be rows of RGB pixels without gaps: pass numpy.ascontiguousarray(...)");
    return image;
  }

  static std::vector<YuNetLayer> layers_of(const std::vector<std::pair<py::object, py::object>>& arrays) {
    std::vector<YuNetLayer> layers;
    for (const auto& [weight, bias] : arrays) {
      const auto weights = require<float>(weight, "weight", "of float32 (out, in, h, w)", {-1, -1, -1, -1});
      const auto biases = require<float>(bias, "bias", "of float32 (out,)", {weights.shape(0)});
      layers.push_back(
          {weights.data(), biases.data(), {weights.shape(0), weights.shape(1), weights.shape(2), weights.shape(3)}});
    }
    return layers;
  }

  YuNetNetwork network_;
};

}  // namespace

void bind_yunet(py::module_& m) {
  m.def("yunet_input", &fill_input, py::arg("image"), py::arg("out"));
  m.def("yunet_faces", &find_faces, py::arg("outputs"), py::arg("width"), py::arg("strides"), py::arg("threshold"),
        py::arg("overlap"), py::arg("most"));
  // Both builds have it, in modules of their own.
  py::class_<Network>(m, "YuNet", py::module_local())
      .def(py::init<const std::vector<std::pair<py::object, py::object>>&>(), py::arg("layers"))
      .def("find", &Network::find, py::arg("image"), py::arg("threshold"), py::arg("overlap"), py::arg("most"),
           py::arg("threads") = 1);
}

}  // namespace agegender::python
