// Sixteen-bit floats as they stand in files. Widening to float is exact; float_to_half rounds to
// the nearest, ties to even.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace kindling {

// bfloat16 is the upper half of a float.
inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

// IEEE 754 binary16, with subnormals, infinities and NaN.
inline float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1FU) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13U));
  if (exponent == 0) {  // fraction * 2^-24, exact in float
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (fraction << 13U));
}

inline constexpr float kLargestHalf = 65504.0F;

// Beyond kLargestHalf (and its half step): infinity. NaN stays NaN.
inline std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t size = bits & 0x7FFFFFFFU;
  std::uint32_t half = 0x7C00U;  // infinity
  if (size > 0x7F800000U) {
    half = 0x7E00U;                 // NaN
  } else if (size < 0x38800000U) {  // below 2^-14: a multiple of 2^-24
    half = static_cast<std::uint32_t>(std::nearbyint(std::bit_cast<float>(size) * 0x1p24F));
  } else if (size < 0x47800000U) {  // 13 bits of the fraction go
    half = (size + 0xFFFU + ((size >> 13U) & 1U) - 0x38000000U) >> 13U;
  }
  return static_cast<std::uint16_t>(sign | half);
}

}  // namespace kindling
