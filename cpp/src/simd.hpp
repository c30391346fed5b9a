// A few floats at a time: as many as one register of the target holds. GCC and Clang make the operators from their
// vector extension; any other compiler gets a plain loop of the same meaning.
#pragma once

#if defined(__GNUC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

namespace agegender::simd {

#ifdef __AVX__
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

#if defined(__GNUC__)
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using FourFloats = float __attribute__((vector_size(4 * sizeof(float))));

/// `value - 0` and not `value + 0`: only the former is `value` for every float, and so costs nothing.
inline Floats splat(float value) { return value - Floats{}; }
inline FourFloats splat_four(float value) { return value - FourFloats{}; }
/// Four signed bytes as floats.
inline FourFloats load_bytes(const std::int8_t* from) {
#if defined(__SSE2__)
  std::int32_t bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  const __m128i zero = _mm_setzero_si128();
  const __m128i high = _mm_unpacklo_epi16(zero, _mm_unpacklo_epi8(zero, _mm_cvtsi32_si128(bytes)));
  return _mm_cvtepi32_ps(_mm_srai_epi32(high, 24));
#else
  std::int8_t bytes __attribute__((vector_size(4)));
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, FourFloats);
#endif
}
template <typename Vector>
Vector minimum(Vector a, Vector b) {
  return a < b ? a : b;
}
template <typename Vector>
Vector maximum(Vector a, Vector b) {
  return a > b ? a : b;
}
#else
template <int kCount>
struct Pack {
  float lane[kCount];
  template <typename Operation>
  static Pack each(const Pack& a, const Pack& b, Operation operation) {
    Pack result;
    for (int i = 0; i < kCount; ++i) result.lane[i] = operation(a.lane[i], b.lane[i]);
    return result;
  }
  static Pack of(float value) {
    Pack result;
    for (float& one : result.lane) one = value;
    return result;
  }
  friend Pack operator+(const Pack& a, const Pack& b) {
    return each(a, b, [](float x, float y) { return x + y; });
  }
  friend Pack operator-(const Pack& a, const Pack& b) {
    return each(a, b, [](float x, float y) { return x - y; });
  }
  friend Pack operator*(const Pack& a, const Pack& b) {
    return each(a, b, [](float x, float y) { return x * y; });
  }
  friend Pack operator*(float a, const Pack& b) { return of(a) * b; }
  friend Pack& operator+=(Pack& a, const Pack& b) { return a = a + b; }
};
using Floats = Pack<kLanes>;
using FourFloats = Pack<4>;
inline Floats splat(float value) { return Floats::of(value); }
inline FourFloats splat_four(float value) { return FourFloats::of(value); }
inline FourFloats load_bytes(const std::int8_t* from) {
  FourFloats values;
  for (int i = 0; i < 4; ++i) values.lane[i] = from[i];
  return values;
}
template <typename Vector>
Vector minimum(const Vector& a, const Vector& b) {
  return Vector::each(a, b, [](float x, float y) { return x < y ? x : y; });
}
template <typename Vector>
Vector maximum(const Vector& a, const Vector& b) {
  return Vector::each(a, b, [](float x, float y) { return x > y ? x : y; });
}
#endif

template <typename Vector = Floats>
Vector load(const float* from) {
  Vector values;
  std::memcpy(&values, from, sizeof values);
  return values;
}
template <typename Vector>
void store(float* to, Vector values) {
  std::memcpy(to, &values, sizeof values);
}

/// Of each four floats, the one of this number four times.
template <int kLane>
Floats spread(const Floats& values) {
#if defined(__GNUC__) && defined(__AVX__)
  return _mm256_permute_ps(values, kLane * 0x55);
#elif defined(__GNUC__) && defined(__SSE2__)
  return _mm_shuffle_ps(values, values, kLane * 0x55);
#else
  std::array<float, kLanes> lanes;
  std::memcpy(lanes.data(), &values, sizeof values);
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = lanes[i / 4 * 4 + kLane];
  return load(lanes.data());
#endif
}

/// The first three of each four floats of 16, as 12 in a row.
inline void store_without_fourths(float* to, const float* from) {
#if defined(__GNUC__) && defined(__SSE2__)
  const FourFloats a = load<FourFloats>(from), b = load<FourFloats>(from + 4);
  const FourFloats c = load<FourFloats>(from + 8), d = load<FourFloats>(from + 12);
  store<FourFloats>(to, _mm_shuffle_ps(a, _mm_shuffle_ps(a, b, _MM_SHUFFLE(0, 0, 2, 2)), _MM_SHUFFLE(2, 0, 1, 0)));
  store<FourFloats>(to + 4, _mm_shuffle_ps(b, c, _MM_SHUFFLE(1, 0, 2, 1)));
  store<FourFloats>(to + 8, _mm_shuffle_ps(_mm_shuffle_ps(c, d, _MM_SHUFFLE(0, 0, 2, 2)), d, _MM_SHUFFLE(2, 1, 2, 0)));
#else
  for (int group = 0; group < 4; ++group) std::memcpy(to + 3 * group, from + 4 * group, 3 * sizeof(float));
#endif
}

constexpr int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Memory that starts on a cache line, so that a vector at a multiple of kLanes lies within one.
template <typename T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  LineAllocator() = default;
  template <typename U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kLine); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
  friend bool operator!=(const LineAllocator&, const LineAllocator&) { return false; }
};

template <typename T>
using Buffer = std::vector<T, LineAllocator<T>>;

/// A buffer only grows: levels of a pyramid come in all sizes, picture after picture.
template <typename T>
void at_least(Buffer<T>& buffer, std::size_t count) {
  if (buffer.size() < count) buffer.resize(count);
}

}  // namespace agegender::simd
