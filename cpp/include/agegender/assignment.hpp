// Rectangular linear assignment: pairs of rows and columns with the least total cost.
#pragma once

#include <cstddef>
#include <vector>

namespace agegender {

/// A row-major matrix that somebody else owns, without gaps.
struct CostView {
  const double* data = nullptr;  ///< any unit, entry (i, j) at i * columns + j
  std::size_t rows = 0;          ///< number of rows
  std::size_t columns = 0;       ///< number of columns
};

constexpr std::ptrdiff_t kUnassigned = -1;  ///< stands for the column of a row that has none

/// Solves assignments one after the other and keeps its scratch memory: no allocation once it has seen the largest.
/// Thread safety: one thread at a time for each solver.
class AssignmentSolver {
 public:
  /// Writes each row's column, or kUnassigned, into `column_of_row` (cost.rows numbers).
  /// Requires: every entry finite and at most 1e200 in size, else std::invalid_argument names the entry and nothing is
  /// written. Ensures: min(rows, columns) pairs, no column twice, the total least (greatest with `maximize`); which of
  /// several equal solutions comes is not promised. O(min^2 max) time.
  /// Source: Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
  /// problems", Computing 38, 1987; rectangular after Crouse, IEEE Trans. Aerospace and Electronic Systems 52(4), 2016.
  void solve(const CostView& cost, bool maximize, std::ptrdiff_t* column_of_row);

 private:
  void load(const CostView& cost, bool maximize);
  void augment(std::size_t start);

  std::size_t rows_ = 0;                   ///< the shorter side of the matrix
  std::size_t columns_ = 0;                ///< the longer side
  std::vector<double> cost_;               ///< to be minimised, rows_ x columns_
  std::vector<double> row_price_;          ///< dual variables of the rows
  std::vector<double> column_price_;       ///< dual variables of the columns
  std::vector<double> distance_;           ///< length of the shortest path to each column
  std::vector<std::size_t> previous_row_;  ///< the row from which that path comes
  std::vector<std::size_t> open_;          ///< columns whose distance is not final, then those whose is
  std::vector<std::ptrdiff_t> row_of_;     ///< row of each column, or kUnassigned
  std::vector<std::ptrdiff_t> column_of_;  ///< column of each row, or kUnassigned
};

}  // namespace agegender
