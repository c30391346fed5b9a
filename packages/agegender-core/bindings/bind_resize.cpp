#include <pybind11/stl.h>

#include <array>

#include "agegender/resize.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

void shrink_to(const py::object& picture, std::array<std::ptrdiff_t, 4> part, const py::object& output) {
  const auto image = require<std::uint8_t>(picture, "image", "of uint8 (H, W, 3)", {-1, -1, 3});
  auto out = require<std::uint8_t>(output, "out", "of uint8 (h, w, 3)", {-1, -1, 3});
  if (!out.writeable()) throw std::invalid_argument("out must be writeable");
  const auto view = image_view(image);
  const Region region{part[0], part[1], part[2], part[3]};
  const auto height = out.shape(0), width = out.shape(1);
  std::uint8_t* to = out.mutable_data();
  // `image` and `out` hold references to the memory used below, so nobody can free it meanwhile.
  const py::gil_scoped_release unlocked;
  shrink(view, region, width, height, to);
}

}  // namespace

void bind_resize(py::module_& m) { m.def("shrink", &shrink_to, py::arg("image"), py::arg("part"), py::arg("out")); }

}  // namespace agegender::python
