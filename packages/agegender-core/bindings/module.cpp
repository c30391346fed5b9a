#include <pybind11/pybind11.h>

namespace agegender::python {
void bind_align(pybind11::module_& m);
void bind_augment(pybind11::module_& m);
void bind_blend(pybind11::module_& m);
void bind_detect(pybind11::module_& m);
void bind_landmarks(pybind11::module_& m);
void bind_preprocess(pybind11::module_& m);
void bind_resize(pybind11::module_& m);
void bind_tracking(pybind11::module_& m);
void bind_yunet(pybind11::module_& m);
}  // namespace agegender::python

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of agegender: detection, alignment, preprocessing and tracking.";
  using namespace agegender::python;
  bind_align(m);
  bind_augment(m);
  bind_blend(m);
  bind_detect(m);
  bind_landmarks(m);
  bind_preprocess(m);
  bind_resize(m);
  bind_tracking(m);
  bind_yunet(m);
}
