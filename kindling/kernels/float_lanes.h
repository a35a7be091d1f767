// A vector of floats as wide as the processor's registers, and the functions that kernels need on
// it. Operators come from the compiler: a * b + c is one fused multiply-add, a float factor is
// broadcast.
//
//   FloatLanes x = load_lanes(values);
//   store_lanes(values, 1.0F / (1.0F + exp2_lanes(x * -kLog2E)));
//
// Only for .cpp files of this floor: they alone are compiled for the machine's processor, hence the
// internal linkage.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace kindling::kernels {

#if defined(__AVX512F__)
inline constexpr std::size_t kFloatLanes = 16;
#elif defined(__AVX__)
inline constexpr std::size_t kFloatLanes = 8;
#else
inline constexpr std::size_t kFloatLanes = 4;
#endif
using FloatLanes [[gnu::vector_size(kFloatLanes * sizeof(float))]] = float;
using IntLanes [[gnu::vector_size(kFloatLanes * sizeof(std::int32_t))]] = std::int32_t;

inline constexpr float kLog2E = 1.44269504F;

static inline FloatLanes load_lanes(const float* values) {
  FloatLanes lanes;
  std::memcpy(&lanes, values, sizeof(lanes));
  return lanes;
}
static inline void store_lanes(float* values, FloatLanes lanes) {
  std::memcpy(values, &lanes, sizeof(lanes));
}
// The first `count` < kFloatLanes of them; the others are 0 and are not written.
static inline FloatLanes load_some(const float* values, std::size_t count) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1U), values);
#else
  FloatLanes lanes{};
  std::memcpy(&lanes, values, count * sizeof(float));
  return lanes;
#endif
}
static inline void store_some(float* values, FloatLanes lanes, std::size_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(values, static_cast<__mmask16>((1U << count) - 1U), lanes);
#else
  std::memcpy(values, &lanes, count * sizeof(float));
#endif
}
static inline FloatLanes all_lanes(float value) { return FloatLanes{} + value; }

static inline float sum_lanes(FloatLanes lanes) {
  float sum = 0.0F;
  for (std::size_t l = 0; l < kFloatLanes; ++l) sum += lanes[l];
  return sum;
}

// Lane l <- lane l ^ half.
static inline FloatLanes swap_lanes(FloatLanes lanes, std::size_t half) {
#if defined(__clang__)  // knows shuffles with written-out numbers only
  FloatLanes swapped;
  for (std::size_t l = 0; l < kFloatLanes; ++l) swapped[l] = lanes[l ^ half];
  return swapped;
#else
  IntLanes from;
#pragma GCC unroll 16
  for (std::size_t l = 0; l < kFloatLanes; ++l) from[l] = static_cast<std::int32_t>(l ^ half);
  return __builtin_shuffle(lanes, from);
#endif
}

// Half onto half: a quarter of the steps of one by one, and the error of a pairwise sum.
static inline float tree_sum(FloatLanes lanes) {
#pragma GCC unroll 4
  for (std::size_t half = kFloatLanes / 2; half > 0; half /= 2) lanes += swap_lanes(lanes, half);
  return lanes[0];
}

static inline float max_of_lanes(FloatLanes lanes) {
#pragma GCC unroll 4
  for (std::size_t half = kFloatLanes / 2; half > 0; half /= 2) {
    const FloatLanes other = swap_lanes(lanes, half);
    lanes = lanes < other ? other : lanes;
  }
  return lanes[0];
}

// square[i][j] <- square[j][i]: squares of half the size change places, ever smaller.
static inline void transpose_lanes(FloatLanes* square) {
#pragma GCC unroll 4
  for (std::size_t half = kFloatLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kFloatLanes; ++i) {
      if ((i & half) != 0) continue;
      const FloatLanes a = square[i];
      const FloatLanes b = square[i + half];
#if defined(__clang__)  // knows shuffles with written-out numbers only
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        const bool second = (l & half) != 0;
        square[i][l] = second ? b[l - half] : a[l];
        square[i + half][l] = second ? b[l] : a[l + half];
      }
#else
      IntLanes low;
      IntLanes high;
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        const bool second = (l & half) != 0;
        low[l] = static_cast<std::int32_t>(second ? l - half + kFloatLanes : l);
        high[l] = static_cast<std::int32_t>(second ? l + kFloatLanes : l + half);
      }
      square[i] = __builtin_shuffle(a, b, low);
      square[i + half] = __builtin_shuffle(a, b, high);
#endif
    }
  }
}

static inline FloatLanes sqrt_lanes(FloatLanes x) {
  FloatLanes root;
  for (std::size_t l = 0; l < kFloatLanes; ++l) root[l] = std::sqrt(x[l]);
  return root;
}

// 1 / x for x away from 0 and infinity, relative error below 2e-7.
static inline FloatLanes reciprocal_lanes(FloatLanes x) {
#if defined(__AVX512F__)
  const FloatLanes guess = _mm512_maskz_rcp14_ps(0xFFFF, x);
  return guess * (2.0F - x * guess);  // one step of Newton's doubles the 14 bits
#else
  return 1.0F / x;
#endif
}

// 1 / √x for normal positive x, relative error below 3e-7.
static inline FloatLanes reciprocal_root_lanes(FloatLanes x) {
#if defined(__AVX512F__)
  const FloatLanes guess = _mm512_maskz_rsqrt14_ps(0xFFFF, x);
  return guess * (1.5F - 0.5F * x * guess * guess);  // Newton's step
#else
  return 1.0F / sqrt_lanes(x);
#endif
}

// 2^min(x, 60), relative error below 2e-7, 0 (or nearly) below -126; NaN stays NaN. The limit of 60
// lets a caller multiply two results without overflow.
// Source: polynomial of degree 5 for 2^r on [0, 1), fitted for the smallest relative error.
static inline FloatLanes exp2_lanes(FloatLanes x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  constexpr __mmask16 kAll = 0xFFFF;
  const __m512 t = _mm512_maskz_min_ps(kAll, _mm512_set1_ps(60.0F), x);
  const FloatLanes r = _mm512_maskz_reduce_ps(kAll, t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
  const FloatLanes low = x < -125.0F ? all_lanes(-125.0F) : x;
  const FloatLanes t = low > 60.0F ? all_lanes(60.0F) : low;
  // Adding 1.5·2^23 rounds to the nearest integer and leaves it in the low bits.
  const FloatLanes shifted = (t - 0.5F) + 12582912.0F;
  const FloatLanes r = t - (shifted - 12582912.0F);
#endif
  FloatLanes p = r * 1.877576695e-3F + 8.989340626e-3F;
  p = p * r + 5.582631752e-2F;
  p = p * r + 2.401536107e-1F;
  p = p * r + 6.931530833e-1F;
  p = p * r + 9.999999404e-1F;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return _mm512_maskz_scalef_ps(kAll, p, t);
#else
  IntLanes bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits - 0x4b400000 + 127) << 23;
  FloatLanes power;
  std::memcpy(&power, &bits, sizeof(power));
  return p * power;
#endif
}

// Natural logarithm of normal positive numbers, relative error below 2e-7 away from 1.
// Source: Cephes' single-precision logf.
static inline FloatLanes log_lanes(FloatLanes x) {
  IntLanes bits;
  std::memcpy(&bits, &x, sizeof(bits));
  IntLanes exponent = ((bits >> 23) & 0xFF) - 126;
  bits = (bits & 0x007FFFFF) | 0x3F000000;  // mantissa in [0.5, 1)
  FloatLanes m;
  std::memcpy(&m, &bits, sizeof(m));
  const IntLanes small = m < 0.707106781F;
  exponent += small;  // a true lane is -1
  m = small ? m + m - 1.0F : m - 1.0F;
  const FloatLanes e = __builtin_convertvector(exponent, FloatLanes);
  const FloatLanes square = m * m;
  FloatLanes p = m * 7.0376836292e-2F - 1.1514610310e-1F;
  p = p * m + 1.1676998740e-1F;
  p = p * m - 1.2420140846e-1F;
  p = p * m + 1.4249322787e-1F;
  p = p * m - 1.6668057665e-1F;
  p = p * m + 2.0000714765e-1F;
  p = p * m - 2.4999993993e-1F;
  p = p * m + 3.3333331174e-1F;
  return m + (p * m * square + e * -2.12194440e-4F - 0.5F * square) + e * 0.693359375F;
}

}  // namespace kindling::kernels
