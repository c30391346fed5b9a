#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "agegender/assignment.hpp"
#include "agegender/box.hpp"
#include "agegender/kalman.hpp"
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

Array<std::int64_t> linear_assignment(const py::object& matrix, bool maximize) {
  const auto cost = require<double>(matrix, "cost", "of float64 (rows, columns)", {-1, -1});
  const CostView view{cost.data(), size(cost.shape(0)), size(cost.shape(1))};
  Array<std::int64_t> columns(cost.shape(0));
  auto* out = columns.mutable_data();
  {
    // `cost` and `columns` hold references to the memory used below, and the solver is this call's own.
    const py::gil_scoped_release unlocked;
    std::vector<std::ptrdiff_t> column_of_row(view.rows);
    AssignmentSolver().solve(view, maximize, column_of_row.data());
    std::copy(column_of_row.begin(), column_of_row.end(), out);
  }
  return columns;
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

/// The tracker as Python sees it: calls from several threads wait for each other.
class SharedTracker {
 public:
  explicit SharedTracker(const SortOptions& options) : tracker_(options) {}

  SortOptions options() {
    SortOptions options;
    locked([&](auto&) { options = tracker_.options(); });
    return options;
  }

  void set_max_age(int max_age) {
    locked([&](auto&) { tracker_.set_max_age(max_age); });
  }

  std::vector<TrackedBox> update(const py::object& object) {
    const auto boxes = boxes_array(object, "boxes");
    const BoxesView view = boxes_view(boxes, "boxes");
    return locked([&](auto& shown) { tracker_.update(view, shown); });
  }

  std::vector<TrackedBox> coast() {
    return locked([&](auto& shown) { tracker_.coast(shown); });
  }

  void reset() {
    locked([&](auto&) { tracker_.reset(); });
  }

 private:
  // The GIL goes first and comes back last, so that no thread waits for it with the mutex in hand; the caller holds a
  // reference to the boxes, and `shown` is this call's own.
  template <typename Call>
  std::vector<TrackedBox> locked(Call call) {
    std::vector<TrackedBox> shown;
    const py::gil_scoped_release unlocked;
    const std::lock_guard<std::mutex> lock(mutex_);
    call(shown);
    return shown;
  }

  std::mutex mutex_;     ///< guards tracker_
  SortTracker tracker_;  ///< and its scratch memory
};

Array<double> to_array(const std::vector<TrackedBox>& shown) {
  Array<double> array({static_cast<py::ssize_t>(shown.size()), py::ssize_t{5}});
  double* out = array.mutable_data();
  for (const auto& [box, id, detection] : shown)
    for (const double value : {box.x1, box.y1, box.x2, box.y2, static_cast<double>(id)}) *out++ = value;
  return array;
}

py::tuple update_with_rows(SharedTracker& tracker, const py::object& boxes) {
  const auto shown = tracker.update(boxes);
  Array<std::int64_t> rows(static_cast<py::ssize_t>(shown.size()));
  auto* out = rows.mutable_data();
  for (const auto& tracked : shown) *out++ = tracked.detection;
  return py::make_tuple(to_array(shown), rows);
}

}  // namespace

void bind_tracking(py::module_& m) {
  m.def("iou", &iou_of, py::arg("a"), py::arg("b"));
  m.def("linear_assignment", &linear_assignment, py::arg("cost"), py::arg("maximize") = false);

  py::class_<KalmanBoxFilter>(m, "KalmanBoxFilter")
      .def(py::init(&make_filter), py::arg("box"))
      .def("predict", [](KalmanBoxFilter& filter) { return to_array(filter.predict()); })
      .def("update", &update_filter, py::arg("box"))
      .def_property_readonly("box", [](const KalmanBoxFilter& filter) { return to_array(filter.box()); })
      .def_property_readonly("state", &state_of)
      .def_property_readonly("covariance", &covariance_of);

  py::class_<SharedTracker>(m, "SortTracker")
      .def(py::init([](int max_age, int min_hits, double iou_threshold, bool keep_confirmed) {
             return std::make_unique<SharedTracker>(SortOptions{max_age, min_hits, iou_threshold, keep_confirmed});
           }),
           py::arg("max_age") = 1, py::arg("min_hits") = 3, py::arg("iou_threshold") = 0.3,
           py::arg("keep_confirmed") = false)
      .def(
          "update", [](SharedTracker& tracker, const py::object& boxes) { return to_array(tracker.update(boxes)); },
          py::arg("boxes"))
      .def("update_with_rows", &update_with_rows, py::arg("boxes"))
      .def(
          "coast", [](SharedTracker& tracker) { return to_array(tracker.coast()); },
          "One frame without a detection pass: the boxes that the last update gave, moved on; float64 (m, 5).")
      .def("reset", &SharedTracker::reset, "Forget all tracks; ids start from 1 again.")
      .def_property(
          "max_age", [](SharedTracker& tracker) { return tracker.options().max_age; }, &SharedTracker::set_max_age)
      .def_property_readonly("min_hits", [](SharedTracker& tracker) { return tracker.options().min_hits; })
      .def_property_readonly("iou_threshold", [](SharedTracker& tracker) { return tracker.options().iou_threshold; })
      .def_property_readonly("keep_confirmed", [](SharedTracker& tracker) { return tracker.options().keep_confirmed; });
}

}  // namespace agegender::python
