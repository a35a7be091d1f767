// e^x in single precision, written so that compilers turn loops around it into vector code.
#pragma once

#include <bit>
#include <cstdint>

namespace kindling::kernels {

// Relative error below 3e-7 for x in [-87, 88]; below that range it gives 0 or nearly, above it
// the value at 88. No branches.
// Source: Cody & Waite range reduction; Taylor polynomial of degree 6 on |r| <= ln(2)/2.
inline float fast_exp(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding and removing it rounds to an integer
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const float n = (x * kLog2E + kRound) - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const auto exponent = static_cast<std::int32_t>(n) + 127;
  return p * std::bit_cast<float>(exponent << 23);
}

}  // namespace kindling::kernels
