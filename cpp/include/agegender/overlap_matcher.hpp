// Rectangular linear assignment over the few pairs that overlap: the greatest total IoU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agegender/overlaps.hpp"

namespace agegender {

constexpr std::ptrdiff_t kUnassigned = -1;  ///< stands for the pair of a row that has none

/// Matches frame after frame and keeps its scratch memory: it allocates only when a frame has more pairs than any
/// before. Thread safety: one thread at a time for each matcher.
class OverlapMatcher {
 public:
  /// Writes for each of so many rows the index of its pair in `overlaps`, or kUnassigned, into `pair_of_row`.
  /// Requires: rows and columns of the pairs below these numbers, each pair once, finite weights above 0.
  /// Ensures: no row and no column twice, the total weight the greatest there is: that of an assignment over the full
  /// matrix, in which the other pairs weigh 0. Which of several equal solutions comes is not promised.
  /// Time: nearly linear in the number of pairs where most rows have a best column of their own; a row that doesn't
  /// searches as far as its best weight reaches.
  /// Source: Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
  /// problems", Computing 38, 1987. A row may stay without a column, which ends a path, too.
  void solve(const std::vector<Overlap>& overlaps, std::size_t rows, std::size_t columns, std::ptrdiff_t* pair_of_row);

 private:
  struct Entry {
    std::uint32_t column;  ///< of the pair
    std::uint32_t pair;    ///< its index
    double weight;         ///< above 0
  };
  struct Reach {
    double distance;       ///< of the shortest path so far
    std::uint32_t column;  ///< to this column
  };
  struct Place {
    std::ptrdiff_t row = kUnassigned;  ///< that has the column
    double price = 0;                  ///< dual variable
    double distance;                   ///< of the shortest path of this search, infinity where none is known
    std::uint32_t previous_row = 0;    ///< from which that path comes
    std::uint32_t previous_entry = 0;  ///< by which it comes
  };
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

  void load(const std::vector<Overlap>& overlaps, std::size_t rows, std::size_t columns);
  void augment(std::uint32_t start);

  std::vector<std::uint32_t> first_;     ///< first entry of each row; one more at the end
  std::vector<Entry> entries_;           ///< row after row
  std::vector<std::uint32_t> entry_of_;  ///< of each row, or kNone
  std::vector<double> row_price_;        ///< dual variables: row's + column's >= weight of each pair
  std::vector<Place> places_;            ///< one a column
  std::vector<Reach> heap_;              ///< columns to go on from, nearest first
  std::vector<Reach> settled_;           ///< columns passed in this search
  std::vector<std::uint32_t> touched_;   ///< columns whose distance is known
};

}  // namespace agegender
