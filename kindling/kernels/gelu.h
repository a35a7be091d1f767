// Activations of transformer feed-forward layers, with the bias of the layer before fused in.
//
// Shapes: x [rows, cols] row-major, bias [cols]; x is overwritten by f(x + bias).
#pragma once

#include <cstddef>

namespace kindling::kernels {

enum class Activation {
  kGelu,      // x Φ(x) with erf, as in BERT
  kGeluTanh,  // the tanh approximation ("gelu_new", "gelu_pytorch_tanh")
  kRelu,
};

// One value at a time, in double: the answer the other is held to.
void add_bias_activate_reference(Activation activation, const float* bias, std::size_t rows,
                                 std::size_t cols, float* x);

// Absolute error below 1e-6 max(1, |x|).
// Source for erf: Abramowitz & Stegun 7.1.26.
void add_bias_activate(Activation activation, const float* bias, std::size_t rows, std::size_t cols,
                       float* x);

}  // namespace kindling::kernels
