// The feed-forward half of a transformer block, forward and backward, in blocks of rows that stay
// in the cache: the wide middle is written once and read once.
//
//   y = f(x W1ᵀ + b1) W2ᵀ + b2,  f = activation, then dropout (or dropout, then activation)
//
// Dropout factor (row, c) of the middle is value row · hidden + c of dropout_mask(seed).
//
// Shapes: x, y [rows, dim]; W1 [hidden, dim], W2 [dim, hidden] as PyTorch stores them; middle
// [rows, hidden] holds x W1ᵀ + b1 for backward. Threads: uses the threads of base/parallel.h
// itself; with another number of them sums of weight gradients are rounded otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kindling/kernels/gelu.h"

namespace kindling::kernels {

struct FeedForward {
  std::size_t rows = 0;
  std::size_t dim = 0;
  std::size_t hidden = 0;
  Activation activation = Activation::kGeluTanh;
  double dropout = 0.0;
  bool dropout_first = false;  // before the activation
  std::uint64_t seed = 0;
};

struct FeedForwardWeights {
  const float* w1;
  const float* b1;
  const float* w2;
  const float* b2;
};

// All are overwritten.
struct FeedForwardGradients {
  float* x;
  float* w1;
  float* b1;
  float* w2;
  float* b2;
};

// `middle` may be null when no backward follows.
void feed_forward(const FeedForward& problem, const FeedForwardWeights& weights, const float* x,
                  float* middle, float* y);
// Plain loops, sums in double: the answer the other is held to.
void feed_forward_reference(const FeedForward& problem, const FeedForwardWeights& weights,
                            const float* x, float* y);

void feed_forward_backward(const FeedForward& problem, const FeedForwardWeights& weights,
                           const float* x, const float* middle, const float* d_y,
                           const FeedForwardGradients& gradients);

}  // namespace kindling::kernels
