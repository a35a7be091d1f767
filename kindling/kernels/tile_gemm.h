// Row-major single-precision matrix product for matrices of some dozens to some thousands of rows,
// contiguous, on tiles of sums that stay in registers.
//
//   tile_gemm(Op::kPlain, Op::kTransposed, 64, 2112, 100, states, items, 0.0F, scores);  // S Eᵀ
//
// c [m, n] = op(a) [m, k] · op(b) [k, n] + beta · c, beta 0 or 1. With beta 0 the old c is not
// read. With `index.a` row i of a is row index.a[i] of the table a (only if it is not transposed),
// with `index.b` the same for b: rows of an embedding are read from where they stand. op(b) is
// packed anew in each call, by several threads if it is large; an `a` that is not transposed is
// read where it stands. One thread is about as fast as OpenBLAS; two share even 64 rows evenly, and
// products too small for that wake none. Each value is one sum over k in order, from 0 or the old
// c: it depends on neither the number of threads nor the other rows.
//
// Threads: uses those of base/parallel.h; several callers may run at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kindling/kernels/gemm.h"

namespace kindling::kernels {

// Which rows of a table are the matrix; null: all, in order.
struct TableRows {
  const std::int64_t* a = nullptr;
  const std::int64_t* b = nullptr;
};

void tile_gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, const float* a,
               const float* b, float beta, float* c, const TableRows& index = {});

// Plain loops with sums in double: the answer the other is held to.
void tile_gemm_reference(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k,
                         const float* a, const float* b, float beta, float* c);

}  // namespace kindling::kernels
