#include "agegender/overlaps.hpp"

#include <algorithm>
#include <limits>

namespace agegender {
namespace {

constexpr std::size_t kFew = 16;  // up to here, comparing with all is faster than sorting
constexpr double kWide = 4;       // a wide box is longer than so many times the mean

double low(const Box& box, bool across_x) { return across_x ? box.x1 : box.y1; }
double high(const Box& box, bool across_x) { return across_x ? box.x2 : box.y2; }
double length_of(const Box& box, bool across_x) { return high(box, across_x) - low(box, across_x); }

}  // namespace

std::size_t OverlapFinder::Strips::strip_of(double place) const noexcept {
  const double strip = (place - start) * per_pixel;
  if (!(strip > 0)) return 0;
  return strip < static_cast<double>(count) ? static_cast<std::size_t>(strip) : count - 1;
}

OverlapFinder::Strips OverlapFinder::plan(const BoxesView& columns) const noexcept {
  Strips strips;
  strips.widest = std::numeric_limits<double>::infinity();
  if (columns.count <= kFew) return strips;
  Box least = columns[0];
  Box most = columns[0];
  double width = 0;
  double height = 0;
  for (std::size_t i = 0; i < columns.count; ++i) {
    const Box box = columns[i];
    least.x1 = std::min(least.x1, box.x1);
    least.y1 = std::min(least.y1, box.y1);
    most.x1 = std::max(most.x1, box.x1);
    most.y1 = std::max(most.y1, box.y1);
    width += box.x2 - box.x1;
    height += box.y2 - box.y1;
  }
  const auto count = static_cast<double>(columns.count);
  strips.across_x = (most.x1 - least.x1) * height >= (most.y1 - least.y1) * width;
  strips.start = low(least, strips.across_x);
  const double length = low(most, strips.across_x) - strips.start;
  const double per_pixel = count / length;
  if (!(length > 0 && per_pixel <= std::numeric_limits<double>::max())) return strips;
  strips.count = columns.count;
  strips.per_pixel = per_pixel;
  const double wide = kWide * (strips.across_x ? width : height) / count;
  strips.widest = 0;
  for (std::size_t i = 0; i < columns.count; ++i) {
    const double side = length_of(columns[i], strips.across_x);
    if (side <= wide) strips.widest = std::max(strips.widest, side);
  }
  return strips;
}

// Counting sort by strip.
void OverlapFinder::sort(const BoxesView& columns, const Strips& strips) {
  const auto strip_of = [&](const Box& box) {
    const bool wide = length_of(box, strips.across_x) > strips.widest;
    return wide ? strips.count : strips.strip_of(low(box, strips.across_x));
  };
  first_.assign(strips.count + 3, 0);
  for (std::size_t i = 0; i < columns.count; ++i) ++first_[strip_of(columns[i]) + 2];
  for (std::size_t strip = 2; strip < first_.size(); ++strip) first_[strip] += first_[strip - 1];
  for (auto* side : {&x1_, &y1_, &x2_, &y2_}) side->resize(columns.count);
  index_.resize(columns.count);
  for (std::size_t i = 0; i < columns.count; ++i) {
    const Box box = columns[i];
    const std::uint32_t place = first_[strip_of(box) + 1]++;
    index_[place] = static_cast<std::uint32_t>(i);
    x1_[place] = box.x1;
    y1_[place] = box.y1;
    x2_[place] = box.x2;
    y2_[place] = box.y2;
  }
}

// Appends the places in [begin, end) that `box` overlaps to the `count` in `found_`; returns the new count.
std::size_t OverlapFinder::look(const Box& box, std::size_t begin, std::size_t end, std::size_t count) noexcept {
  const double* x1 = x1_.data();
  const double* y1 = y1_.data();
  const double* x2 = x2_.data();
  const double* y2 = y2_.data();
  std::uint32_t* found = found_.data();
  for (std::size_t k = begin; k < end; ++k) {
    // No branch, which would be mispredicted for each box that does overlap.
    found[count] = static_cast<std::uint32_t>(k);
    count += static_cast<std::size_t>(static_cast<int>(x1[k] < box.x2) & static_cast<int>(x2[k] > box.x1) &
                                      static_cast<int>(y1[k] < box.y2) & static_cast<int>(y2[k] > box.y1));
  }
  return count;
}

void OverlapFinder::find(const BoxesView& rows, const BoxesView& columns, std::vector<Overlap>& overlaps) {
  overlaps.clear();
  if (rows.count == 0 || columns.count == 0) return;
  const Strips strips = plan(columns);
  sort(columns, strips);
  found_.resize(columns.count + 1);
  const std::size_t wide = first_[strips.count];
  for (std::uint32_t row = 0; row < rows.count; ++row) {
    const Box box = rows[row];
    const std::size_t begin = strips.strip_of(low(box, strips.across_x) - strips.widest);
    const std::size_t end = strips.strip_of(high(box, strips.across_x));
    std::size_t count = look(box, first_[begin], first_[end + 1], 0);
    count = look(box, wide, columns.count, count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t k = found_[i];
      const double overlap = iou(box, {x1_[k], y1_[k], x2_[k], y2_[k]});
      if (overlap > 0) overlaps.push_back({row, index_[k], overlap});
    }
  }
}

}  // namespace agegender
