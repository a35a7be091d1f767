// Softmax cross entropy of each row's target against K sampled classes that the batch shares.
//
// Logits: sampled class c of row n:  U[n] · S[c] - log_q[c]; -inf when sampled[c] == targets[n] (an
// accidental hit); the row's own target: U[n] · T[n] - target_log_q[n]. The loss is
// Σ_n -log softmax at the own target. log_q is the log of a class's expected count in the sample:
// with it the sampled sum estimates the full one (Bengio & Senécal 2008; Jean et al. 2015).
//
// Gradients are overwritten; each may be null when it is not wanted.
//
// Threads: uses the threads of base/parallel.h itself. Source: ZESRec specification, section 10.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct SampledSoftmaxProblem {
  const float* states;          // U [rows, dim]
  const float* target_items;    // T [rows, dim]
  const float* sampled_items;   // S [samples, dim]
  const std::int64_t* targets;  // [rows] class ids
  const std::int64_t* sampled;  // [samples] class ids; may repeat
  const float* target_log_q;    // [rows]
  const float* sampled_log_q;   // [samples]
  std::size_t rows;
  std::size_t samples;
  std::size_t dim;
};

struct SampledSoftmaxGradients {
  float* states = nullptr;         // [rows, dim]
  float* target_items = nullptr;   // [rows, dim]
  float* sampled_items = nullptr;  // [samples, dim]
};

// Plain loops with sums in double: the answer the other is held to.
double sampled_softmax_reference(const SampledSoftmaxProblem& problem,
                                 const SampledSoftmaxGradients& gradients);

// The logits of one block of rows take at most `block_bytes` (but always at least one row).
double sampled_softmax(const SampledSoftmaxProblem& problem,
                       const SampledSoftmaxGradients& gradients,
                       std::size_t block_bytes = std::size_t{16} << 20);

}  // namespace kindling::kernels
