#include <algorithm>

#include "agegender/face_detector.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

bool cpu_supports_x86_64_v3() {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

py::tuple detect(const HogFaceDetector& detector, const py::object& picture, int upsample, double threshold, bool exact,
                 int threads, double min_face) {
  const auto image = require<std::uint8_t>(picture, "image", "of uint8 (H, W) or (H, W, 3)");
  const auto view = image_view(image);
  std::vector<Detection> found;
  {
    // `image` holds a reference to the memory that `view` reads, so nobody can free it meanwhile.
    const py::gil_scoped_release unlocked;
    found = detector.detect(view, HogOptions{upsample, threshold, exact, threads, min_face});
  }
  const auto count = static_cast<py::ssize_t>(found.size());
  Array<std::int64_t> boxes({count, py::ssize_t{4}});
  Array<double> scores(count);
  auto box = boxes.mutable_unchecked<2>();
  auto score = scores.mutable_unchecked<1>();
  for (py::ssize_t i = 0; i < count; ++i) {
    const auto& face = found[static_cast<std::size_t>(i)];
    box(i, 0) = face.left;
    box(i, 1) = face.top;
    box(i, 2) = face.right;
    box(i, 3) = face.bottom;
    score(i) = face.score;
  }
  return py::make_tuple(boxes, scores);
}

py::tuple model() {
  const auto learnt = hog_model();
  const auto detectors = static_cast<py::ssize_t>(learnt.thresholds.size());
  Array<float> filters({detectors, py::ssize_t{31}, py::ssize_t{10}, py::ssize_t{10}});
  std::copy(learnt.filters.begin(), learnt.filters.end(), filters.mutable_data());
  Array<double> thresholds(detectors);
  std::copy(learnt.thresholds.begin(), learnt.thresholds.end(), thresholds.mutable_data());
  return py::make_tuple(filters, thresholds);
}

py::array features(const py::object& picture) {
  const auto image = require<std::uint8_t>(picture, "image", "of uint8 (H, W) or (H, W, 3)");
  const auto view = image_view(image);
  HogFeatureMap map;
  {
    // `image` holds a reference to the memory that `view` reads.
    const py::gil_scoped_release unlocked;
    map = hog_features(view);
  }
  Array<float> values({py::ssize_t{31}, py::ssize_t{map.rows}, py::ssize_t{map.columns}});
  std::copy(map.values.begin(), map.values.end(), values.mutable_data());
  return values;
}

}  // namespace

void bind_detect(py::module_& m) {
  m.def("cpu_supports_x86_64_v3", &cpu_supports_x86_64_v3);
  // Local to its module, since this file is compiled into two: see cpp/CMakeLists.txt.
  py::class_<HogFaceDetector>(m, "HogFaceDetector", py::module_local())
      .def(py::init<>())
      .def("detect", &detect, py::arg("image"), py::arg("upsample") = 0, py::arg("threshold") = 0.0,
           py::arg("exact") = true, py::arg("threads") = 1, py::arg("min_face") = 0.0);
  m.def("hog_model", &model);
  m.def("hog_features", &features, py::arg("image"));
}

}  // namespace agegender::python
