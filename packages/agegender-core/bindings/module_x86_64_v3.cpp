#include <pybind11/pybind11.h>

namespace agegender::python {
void bind_detect(pybind11::module_& m);
}

PYBIND11_MODULE(_detector_x86_64_v3, m) {
  m.doc() = "The face detector of _core, compiled for CPUs with AVX2 and FMA. Import it only where they are.";
  agegender::python::bind_detect(m);
}
