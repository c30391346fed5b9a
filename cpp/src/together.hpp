// A few pieces of work on a few threads.
#pragma once

#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace agegender {

/// Calls `work(i)` for each i below `count`, each on a thread of its own as far as the system gives so many: the
/// caller's does the first and what is left.
/// Requires: `work` doesn't throw, and may be called from several threads at once.
template <typename Work>
void together(std::size_t count, const Work& work) {
  std::vector<std::thread> others;
  std::size_t begun = 1;
  if (count > 1) {
    others.reserve(count - 1);  // a thread that runs must not be lost to a vector that can't grow
    try {
      for (; begun < count; ++begun) others.emplace_back([&work, i = begun] { work(i); });
    } catch (const std::system_error&) {
      // The system gives no more threads.
    }
  }
  if (count > 0) work(std::size_t{0});
  for (; begun < count; ++begun) work(begun);
  for (std::thread& thread : others) thread.join();
}

}  // namespace agegender
