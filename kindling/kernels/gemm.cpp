#include "kindling/kernels/gemm.h"

#include <algorithm>
#include <limits>
#include <string>

#include <cblas.h>

#include "kindling/base/error.h"

namespace kindling::kernels {

namespace {

int blas_size(std::size_t size) {
  if (size > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(Kind::kUnsupported, "a matrix has " + std::to_string(size) + " rows or columns",
                "matrix product", "BLAS counts with 32 bits; work in smaller blocks");
  }
  return static_cast<int>(size);
}

}  // namespace

void gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, float alpha,
          const float* a, const float* b, float beta, float* c) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::size_t i = 0; i < m * n; ++i) c[i] = beta == 0.0F ? 0.0F : beta * c[i];
    return;
  }
  const bool a_plain = op_a == Op::kPlain;
  const bool b_plain = op_b == Op::kPlain;
  cblas_sgemm(CblasRowMajor, a_plain ? CblasNoTrans : CblasTrans,
              b_plain ? CblasNoTrans : CblasTrans, blas_size(m), blas_size(n), blas_size(k), alpha,
              a, blas_size(a_plain ? k : m), b, blas_size(b_plain ? n : k), beta, c, blas_size(n));
}

}  // namespace kindling::kernels
