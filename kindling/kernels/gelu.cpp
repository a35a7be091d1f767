#include "kindling/kernels/gelu.h"

#include <cmath>

#include "kindling/kernels/erf_polynomial.h"
#include "kindling/kernels/exp.h"
#include "kindling/kernels/float_lanes.h"

namespace kindling::kernels {

namespace {

constexpr float kSqrtHalf = 0.70710678F;
constexpr float kSqrt2OverPi = 0.79788456F;
constexpr float kCubic = 0.044715F;

// Both forms are x (1 - tail) for x >= 0 and x tail below, with tail = the upper tail of Φ at |x|:
// no difference of nearly equal numbers.
inline float gelu(float x) {
  const float z = std::fabs(x) * kSqrtHalf;
  const float t = 1.0F / (1.0F + kErfStep * z);
  const float tail = 0.5F * erf_polynomial(t) * t * fast_exp(-z * z);
  return x < 0.0F ? x * tail : x - x * tail;
}

// The same for a vector of them.
inline FloatLanes gelu(FloatLanes x) {
  const FloatLanes magnitude = x < 0.0F ? -x : x;
  const FloatLanes z = magnitude * kSqrtHalf;
  const FloatLanes t = reciprocal_lanes(1.0F + kErfStep * z);
  const FloatLanes tail = 0.5F * erf_polynomial(t) * t * exp2_lanes(z * z * -kLog2E);
  return (x < 0.0F ? FloatLanes{} : x) - magnitude * tail;
}

inline float gelu_tanh(float x) {
  // (1 + tanh(u)) / 2 is the logistic function of 2u.
  const float u = kSqrt2OverPi * (x + kCubic * x * x * x);
  return x / (1.0F + fast_exp(-2.0F * u));
}

template <class F>
void for_each(const float* bias, std::size_t rows, std::size_t cols, float* x, const F& f) {
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = x + r * cols;
#pragma omp simd
    for (std::size_t c = 0; c < cols; ++c) row[c] = f(row[c] + bias[c]);
  }
}

void add_bias_gelu(const float* bias, std::size_t rows, std::size_t cols, float* x) {
  const std::size_t whole = cols / kFloatLanes * kFloatLanes;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = x + r * cols;
    for (std::size_t c = 0; c < whole; c += kFloatLanes) {
      store_lanes(row + c, gelu(load_lanes(row + c) + load_lanes(bias + c)));
    }
    for (std::size_t c = whole; c < cols; ++c) row[c] = gelu(row[c] + bias[c]);
  }
}

}  // namespace

void add_bias_activate_reference(Activation activation, const float* bias, std::size_t rows,
                                 std::size_t cols, float* x) {
  for (std::size_t i = 0; i < rows * cols; ++i) {
    const double v = static_cast<double>(x[i]) + bias[i % cols];
    double result = v > 0 ? v : 0;
    if (activation == Activation::kGelu) result = 0.5 * v * std::erfc(-v * std::sqrt(0.5));
    if (activation == Activation::kGeluTanh) {
      result =
          0.5 * v * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v)));
    }
    x[i] = static_cast<float>(result);
  }
}

void add_bias_activate(Activation activation, const float* bias, std::size_t rows, std::size_t cols,
                       float* x) {
  switch (activation) {
    case Activation::kGelu:
      return add_bias_gelu(bias, rows, cols, x);
    case Activation::kGeluTanh:
      return for_each(bias, rows, cols, x, gelu_tanh);
    case Activation::kRelu:
      return for_each(bias, rows, cols, x, [](float v) { return v > 0.0F ? v : 0.0F; });
  }
}

}  // namespace kindling::kernels
