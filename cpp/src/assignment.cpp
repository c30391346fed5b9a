#include "agegender/assignment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace agegender {
namespace {

constexpr double kLargest = 1e200;  // sums of path lengths stay finite

std::size_t index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

}  // namespace

void AssignmentSolver::load(const CostView& cost, bool maximize) {
  const bool turned = cost.rows > cost.columns;
  rows_ = std::min(cost.rows, cost.columns);
  columns_ = std::max(cost.rows, cost.columns);
  cost_.resize(rows_ * columns_);
  const double sign = maximize ? -1 : 1;
  for (std::size_t i = 0; i < cost.rows; ++i) {
    for (std::size_t j = 0; j < cost.columns; ++j) {
      const double entry = cost.data[i * cost.columns + j];
      if (!(std::abs(entry) <= kLargest)) {
        std::ostringstream text;
        text << "cost must hold finite numbers up to " << kLargest << ", got " << entry << " at (" << i << ", " << j
             << ")";
        throw std::invalid_argument(text.str());
      }
      cost_[turned ? j * columns_ + i : i * columns_ + j] = sign * entry;
    }
  }
}

// Finds the cheapest path of swaps from the free row `start` to a free column (Dijkstra over reduced costs), then
// swaps.
void AssignmentSolver::augment(std::size_t start) {
  std::fill(distance_.begin(), distance_.end(), std::numeric_limits<double>::infinity());
  std::iota(open_.begin(), open_.end(), std::size_t{0});
  std::size_t open_count = columns_;
  std::size_t row = start;
  double reached = 0;
  for (;;) {
    std::size_t nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    const double* entries = &cost_[row * columns_];
    const double offset = reached - row_price_[row];
    for (std::size_t k = 0; k < open_count; ++k) {
      const std::size_t column = open_[k];
      const double length = offset + entries[column] - column_price_[column];
      if (length < distance_[column]) {
        distance_[column] = length;
        previous_row_[column] = row;
      }
      // among equals a free column ends the search at once
      if (distance_[column] < least || (distance_[column] == least && row_of_[column] == kUnassigned)) {
        least = distance_[column];
        nearest = k;
      }
    }
    reached = least;
    std::swap(open_[nearest], open_[--open_count]);
    const std::ptrdiff_t next = row_of_[open_[open_count]];
    if (next == kUnassigned) break;
    row = index(next);
  }

  row_price_[start] += reached;
  for (std::size_t k = open_count + 1; k < columns_; ++k) {  // the columns passed on the way, all taken
    const std::size_t column = open_[k];
    row_price_[index(row_of_[column])] += reached - distance_[column];
    column_price_[column] -= reached - distance_[column];
  }

  std::ptrdiff_t column = static_cast<std::ptrdiff_t>(open_[open_count]);
  do {
    row = previous_row_[index(column)];
    row_of_[index(column)] = static_cast<std::ptrdiff_t>(row);
    std::swap(column_of_[row], column);
  } while (row != start);
}

void AssignmentSolver::solve(const CostView& cost, bool maximize, std::ptrdiff_t* column_of_row) {
  load(cost, maximize);
  row_price_.assign(rows_, 0);
  column_price_.assign(columns_, 0);
  distance_.resize(columns_);
  previous_row_.resize(columns_);
  open_.resize(columns_);
  row_of_.assign(columns_, kUnassigned);
  column_of_.assign(rows_, kUnassigned);
  for (std::size_t row = 0; row < rows_; ++row) augment(row);
  const auto& result = cost.rows > cost.columns ? row_of_ : column_of_;
  std::copy(result.begin(), result.end(), column_of_row);
}

}  // namespace agegender
