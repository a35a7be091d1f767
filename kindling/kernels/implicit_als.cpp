#include "kindling/kernels/implicit_als.h"

#include <algorithm>

#include "kindling/kernels/dot.h"
#include "kindling/kernels/gemm.h"

namespace kindling::kernels {

namespace {

void add_scaled(float scale, const float* __restrict from, std::size_t count,
                float* __restrict to) {
  for (std::size_t c = 0; c < count; ++c) to[c] += scale * from[c];
}

// out = (gram + alpha Σ y yᵀ) v
void apply(const float* gram, const float* y, const std::uint32_t* chosen, std::size_t count,
           float alpha, std::size_t dim, const float* v, float* out) {
  std::fill(out, out + dim, 0.0F);
  for (std::size_t r = 0; r < dim; ++r) add_scaled(v[r], gram + r * dim, dim, out);
  for (std::size_t k = 0; k < count; ++k) {
    const float* row = y + static_cast<std::size_t>(chosen[k]) * dim;
    add_scaled(alpha * dot(row, v, dim), row, dim, out);
  }
}

}  // namespace

void als_gram(const float* y, std::size_t count, std::size_t dim, float l2, float* gram) {
  gemm(Op::kTransposed, Op::kPlain, dim, dim, count, 1.0F, y, y, 0.0F, gram);
  for (std::size_t c = 0; c < dim; ++c) gram[c * dim + c] += l2;
}

void als_solve(const float* gram, const float* y, const std::uint32_t* chosen, std::size_t count,
               float alpha, std::size_t steps, std::size_t dim, float* scratch, float* x) {
  float* const residual = scratch;
  float* const direction = scratch + dim;
  float* const product = scratch + 2 * dim;
  apply(gram, y, chosen, count, alpha, dim, x, product);
  for (std::size_t c = 0; c < dim; ++c) residual[c] = -product[c];
  for (std::size_t k = 0; k < count; ++k) {
    add_scaled(1.0F + alpha, y + static_cast<std::size_t>(chosen[k]) * dim, dim, residual);
  }
  std::copy(residual, residual + dim, direction);
  float size = dot(residual, residual, dim);
  const float enough = 1e-12F * (1.0F + size);
  for (std::size_t step = 0; step < steps && size > enough; ++step) {
    apply(gram, y, chosen, count, alpha, dim, direction, product);
    const float curvature = dot(direction, product, dim);
    if (!(curvature > 0.0F)) return;
    const float length = size / curvature;
    add_scaled(length, direction, dim, x);
    add_scaled(-length, product, dim, residual);
    const float next = dot(residual, residual, dim);
    for (std::size_t c = 0; c < dim; ++c) {
      direction[c] = residual[c] + next / size * direction[c];
    }
    size = next;
  }
}

}  // namespace kindling::kernels
