// Boxes, filter, matching and tracker. The comparison with plain references is in tests/core, in Python.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "agegender/box.hpp"
#include "agegender/face_tracker.hpp"
#include "agegender/kalman.hpp"
#include "agegender/overlap_matcher.hpp"
#include "agegender/overlaps.hpp"
#include "agegender/sort.hpp"
#include "check.hpp"

// Under TSan, GCC inlines one of the two operators below, sees `free` beside `new`, and takes it for a mistake.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {
std::atomic<int> allocations{0};
}

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace agegender {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

bool near(double a, double b, double tolerance = 1e-9) { return std::abs(a - b) <= tolerance; }

/// Boxes of 100 x 100 px at y = 0, and their memory.
struct Row {
  explicit Row(const std::vector<double>& lefts) {
    for (const double left : lefts) numbers.insert(numbers.end(), {left, 0, left + 100, 100});
  }
  BoxesView view() const { return {numbers.data(), numbers.size() / 4, 4}; }
  std::vector<double> numbers;  ///< pixels
};

std::vector<std::int64_t> ids(const std::vector<TrackedBox>& shown) {
  std::vector<std::int64_t> result;
  for (const TrackedBox& tracked : shown) result.push_back(tracked.id);
  return result;
}

std::vector<std::int64_t> update(SortTracker& tracker, const std::vector<double>& lefts) {
  const Row row(lefts);
  std::vector<TrackedBox> shown;
  tracker.update(row.view(), shown);
  return ids(shown);
}

using Ids = std::vector<std::int64_t>;

void test_iou() {
  const Box a{0, 0, 10, 10};
  CHECK(iou(a, a) == 1);
  CHECK(near(iou(a, {5, 0, 15, 10}), 1.0 / 3));
  CHECK(iou(a, {10, 0, 20, 10}) == 0);
  CHECK(iou(a, {5, 5, 5, 5}) == 0);
  const double rows[] = {0, 0, 10, 10, 0.5, 5, 0, 15, 10, 0.5};
  double out[4];
  iou_matrix({rows, 2, 5}, {rows, 2, 5}, out);
  CHECK(out[0] == 1 && out[3] == 1 && out[1] == out[2] && near(out[1], 1.0 / 3));
}

void test_require_boxes() {
  for (const Box& bad : {Box{0, 0, kNan, 1}, Box{-kInf, 0, 1, 1}, Box{1, 0, 1, 1}, Box{0, 1, 1, 0},
                         Box{-1e308, 0, 1e308, 1}, Box{0, 0, 1e200, 1e200}, Box{0, 0, 1e-170, 1e170}}) {
    const double numbers[] = {0, 0, 1, 1, bad.x1, bad.y1, bad.x2, bad.y2};
    require_boxes({numbers, 1, 4}, "boxes");
    CHECK_THROWS(std::invalid_argument, require_boxes({numbers, 2, 4}, "boxes"));
    CHECK_THROWS(std::invalid_argument, KalmanBoxFilter(bad));
    try {
      require_boxes({numbers, 2, 4}, "faces");
    } catch (const std::invalid_argument& error) {
      const std::string text = error.what();
      CHECK(text.rfind("faces must have", 0) == 0 && text.find("row 1:") != std::string::npos);
    }
  }
}

void test_filter_follows_a_moving_box() {
  KalmanBoxFilter filter({0, 0, 40, 80});
  CHECK(near(filter.box().x2, 40) && near(filter.box().y2, 80));
  for (int step = 1; step <= 30; ++step) {
    filter.predict();
    filter.update({3.0 * step, -2.0 * step, 40 + 3.0 * step, 80 - 2.0 * step});
  }
  CHECK(near(filter.x().velocity, 3, 1e-2) && near(filter.y().velocity, -2, 1e-2));
  const Box box = filter.predict();
  CHECK(near(box.x1, 93, 0.1) && near(box.y1, -62, 0.1) && near(box.x2 - box.x1, 40, 0.1));
  const MotionCovariance& p = filter.centre_covariance();
  CHECK(p.value > 0 && p.velocity > 0 && p.value * p.velocity > p.cross * p.cross);
}

void test_filter_keeps_the_area_positive() {
  KalmanBoxFilter filter({0, 0, 100, 100});
  for (const double size : {70.0, 30.0}) {
    filter.predict();
    filter.update({0, 0, size, size});
  }
  CHECK(filter.area().velocity < 0);
  for (int step = 0; step < 5; ++step) filter.predict();
  CHECK(filter.area().velocity == 0 && filter.area().value > 0);
}

double best_total(const std::vector<double>& weight, std::size_t rows, std::size_t columns) {
  std::vector<std::size_t> order(std::max(rows, columns));
  std::iota(order.begin(), order.end(), std::size_t{0});
  double best = 0;
  do {
    double total = 0;
    for (std::size_t k = 0; k < std::min(rows, columns); ++k)
      total += rows <= columns ? weight[k * columns + order[k]] : weight[order[k] * columns + k];
    best = std::max(best, total);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

void test_matching_against_all_permutations() {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> real(0, 1);
  OverlapMatcher matcher;
  for (int round = 0; round < 3000; ++round) {
    const std::size_t rows = 1 + random() % 6;
    const std::size_t columns = 1 + random() % 6;
    std::vector<double> weight(rows * columns);
    for (double& entry : weight)
      entry = random() % 3 == 0 ? 0 : round % 2 ? real(random) : 0.25 * static_cast<double>(1 + random() % 3);
    std::vector<Overlap> overlaps;
    for (std::uint32_t row = 0; row < rows; ++row)
      for (std::uint32_t column = 0; column < columns; ++column)
        if (weight[row * columns + column] > 0) overlaps.push_back({row, column, weight[row * columns + column]});
    std::shuffle(overlaps.begin(), overlaps.end(), random);
    std::vector<std::ptrdiff_t> pair_of_row(rows, -7);
    matcher.solve(overlaps, rows, columns, pair_of_row.data());
    double total = 0;
    std::vector<int> used(columns, 0);
    for (std::size_t row = 0; row < rows; ++row) {
      if (pair_of_row[row] == kUnassigned) continue;
      const Overlap& overlap = overlaps.at(static_cast<std::size_t>(pair_of_row[row]));
      CHECK(overlap.row == row);
      ++used[overlap.column];
      total += overlap.iou;
    }
    CHECK(*std::max_element(used.begin(), used.end()) <= 1);
    CHECK(near(total, best_total(weight, rows, columns)));
  }
}

void test_matching_edges() {
  OverlapMatcher matcher;
  std::ptrdiff_t pairs[2] = {7, 7};
  matcher.solve({}, 0, 3, pairs);
  CHECK(pairs[0] == 7);
  matcher.solve({}, 2, 0, pairs);
  CHECK(pairs[0] == kUnassigned && pairs[1] == kUnassigned);
  // The only column goes to the row that has more of it, whichever comes first.
  matcher.solve({{0, 0, 0.4}, {1, 0, 0.6}}, 2, 1, pairs);
  CHECK(pairs[0] == kUnassigned && pairs[1] == 1);
  matcher.solve({{0, 0, 0.6}, {1, 0, 0.4}}, 2, 1, pairs);
  CHECK(pairs[0] == 0 && pairs[1] == kUnassigned);
}

void test_overlaps_against_all_pairs() {
  std::mt19937 random(4);
  OverlapFinder finder;
  std::vector<Overlap> overlaps;
  for (int round = 0; round < 500; ++round) {
    // Whole numbers, so that boxes touch, coincide and start in the same place.
    // In a square, a row and a column; a few are much wider than the others.
    const int across = round % 3 ? 400 : 3, down = round % 3 == 1 ? 3 : 400;
    std::uniform_int_distribution<int> x_of(0, across), y_of(0, down), side(1, 30);
    const auto boxes = [&](std::size_t count) {
      std::vector<double> numbers;
      for (std::size_t k = 0; k < count; ++k) {
        const double x = x_of(random), y = y_of(random), scale = k % 20 == 7 ? 50 : 1;
        numbers.insert(numbers.end(), {x, y, x + scale * side(random), y + scale * side(random)});
      }
      return numbers;
    };
    const std::vector<double> a = boxes(random() % 60), b = boxes(random() % 60);
    const BoxesView rows{a.data(), a.size() / 4, 4}, columns{b.data(), b.size() / 4, 4};
    std::vector<double> expected(rows.count * columns.count);
    iou_matrix(rows, columns, expected.data());
    finder.find(rows, columns, overlaps);
    for (const Overlap& overlap : overlaps) {
      double& entry = expected[overlap.row * columns.count + overlap.column];
      CHECK(overlap.iou > 0 && overlap.iou == entry);
      entry = 0;
    }
    CHECK(std::all_of(expected.begin(), expected.end(), [](double rest) { return rest == 0; }));
  }
}

void test_overlaps_of_extreme_boxes() {
  OverlapFinder finder;
  std::vector<Overlap> overlaps;
  std::vector<double> numbers;
  for (int k = 0; k < 30; ++k)
    numbers.insert(numbers.end(), {-1e100, -1e100, 1e100, 1e100, 5.0 * k, 0, 5.0 * k + 3, 3});
  const BoxesView boxes{numbers.data(), numbers.size() / 4, 4};
  finder.find(boxes, boxes, overlaps);
  // Each of the large with all, each of the small with itself and the large.
  CHECK(overlaps.size() == 30 * 60 + 30 * 31);
  const auto equal = [](const Overlap& overlap) { return overlap.iou == 1; };
  CHECK(std::count_if(overlaps.begin(), overlaps.end(), equal) == 30 * 30 + 30);
}

void test_a_threshold_of_zero_pairs_what_overlaps_nothing() {
  SortTracker tracker({1, 0, 0});
  CHECK(update(tracker, {0, 1000}) == Ids{2, 1});
  CHECK(update(tracker, {300, 400, 2000}) == Ids{3, 2, 1});
}

void test_shortcut() {
  SortTracker tracker({1, 0, 0.3});
  CHECK(update(tracker, {48, -55}) == Ids{2, 1});
  CHECK(update(tracker, {0, 103}) == Ids{3, 1});
}

void test_confirmation_and_loss() {
  for (const bool keep : {false, true}) {
    SortTracker tracker({1, 2, 0.3, keep});
    for (int frame = 0; frame < 3; ++frame) CHECK(update(tracker, {}).empty());
    CHECK(update(tracker, {0}).empty());
    CHECK(update(tracker, {0}).empty());
    CHECK(update(tracker, {0}) == Ids{1});
    CHECK(update(tracker, {}).empty());
    CHECK(update(tracker, {0}) == (keep ? Ids{1} : Ids{}));
    CHECK(update(tracker, {0}) == Ids{1});
    update(tracker, {});
    update(tracker, {});
    for (int frame = 0; frame < 2; ++frame) CHECK(update(tracker, {0}).empty());
    CHECK(update(tracker, {0}) == Ids{2});
    tracker.reset();
    CHECK(update(tracker, {0}) == Ids{1});
  }
}

void test_bad_boxes_change_nothing() {
  SortTracker tracker({1, 0, 0.3});
  update(tracker, {0, 300});
  Row bad({0, 300});
  bad.numbers[6] = kNan;
  std::vector<TrackedBox> shown;
  CHECK_THROWS(std::invalid_argument, tracker.update(bad.view(), shown));
  tracker.coast(shown);
  CHECK(ids(shown) == Ids{2, 1} && near(shown[1].box.x1, 0));
  for (const SortOptions& options : {SortOptions{-1, 3, 0.3}, {1, -1, 0.3}, {1, 3, 1.1}, {1, 3, kNan}})
    CHECK_THROWS(std::invalid_argument, SortTracker(options));
}

void test_coast() {
  SortTracker tracker({0, 0, 0.3});
  std::vector<TrackedBox> shown;
  tracker.coast(shown);
  CHECK(shown.empty());
  for (int step = 0; step < 10; ++step) update(tracker, {10.0 * step, 900});
  for (int step = 10; step < 15; ++step) {
    tracker.coast(shown);
    CHECK(ids(shown) == Ids{2, 1} && near(shown[1].box.x1, 10 * step, 1.5) && shown[1].detection == -1);
  }
  const Row row({900, 150});
  tracker.update(row.view(), shown);
  CHECK(ids(shown) == Ids{2, 1} && shown[0].detection == 0 && shown[1].detection == 1);
}

void test_steady_state_does_not_allocate() {
  SortTracker tracker;
  std::mt19937 random(2);
  std::uniform_real_distribution<double> jitter(-40, 40);
  std::vector<TrackedBox> shown;
  std::vector<Row> frames;
  for (int frame = 0; frame < 200; ++frame) {
    std::vector<double> lefts;
    for (int box = 0; box < 60; ++box) lefts.push_back(60.0 * box + jitter(random));
    frames.emplace_back(lefts);
  }
  for (const Row& row : frames) tracker.update(row.view(), shown);
  tracker.reset();
  const int before = allocations;
  for (const Row& row : frames) {
    tracker.update(row.view(), shown);
    tracker.coast(shown);
  }
  CHECK(allocations == before);
}

using FaceIds = std::vector<std::int64_t>;

void test_face_tracker() {
  FaceTracker tracker;
  std::vector<std::int64_t> ids;
  std::vector<FollowedBox> boxes;
  const double sure[] = {0.95, 0.95, 0.3};
  for (int step = 0; step < 10; ++step) {
    const Row row({10.0 * step, 900, 500});
    tracker.update(row.view(), sure, 0.04 * step, ids);
    CHECK(ids == FaceIds{1, 2, 0});
  }
  // The expected places change nothing; the time of a coast does.
  tracker.expected(0.44, boxes);
  tracker.expected(0.44, boxes);
  CHECK(boxes.size() == 2 && near(boxes[0].box.x1, 110, 3) && near(boxes[1].box.x1, 900, 1));
  tracker.coast(0.40, boxes);
  CHECK(boxes.size() == 2 && boxes[0].id == 1 && near(boxes[0].box.x1, 100, 3));
  const Row none({});
  for (int step = 0; step < 60; ++step) tracker.update(none.view(), sure, 0.5 + 0.04 * step, ids);
  tracker.expected(3, boxes);
  CHECK(boxes.empty());

  const Row bad({0});
  const double nan = kNan;
  CHECK_THROWS(std::invalid_argument, tracker.update(bad.view(), &nan, 4, ids));
  CHECK_THROWS(std::invalid_argument, tracker.update(bad.view(), sure, 1, ids));
  CHECK_THROWS(std::invalid_argument, tracker.update(bad.view(), sure, kInf, ids));
  for (const FaceTrackerOptions& options : {FaceTrackerOptions{kNan, 0, 0, 0}, FaceTrackerOptions{0, kNan, 0, 0},
                                            FaceTrackerOptions{0, 0, -1, 0}, FaceTrackerOptions{0, 0, 0, 2}})
    CHECK_THROWS(std::invalid_argument, FaceTracker{options});
}

void test_faces_in_any_order_and_of_any_size() {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> place(-2000, 2000), size(1e-3, 900), score(0, 1), wait(0, 3);
  FaceTracker tracker;
  std::vector<std::int64_t> ids;
  std::vector<FollowedBox> boxes;
  double time = 0;
  for (int frame = 0; frame < 3000; ++frame) {
    std::vector<double> numbers, scores;
    for (unsigned box = 0; box < random() % 12; ++box) {
      const double x = place(random), y = place(random);
      numbers.insert(numbers.end(), {x, y, x + size(random), y + size(random)});
      scores.push_back(score(random));
    }
    time += frame % 3 ? 0.04 : wait(random);
    tracker.update({numbers.data(), scores.size(), 4}, scores.data(), time, ids);
    CHECK(ids.size() == scores.size());
    tracker.expected(time + 0.04, boxes);
    for (const FollowedBox& followed : boxes) {
      const Box& box = followed.box;
      CHECK(std::isfinite(box.x1 + box.y1 + box.x2 + box.y2) && box.x2 - box.x1 > 0.5 && box.y2 - box.y1 > 0.5);
    }
  }
}

}  // namespace
}  // namespace agegender

int main() {
  using namespace agegender;
  test_iou();
  test_require_boxes();
  test_filter_follows_a_moving_box();
  test_filter_keeps_the_area_positive();
  test_matching_against_all_permutations();
  test_matching_edges();
  test_overlaps_against_all_pairs();
  test_overlaps_of_extreme_boxes();
  test_shortcut();
  test_a_threshold_of_zero_pairs_what_overlaps_nothing();
  test_confirmation_and_loss();
  test_bad_boxes_change_nothing();
  test_coast();
  test_steady_state_does_not_allocate();
  test_face_tracker();
  test_faces_in_any_order_and_of_any_size();
  return test::report();
}
