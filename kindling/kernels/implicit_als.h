// One side of alternating least squares for implicit feedback.
//
//   als_gram(items, item_count, dim, l2, gram);              // once a sweep
//   for each user: als_solve(gram, items, chosen, count, alpha, steps, dim, scratch, user);
//
// A row x minimises Σ_chosen (1 + alpha) (1 - x·y)² + Σ_others (x·y)² + l2 |x|². als_solve takes
// `steps` steps of conjugate gradients from the present x; with steps = dim it is the exact minimum
// up to rounding.
// Source: Hu, Koren, Volinsky, ICDM 2008; Takács, Pilászy, Tikk, RecSys 2011 (conjugate gradients).
// Threads: rows are independent; each thread brings its own scratch of 3 · dim floats.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

// gram [dim, dim] = YᵀY + l2 I for y [count, dim].
void als_gram(const float* y, std::size_t count, std::size_t dim, float l2, float* gram);

void als_solve(const float* gram, const float* y, const std::uint32_t* chosen, std::size_t count,
               float alpha, std::size_t steps, std::size_t dim, float* scratch, float* x);

}  // namespace kindling::kernels
