#include <pybind11/pybind11.h>

namespace agegender::python {
void bind_align(pybind11::module_& m);
void bind_augment(pybind11::module_& m);
void bind_detect(pybind11::module_& m);
void bind_landmarks(pybind11::module_& m);
void bind_preprocess(pybind11::module_& m);
void bind_resize(pybind11::module_& m);
void bind_yunet(pybind11::module_& m);
}  // namespace agegender::python

PYBIND11_MODULE(_core_x86_64_v3, m) {
  m.doc() = "What of _core is worth it, compiled for CPUs with AVX2 and FMA. Import it only where they are.";
  agegender::python::bind_align(m);
  agegender::python::bind_augment(m);
  agegender::python::bind_detect(m);
  agegender::python::bind_landmarks(m);
  agegender::python::bind_preprocess(m);
  agegender::python::bind_resize(m);
  agegender::python::bind_yunet(m);
}
