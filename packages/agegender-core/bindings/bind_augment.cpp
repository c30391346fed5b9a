#include <pybind11/stl.h>

#include <type_traits>
#include <vector>

#include "agegender/augment.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

constexpr py::ssize_t kNumbers = sizeof(ChipChange) / sizeof(float);
static_assert(std::is_trivially_copyable_v<ChipChange> && sizeof(ChipChange) == 33 * sizeof(float),
              "a row of `changes` is read as ChipChange in place");

void augment_chips(const py::list& pictures, const py::object& what, const py::list& beside, const py::object& output,
                   py::ssize_t side, std::array<double, 4> crop, std::array<float, 3> mean, std::array<float, 3> scale,
                   bool bgr, bool channels_first, int threads) {
  const auto count = static_cast<py::ssize_t>(pictures.size());
  const auto changes = require<float>(what, "changes", "of float32 (n, 33)", {count, kNumbers});
  if (static_cast<py::ssize_t>(beside.size()) != count)
    throw std::invalid_argument("others must be as many as chips, " + std::to_string(count) + ", got " +
                                std::to_string(beside.size()));
  auto out = require<float>(output, "out", "of float32, four axes", {count, -1, -1, -1});
  const auto size = out.shape(2);
  if (out.shape(channels_first ? 3 : 1) != size || out.shape(channels_first ? 1 : 3) != 3)
    throw std::invalid_argument("out must be of float32 (n, s, s, 3), or (n, 3, s, s) with channels_first, got shape " +
                                shape_of(out));
  if (!out.writeable()) throw std::invalid_argument("out must be writeable");
  std::vector<const std::uint8_t*> chips, others;
  for (py::ssize_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto bytes = [&](const py::handle& chip, const char* name) {
      return require<std::uint8_t>(py::reinterpret_borrow<py::object>(chip), name, "of uint8 (S, S, 3)",
                                   {side, side, 3})
          .data();
    };
    chips.push_back(bytes(pictures[at], "chips"));
    others.push_back(beside[at].is_none() ? nullptr : bytes(beside[at], "others"));
  }
  const auto* change = reinterpret_cast<const ChipChange*>(changes.data());
  float* target = out.mutable_data();
  // The lists and arrays hold references to the memory used below, and the lists are this call's own: nobody can free
  // it meanwhile.
  const py::gil_scoped_release unlocked;
  augment(side, PreprocessOptions{crop, size, mean, scale, bgr, channels_first}, count, chips.data(), change,
          others.data(), target, threads);
}

}  // namespace

void bind_augment(py::module_& m) {
  m.def("augment", &augment_chips, py::arg("chips"), py::arg("changes"), py::arg("others"), py::arg("out"),
        py::arg("chip_size"), py::arg("crop"), py::arg("mean"), py::arg("scale"), py::arg("bgr") = false,
        py::arg("channels_first") = false, py::arg("threads") = 1);
}

}  // namespace agegender::python
