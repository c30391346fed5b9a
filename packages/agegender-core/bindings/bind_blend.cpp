#include <pybind11/stl.h>

#include "agegender/blend.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

void paint(const py::object& picture, const py::object& shape, std::array<py::ssize_t, 2> corner,
           std::array<float, 3> color, double opacity) {
  auto frame = require<std::uint8_t>(picture, "frame", "of uint8 (H, W, 3)", {-1, -1, 3});
  const auto mask = require<std::uint8_t>(shape, "mask", "of uint8 (h, w)", {-1, -1});
  if (!frame.writeable()) throw std::invalid_argument("frame must be writeable");
  if (!(opacity >= 0 && opacity <= 1))
    throw std::invalid_argument("opacity must lie in [0, 1], got " + std::to_string(opacity));
  std::uint8_t* pixels = frame.mutable_data();
  const MaskView through{mask.data(), mask.shape(0), mask.shape(1)};
  const auto height = frame.shape(0), width = frame.shape(1);
  // `frame` and `mask` hold references to the memory used below, so nobody can free it meanwhile.
  const py::gil_scoped_release unlocked;
  blend(pixels, height, width, through, corner[0], corner[1], color, opacity);
}

}  // namespace

void bind_blend(py::module_& m) {
  m.def("blend", &paint, py::arg("frame"), py::arg("mask"), py::arg("corner"), py::arg("color"),
        py::arg("opacity") = 1.0);
}

}  // namespace agegender::python
