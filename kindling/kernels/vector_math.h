// exp, sigmoid and tanh without branches or library calls, so that loops over them become vector
// instructions. Relative error below 3e-7. For kernels' .cpp files only: they alone are compiled
// for the machine's processor, hence the internal linkage.
//
// Source: Cephes' single-precision expf and tanhf (range reduction and polynomials).
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace kindling::kernels {

// 0 below -87 (so exp(-inf) is 0); the largest argument is 88. NaN stays NaN.
static inline float fast_exp(float x) {
  const float clamped = x < -87.0F ? -87.0F : (x > 88.0F ? 88.0F : x);
  // Adding 1.5·2^23 rounds to the nearest integer and leaves it in the low bits.
  const float shifted = clamped * 1.44269504F + 12582912.0F;
  const float n = shifted - 12582912.0F;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float fraction = (p * r) * r + r + 1.0F;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) - 0x4b400000U + 127U) << 23;
  const float value = fraction * std::bit_cast<float>(exponent);
  return x < -87.0F ? 0.0F : value;
}

static inline float fast_sigmoid(float x) { return 1.0F / (1.0F + fast_exp(-x)); }

static inline float fast_tanh(float x) {
  const float size = std::fabs(x);
  const float square = x * x;
  float p = -5.70498872745e-3F;
  p = p * square + 2.06390887954e-2F;
  p = p * square - 5.37397155531e-2F;
  p = p * square + 1.33314422036e-1F;
  p = p * square - 3.33332819422e-1F;
  const float small = p * square * x + x;
  const float large = std::copysign(1.0F - 2.0F / (fast_exp(2.0F * size) + 1.0F), x);
  return size < 0.625F ? small : large;
}

// Sums and maxima keep 16 lanes: without permission to reorder additions the compiler would
// otherwise go one by one.
inline constexpr std::size_t kLanes = 16;

static inline float max_of(const float* values, std::size_t count) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = -std::numeric_limits<float>::infinity();
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      lanes[l] = lanes[l] < values[i + l] ? values[i + l] : lanes[l];
    }
  }
  float best = -std::numeric_limits<float>::infinity();
  for (const float lane : lanes) best = best < lane ? lane : best;
  for (; i < count; ++i) best = best < values[i] ? values[i] : best;
  return best;
}

// values[i] <- exp(values[i] - shift); returns their sum.
static inline double exp_and_sum(float* values, std::size_t count, float shift) {
  constexpr std::size_t kChunk = 1024;  // a float lane adds at most 64 values before the double
  double total = 0.0;
  std::size_t i = 0;
  while (i + kLanes <= count) {
    const std::size_t end = i + kChunk < count ? i + kChunk : count;
    float lanes[kLanes] = {};
    for (; i + kLanes <= end; i += kLanes) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        const float e = fast_exp(values[i + l] - shift);
        values[i + l] = e;
        lanes[l] += e;
      }
    }
    for (const float lane : lanes) total += static_cast<double>(lane);
  }
  for (; i < count; ++i) {
    values[i] = fast_exp(values[i] - shift);
    total += static_cast<double>(values[i]);
  }
  return total;
}

}  // namespace kindling::kernels
