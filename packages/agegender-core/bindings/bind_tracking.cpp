#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "agegender/box.hpp"
#include "agegender/face_tracker.hpp"
#include "agegender/kalman.hpp"
#include "agegender/overlap_matcher.hpp"
#include "agegender/overlaps.hpp"
#include "agegender/sort.hpp"
#include "numpy_views.hpp"

namespace agegender::python {
namespace {

std::size_t size(py::ssize_t n) { return static_cast<std::size_t>(n); }

BoxesView boxes_view(const Array<double>& boxes, const char* name) {
  if (boxes.ndim() != 2 || (boxes.shape(1) != 4 && boxes.shape(1) != 5))
    throw std::invalid_argument(std::string(name) + " must be of float64 (n, 4) or (n, 5), got shape " +
                                shape_of(boxes));
  return {boxes.data(), size(boxes.shape(0)), size(boxes.shape(1))};
}

Array<double> boxes_array(const py::object& boxes, const char* name) {
  return require<double>(boxes, name, "of float64 (n, 4) or (n, 5)");
}

Array<double> iou_of(const py::object& first, const py::object& second) {
  const auto a = boxes_array(first, "a");
  const auto b = boxes_array(second, "b");
  const BoxesView rows = boxes_view(a, "a");
  const BoxesView columns = boxes_view(b, "b");
  Array<double> ious({a.shape(0), b.shape(0)});
  double* out = ious.mutable_data();
  {
    // `a`, `b` and `ious` hold references to the memory used below, so nobody can free it meanwhile.
    const py::gil_scoped_release unlocked;
    require_finite(rows, "a");
    require_finite(columns, "b");
    iou_matrix(rows, columns, out);
  }
  return ious;
}

Array<std::int64_t> match_overlaps(const py::object& first, const py::object& second) {
  const auto a = boxes_array(first, "a");
  const auto b = boxes_array(second, "b");
  const BoxesView rows = boxes_view(a, "a");
  const BoxesView columns = boxes_view(b, "b");
  Array<std::int64_t> matches(a.shape(0));
  auto* out = matches.mutable_data();
  {
    // `a`, `b` and `matches` hold references to the memory used below.
    const py::gil_scoped_release unlocked;
    require_finite(rows, "a");
    require_finite(columns, "b");
    std::vector<Overlap> overlaps;
    OverlapFinder().find(rows, columns, overlaps);
    std::vector<std::ptrdiff_t> pair_of_row(rows.count);
    OverlapMatcher().solve(overlaps, rows.count, columns.count, pair_of_row.data());
    for (const std::ptrdiff_t pair : pair_of_row)
      *out++ = pair == kUnassigned ? std::int64_t{-1} : overlaps[static_cast<std::size_t>(pair)].column;
  }
  return matches;
}

Array<double> to_array(const Box& box) {
  Array<double> array(4);
  double* out = array.mutable_data();
  for (const double value : {box.x1, box.y1, box.x2, box.y2}) *out++ = value;
  return array;
}

// The GIL stays locked in the filter's methods: they take less time than giving it back.
KalmanBoxFilter make_filter(const py::object& box) {
  const auto array = require<double>(box, "box", "of float64 (4,)", {4});
  return KalmanBoxFilter(BoxesView{array.data(), 1, 4}[0]);
}

void update_filter(KalmanBoxFilter& filter, const py::object& box) {
  const auto array = require<double>(box, "box", "of float64 (4,)", {4});
  filter.update(BoxesView{array.data(), 1, 4}[0]);
}

Array<double> state_of(const KalmanBoxFilter& filter) {
  Array<double> array(7);
  double* out = array.mutable_data();
  for (const double value : {filter.x().value, filter.y().value, filter.area().value, filter.ratio(),
                             filter.x().velocity, filter.y().velocity, filter.area().velocity})
    *out++ = value;
  return array;
}

Array<double> covariance_of(const KalmanBoxFilter& filter) {
  Array<double> array({7, 7});
  std::fill_n(array.mutable_data(), 49, 0.0);
  auto out = array.mutable_unchecked<2>();
  for (const py::ssize_t i : {0, 1, 2}) {
    const MotionCovariance& p = i < 2 ? filter.centre_covariance() : filter.area_covariance();
    out(i, i) = p.value;
    out(i, i + 4) = out(i + 4, i) = p.cross;
    out(i + 4, i + 4) = p.velocity;
  }
  out(3, 3) = filter.ratio_variance();
  return array;
}

/// A tracker as Python sees it: calls from several threads wait for each other.
template <typename Tracker>
class Shared {
 public:
  template <typename Options>
  explicit Shared(const Options& options) : tracker_(options) {}

  /// `call` with the tracker. The GIL goes first and comes back last, so that no thread waits for it with the mutex in
  /// hand; the caller holds references to what `call` reads, and what it writes is the caller's own.
  template <typename Call>
  void locked(Call call) {
    const py::gil_scoped_release unlocked;
    const std::lock_guard<std::mutex> lock(mutex_);
    call(tracker_);
  }

  auto options() {
    std::decay_t<decltype(tracker_.options())> options;
    locked([&](auto& tracker) { options = tracker.options(); });
    return options;
  }

 private:
  std::mutex mutex_;  ///< guards tracker_
  Tracker tracker_;   ///< and its scratch memory
};

using SharedSort = Shared<SortTracker>;
using SharedFaceTracker = Shared<FaceTracker>;

Array<double> to_array(const std::vector<TrackedBox>& shown) {
  Array<double> array({static_cast<py::ssize_t>(shown.size()), py::ssize_t{5}});
  double* out = array.mutable_data();
  for (const auto& [box, id, detection] : shown)
    for (const double value : {box.x1, box.y1, box.x2, box.y2, static_cast<double>(id)}) *out++ = value;
  return array;
}

std::vector<TrackedBox> update_sort(SharedSort& shared, const py::object& object) {
  const auto boxes = boxes_array(object, "boxes");
  const BoxesView view = boxes_view(boxes, "boxes");
  std::vector<TrackedBox> shown;
  shared.locked([&](auto& tracker) { tracker.update(view, shown); });
  return shown;
}

py::tuple update_with_rows(SharedSort& shared, const py::object& boxes) {
  const auto shown = update_sort(shared, boxes);
  Array<std::int64_t> rows(static_cast<py::ssize_t>(shown.size()));
  auto* out = rows.mutable_data();
  for (const auto& tracked : shown) *out++ = tracked.detection;
  return py::make_tuple(to_array(shown), rows);
}

Array<double> to_array(const std::vector<FollowedBox>& followed) {
  Array<double> array({static_cast<py::ssize_t>(followed.size()), py::ssize_t{5}});
  double* out = array.mutable_data();
  for (const auto& [box, id] : followed)
    for (const double value : {box.x1, box.y1, box.x2, box.y2, static_cast<double>(id)}) *out++ = value;
  return array;
}

Array<std::int64_t> update_faces(SharedFaceTracker& shared, const py::object& object, const py::object& given,
                                 double time) {
  const auto boxes = boxes_array(object, "boxes");
  const BoxesView view = boxes_view(boxes, "boxes");
  const auto scores = require<double>(given, "scores", "of float64 (n,), one for each box", {boxes.shape(0)});
  const double* score = scores.data();
  std::vector<std::int64_t> ids;
  shared.locked([&](auto& tracker) { tracker.update(view, score, time, ids); });
  Array<std::int64_t> array(static_cast<py::ssize_t>(ids.size()));
  std::copy(ids.begin(), ids.end(), array.mutable_data());
  return array;
}

void bind_sort(py::module_& m) {
  py::class_<SharedSort>(m, "SortTracker")
      .def(py::init([](int max_age, int min_hits, double iou_threshold, bool keep_confirmed) {
             return std::make_unique<SharedSort>(SortOptions{max_age, min_hits, iou_threshold, keep_confirmed});
           }),
           py::arg("max_age") = 1, py::arg("min_hits") = 3, py::arg("iou_threshold") = 0.3,
           py::arg("keep_confirmed") = false)
      .def(
          "update", [](SharedSort& shared, const py::object& boxes) { return to_array(update_sort(shared, boxes)); },
          py::arg("boxes"))
      .def("update_with_rows", &update_with_rows, py::arg("boxes"))
      .def(
          "coast",
          [](SharedSort& shared) {
            std::vector<TrackedBox> shown;
            shared.locked([&](auto& tracker) { tracker.coast(shown); });
            return to_array(shown);
          },
          "One frame without a detection pass: the boxes that the last update gave, moved on; float64 (m, 5).")
      .def(
          "reset", [](SharedSort& shared) { shared.locked([](auto& tracker) { tracker.reset(); }); },
          "Forget all tracks; ids start from 1 again.")
      .def_property(
          "max_age", [](SharedSort& shared) { return shared.options().max_age; },
          [](SharedSort& shared, int max_age) { shared.locked([&](auto& tracker) { tracker.set_max_age(max_age); }); })
      .def_property_readonly("min_hits", [](SharedSort& shared) { return shared.options().min_hits; })
      .def_property_readonly("iou_threshold", [](SharedSort& shared) { return shared.options().iou_threshold; })
      .def_property_readonly("keep_confirmed", [](SharedSort& shared) { return shared.options().keep_confirmed; });
}

void bind_face_tracker(py::module_& m) {
  const FaceTrackerOptions defaults;
  py::class_<SharedFaceTracker>(m, "FaceTracker")
      .def(
          py::init([](double threshold, double evidence, double max_age, double iou_threshold) {
            return std::make_unique<SharedFaceTracker>(FaceTrackerOptions{threshold, evidence, max_age, iou_threshold});
          }),
          py::arg("threshold") = defaults.threshold, py::arg("evidence") = defaults.evidence,
          py::arg("max_age") = defaults.max_age, py::arg("iou_threshold") = defaults.iou_threshold)
      .def("update", &update_faces, py::arg("boxes"), py::arg("scores"), py::arg("time"))
      .def(
          "coast",
          [](SharedFaceTracker& shared, double time) {
            std::vector<FollowedBox> shown;
            shared.locked([&](auto& tracker) { tracker.coast(time, shown); });
            return to_array(shown);
          },
          py::arg("time"))
      .def(
          "expected",
          [](SharedFaceTracker& shared, double time) {
            std::vector<FollowedBox> boxes;
            shared.locked([&](auto& tracker) { tracker.expected(time, boxes); });
            return to_array(boxes);
          },
          py::arg("time"))
      .def("reset", [](SharedFaceTracker& shared) { shared.locked([](auto& tracker) { tracker.reset(); }); })
      .def_property_readonly("threshold", [](SharedFaceTracker& shared) { return shared.options().threshold; })
      .def_property_readonly("evidence", [](SharedFaceTracker& shared) { return shared.options().evidence; })
      .def_property_readonly("max_age", [](SharedFaceTracker& shared) { return shared.options().max_age; })
      .def_property_readonly("iou_threshold", [](SharedFaceTracker& shared) { return shared.options().iou_threshold; });
}

}  // namespace

void bind_tracking(py::module_& m) {
  m.def("iou", &iou_of, py::arg("a"), py::arg("b"));
  m.def("match_overlaps", &match_overlaps, py::arg("a"), py::arg("b"));

  py::class_<KalmanBoxFilter>(m, "KalmanBoxFilter")
      .def(py::init(&make_filter), py::arg("box"))
      .def("predict", [](KalmanBoxFilter& filter) { return to_array(filter.predict()); })
      .def("update", &update_filter, py::arg("box"))
      .def_property_readonly("box", [](const KalmanBoxFilter& filter) { return to_array(filter.box()); })
      .def_property_readonly("state", &state_of)
      .def_property_readonly("covariance", &covariance_of);

  bind_sort(m);
  bind_face_tracker(m);
}

}  // namespace agegender::python
