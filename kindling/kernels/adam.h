// Steps of Adam and of plain gradient descent on a flat array, with L2 penalty in the gradient.
//
//   adam(p, g, m, v, count, {.rate = 1e-4F, .decay = 1e-5F, .step = ++steps});
//
//   g' = g + decay·p    m = β₁m + (1−β₁)g'    v = β₂v + (1−β₂)g'²
//   p -= rate · m̂ / (√v̂ + eps)   with m̂ = m/(1−β₁^step), v̂ = v/(1−β₂^step)
// Source: Kingma & Ba, 2015, as torch.optim.Adam does it. Threads: uses base/parallel.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct AdamStep {
  float rate = 1e-3F;
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float decay = 0.0F;
  std::int64_t step = 1;  // 1-based
};

void adam(float* parameters, const float* gradient, float* m, float* v, std::size_t count,
          const AdamStep& step);

// p -= rate·(g + decay·p).
void gradient_descent(float* parameters, const float* gradient, std::size_t count, float rate,
                      float decay);

}  // namespace kindling::kernels
