// Softmax cross entropy over the whole catalogue: loss and both gradients in one pass over blocks
// of rows, so that the [N, J] logits are never stored.
//
// Shapes: states U [N, D], items V [J, D], targets [N] in [0, J), bias b [J] or none, row-major.
// With p = softmax(U[n] · Vᵀ + b):
//   loss       = Σ_n -log p[target_n]
//   d_states   = (P - onehot) V     [N, D]
//   d_items    = (P - onehot)ᵀ U    [J, D]
//   d_bias     = (P - onehot)ᵀ 1    [J]
// Gradients are overwritten; each may be null when it is not wanted. Rows are independent of each
// other, so no block size changes the mathematical result.
//
//   double loss = softmax_cross_entropy({u, v, targets, n, j, d}, {du, dv});
//
// A block is one call of shared_softmax.h, with every item a class. Threads: uses those of
// base/parallel.h itself. Errors: Error{kBadInput} for a target outside [0, J),
// Error{kUnsupported} for 2^32 items or more. Source: ZESRec eq. (MAP), decision Z14.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct SoftmaxProblem {
  const float* states;          // [rows, dim]
  const float* items;           // [classes, dim]
  const std::int64_t* targets;  // [rows]
  std::size_t rows;
  std::size_t classes;
  std::size_t dim;
  const float* bias = nullptr;  // [classes]
};

struct SoftmaxGradients {
  float* states = nullptr;  // [rows, dim]
  float* items = nullptr;   // [classes, dim]
  float* bias = nullptr;    // [classes]
};

// Plain loops with sums in double: the answer the other is held to.
double softmax_cross_entropy_reference(const SoftmaxProblem& problem,
                                       const SoftmaxGradients& gradients);

// The logits of one block and what its gradients need take at most `block_bytes` (but always at
// least one row is taken).
double softmax_cross_entropy(const SoftmaxProblem& problem, const SoftmaxGradients& gradients,
                             std::size_t block_bytes = std::size_t{64} << 20);

}  // namespace kindling::kernels
