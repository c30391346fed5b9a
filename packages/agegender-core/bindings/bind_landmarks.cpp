#include <algorithm>

#include "agegender/landmarks.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

Array<float> predict(const LandmarkModel& model, const py::object& picture, const py::object& boxes) {
  const auto image = require<std::uint8_t>(picture, "image", "of uint8 (H, W) or (H, W, 3)");
  const auto xyxy = require<float>(boxes, "xyxy", "of float32 (n, 4)", {-1, 4});
  const auto view = image_view(image);
  const auto count = xyxy.shape(0);
  Array<float> landmarks({count, py::ssize_t{5}, py::ssize_t{2}});
  const float* box = xyxy.data();
  float* out = landmarks.mutable_data();
  {
    // `image`, `xyxy` and `landmarks` hold references to the memory used below, so nobody can free it meanwhile.
    const py::gil_scoped_release unlocked;
    for (py::ssize_t i = 0; i < count; ++i, box += 4, out += 10) {
      const auto points = model.predict(view, {box[0], box[1], box[2], box[3]});
      std::copy(points.begin(), points.end(), out);
    }
  }
  return landmarks;
}

}  // namespace

void bind_landmarks(py::module_& m) {
  py::class_<LandmarkModel>(m, "LandmarkModel")
      .def(py::init([](const py::object& path) {
             const auto text = py::module_::import("os").attr("fspath")(path).cast<std::string>();
             // `text` is a copy, so that reading the file needs nothing of Python's.
             const py::gil_scoped_release unlocked;
             return std::make_unique<LandmarkModel>(text);
           }),
           py::arg("path"))
      .def("predict", &predict, py::arg("image"), py::arg("xyxy"));
}

}  // namespace agegender::python
