#include <algorithm>

#include "agegender/align.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

Array<std::uint8_t> extract_chips(const py::object& picture, const py::object& points, py::ssize_t size,
                                  double padding) {
  const auto image = require<std::uint8_t>(picture, "image", "of uint8 (H, W, 3)", {-1, -1, 3});
  const auto landmarks = require<float>(points, "landmarks", "of float32 (n, 5, 2)", {-1, 5, 2});
  if (size < 1 || size > 4096) throw std::invalid_argument("size must be 1..4096 pixels, got " + std::to_string(size));
  const auto view = image_view(image);
  const auto count = landmarks.shape(0);
  Array<std::uint8_t> chips({count, size, size, py::ssize_t{3}});
  const float* point = landmarks.data();
  std::uint8_t* chip = chips.mutable_data();
  {
    // `image`, `landmarks` and `chips` hold references to the memory used below, so nobody can free it meanwhile.
    const py::gil_scoped_release unlocked;
    for (py::ssize_t i = 0; i < count; ++i, point += 10, chip += size * size * 3) {
      Landmarks five;
      std::copy(point, point + 10, five.begin());
      extract_chip(view, five, ChipOptions{size, padding}, chip);
    }
  }
  return chips;
}

}  // namespace

void bind_align(py::module_& m) {
  m.def("extract_chips", &extract_chips, py::arg("image"), py::arg("landmarks"), py::arg("size"), py::arg("padding"));
}

}  // namespace agegender::python
