#include <pybind11/stl.h>

#include "agegender/preprocess.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

void preprocess(const py::object& pictures, const py::object& output, std::array<double, 4> crop,
                std::array<float, 3> mean, std::array<float, 3> scale, bool bgr, bool channels_first) {
  const auto chips = require<std::uint8_t>(pictures, "chips", "of uint8 (n, S, S, 3)", {-1, -1, -1, 3});
  if (chips.shape(1) != chips.shape(2))
    throw std::invalid_argument("chips must be square (n, S, S, 3), got shape " + shape_of(chips));
  auto out = require<float>(output, "out", "of float32, four axes", {-1, -1, -1, -1});
  const auto size = channels_first ? out.shape(3) : out.shape(1);
  const bool fits =
      channels_first ? out.shape(1) == 3 && out.shape(2) == size : out.shape(3) == 3 && out.shape(2) == size;
  if (!fits || out.shape(0) != chips.shape(0))
    throw std::invalid_argument("out must be of float32 (n, s, s, 3), or (n, 3, s, s) with channels_first, for n = " +
                                std::to_string(chips.shape(0)) + " chips, got shape " + shape_of(out));
  if (!out.writeable()) throw std::invalid_argument("out must be writeable");
  const auto count = chips.shape(0), side = chips.shape(1);
  const std::uint8_t* chip = chips.data();
  float* target = out.mutable_data();
  // `chips` and `out` hold references to the memory used below, so nobody can free it meanwhile.
  const py::gil_scoped_release unlocked;
  if (count == 0) return;
  Preprocessor run(side, PreprocessOptions{crop, size, mean, scale, bgr, channels_first});
  for (py::ssize_t i = 0; i < count; ++i) run(chip + i * side * side * 3, target + i * size * size * 3);
}

}  // namespace

void bind_preprocess(py::module_& m) {
  m.def("preprocess", &preprocess, py::arg("chips"), py::arg("out"), py::arg("crop"), py::arg("mean"), py::arg("scale"),
        py::arg("bgr") = false, py::arg("channels_first") = false);
}

}  // namespace agegender::python
