// Row-major single-precision matrix product over the system's BLAS, for contiguous matrices.
//
//   gemm(Op::kPlain, Op::kTransposed, n, j, d, 1.0F, states, items, 0.0F, logits);  // U Vᵀ
//
// c [m, n] = alpha · op(a) [m, k] · op(b) [k, n] + beta · c. With beta 0 the old c is not read.
// Errors: Error{kUnsupported} when a size does not fit the 32-bit sizes of BLAS.
#pragma once

#include <cstddef>

namespace kindling::kernels {

enum class Op { kPlain, kTransposed };

void gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, float alpha,
          const float* a, const float* b, float beta, float* c);

}  // namespace kindling::kernels
