#include <algorithm>
#include <vector>

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
  std::vector<BoxXyxy> rows(static_cast<std::size_t>(count));
  std::vector<Landmarks> points(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy_n(xyxy.data() + 4 * i, 4, rows[i].begin());
  {
    // `image` holds a reference to the memory that `view` reads, so nobody can free it meanwhile.
    const py::gil_scoped_release unlocked;
    model.predict(view, rows.data(), rows.size(), points.data());
  }
  float* out = landmarks.mutable_data();
  for (const Landmarks& face : points) out = std::copy(face.begin(), face.end(), out);
  return landmarks;
}

}  // namespace

void bind_landmarks(py::module_& m) {
  // Local to its module, since this file is compiled into two: see cpp/CMakeLists.txt.
  py::class_<LandmarkModel>(m, "LandmarkModel", py::module_local())
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
