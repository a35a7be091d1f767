// Layer normalisation with what stands in front of it in a transformer: bias and residual.
//
//   x[r] = gain * (v - mean(v)) / sqrt(variance(v) + epsilon) + shift,  v = x[r] + bias +
//   residual[r]
//
// Shapes: x, residual [rows, cols] row-major; bias, gain, shift [cols]. x is overwritten.
// Variance is the mean square deviation (n, not n - 1).
#pragma once

#include <cstddef>

namespace kindling::kernels {

struct LayerNorm {
  const float* gain;
  const float* shift;
  float epsilon;
};

// Two plain passes, sums in double: the answer the other is held to.
void add_layer_norm_reference(const LayerNorm& norm, const float* bias, const float* residual,
                              std::size_t rows, std::size_t cols, float* x);
// `bias` and `residual` may be null.
void add_layer_norm(const LayerNorm& norm, const float* bias, const float* residual,
                    std::size_t rows, std::size_t cols, float* x);

}  // namespace kindling::kernels
