// The checks of the C++ tests: they count, and say what failed where.
#pragma once

#include <cstdio>

namespace agegender::test {

struct Tally {
  int passed = 0;  ///< checks
  int failed = 0;  ///< checks
};

inline Tally tally;

inline void check(bool holds, const char* text, const char* file, int line) {
  ++(holds ? tally.passed : tally.failed);
  if (!holds) std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
}

/// What main() returns: 0 if all checks held.
inline int report() {
  std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
  return tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}

}  // namespace agegender::test

#define CHECK(...) agegender::test::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

#define CHECK_THROWS(type, ...)                                                        \
  do {                                                                                 \
    bool thrown = false;                                                               \
    try {                                                                              \
      static_cast<void>(__VA_ARGS__);                                                  \
    } catch (const type&) {                                                            \
      thrown = true;                                                                   \
    }                                                                                  \
    agegender::test::check(thrown, #__VA_ARGS__ " throws " #type, __FILE__, __LINE__); \
  } while (false)
