// The polynomial of erfc, for kernels' .cpp files only: erfc(z) = erf_polynomial(t) · t · e^(-z²)
// with t = 1 / (1 + 0.3275911 z), z >= 0. Absolute error below 1.5e-7. V: float or FloatLanes.
//
// Source: Abramowitz & Stegun 7.1.26.
#pragma once

namespace kindling::kernels {

inline constexpr float kErfStep = 0.3275911F;

template <class V>
static inline V erf_polynomial(V t) {
  V p = t * 1.061405429F - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  return p * t + 0.254829592F;
}

}  // namespace kindling::kernels
