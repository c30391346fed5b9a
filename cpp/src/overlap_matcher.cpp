#include "agegender/overlap_matcher.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace agegender {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

}  // namespace

void OverlapMatcher::load(const std::vector<Overlap>& overlaps, std::size_t rows, std::size_t columns) {
  first_.assign(rows + 1, 0);
  for (const Overlap& overlap : overlaps) ++first_[overlap.row + 1];
  for (std::size_t row = 0; row < rows; ++row) first_[row + 1] += first_[row];
  entries_.resize(overlaps.size());
  // `entry_of_` serves as the next free entry of each row first.
  entry_of_.assign(first_.begin(), first_.end() - 1);
  row_price_.assign(rows, 0);
  for (std::uint32_t pair = 0; pair < overlaps.size(); ++pair) {
    const Overlap& overlap = overlaps[pair];
    entries_[entry_of_[overlap.row]++] = {overlap.column, pair, overlap.iou};
    row_price_[overlap.row] = std::max(row_price_[overlap.row], overlap.iou);
  }
  places_.assign(columns, {kUnassigned, 0, kFar});
}

// Finds the cheapest path of swaps from the free row `start` to a free column, or to a row that is better left without
// (Dijkstra over reduced costs), then swaps.
void OverlapMatcher::augment(std::uint32_t start) {
  const auto later = [](const Reach& a, const Reach& b) { return a.distance > b.distance; };
  double best = row_price_[start];  // `start` itself stays without
  std::uint32_t free_column = kNone;
  std::uint32_t left_column = kNone;  // whose row is left without

  heap_.clear();
  settled_.clear();
  touched_.clear();
  std::uint32_t row = start;
  double reached = 0;
  for (;;) {
    const double offset = reached + row_price_[row];
    for (std::uint32_t i = first_[row]; i < first_[row + 1]; ++i) {
      const Entry& entry = entries_[i];
      Place& place = places_[entry.column];
      const double length = std::max(reached, offset + place.price - entry.weight);
      if (!(length < place.distance && length < best)) continue;
      if (place.distance == kFar) touched_.push_back(entry.column);
      place.distance = length;
      place.previous_row = row;
      place.previous_entry = i;
      if (place.row == kUnassigned) {
        best = length;
        free_column = entry.column;
      } else {
        heap_.push_back({length, entry.column});
        std::push_heap(heap_.begin(), heap_.end(), later);
      }
    }
    // Longer paths to a column that has been passed are still in the heap.
    while (!heap_.empty() && heap_.front().distance > places_[heap_.front().column].distance) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      heap_.pop_back();
    }
    if (heap_.empty() || !(heap_.front().distance < best)) break;
    const Reach nearest = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
    settled_.push_back(nearest);
    reached = nearest.distance;
    row = static_cast<std::uint32_t>(places_[nearest.column].row);
    if (reached + row_price_[row] < best) {
      best = reached + row_price_[row];
      free_column = kNone;
      left_column = nearest.column;
    }
  }

  row_price_[start] -= best;
  for (const Reach& passed : settled_) {
    row_price_[static_cast<std::size_t>(places_[passed.column].row)] -= best - passed.distance;
    places_[passed.column].price += best - passed.distance;
  }
  std::uint32_t column = free_column != kNone ? free_column : left_column;
  if (free_column == kNone && left_column != kNone) entry_of_[static_cast<std::size_t>(places_[column].row)] = kNone;
  while (column != kNone) {
    Place& place = places_[column];
    const std::uint32_t taken = std::exchange(entry_of_[place.previous_row], place.previous_entry);
    place.row = place.previous_row;
    column = place.previous_row == start ? kNone : entries_[taken].column;
  }
  for (const std::uint32_t one : touched_) places_[one].distance = kFar;
}

void OverlapMatcher::solve(const std::vector<Overlap>& overlaps, std::size_t rows, std::size_t columns,
                           std::ptrdiff_t* pair_of_row) {
  load(overlaps, rows, columns);
  // Most rows get the column they want most.
  for (std::uint32_t row = 0; row < rows; ++row) {
    entry_of_[row] = kNone;
    for (std::uint32_t i = first_[row]; i < first_[row + 1]; ++i) {
      Place& place = places_[entries_[i].column];
      if (entries_[i].weight != row_price_[row] || place.row != kUnassigned) continue;
      entry_of_[row] = i;
      place.row = row;
      break;
    }
  }
  for (std::uint32_t row = 0; row < rows; ++row)
    if (entry_of_[row] == kNone && row_price_[row] > 0) augment(row);
  for (std::size_t row = 0; row < rows; ++row)
    pair_of_row[row] =
        entry_of_[row] == kNone ? kUnassigned : static_cast<std::ptrdiff_t>(entries_[entry_of_[row]].pair);
}

}  // namespace agegender
