#include "kindling/kernels/bpr_step.h"

#include <cmath>

#include "kindling/kernels/dot.h"

namespace kindling::kernels {

namespace {

constexpr float kEpsilon = 1e-10F;

inline float moved(float value, float gradient, float& sum, float rate) {
  sum += gradient * gradient;
  return value - rate * gradient / (std::sqrt(sum) + kEpsilon);
}

}  // namespace

float bpr_step(const BprRates& rates, std::size_t dim, float* __restrict user,
               float* __restrict user_sums, float* __restrict positive,
               float* __restrict positive_sums, float* __restrict negative,
               float* __restrict negative_sums) {
  const float margin = dot(user, positive, dim) - dot(user, negative, dim);
  const float pull = 1.0F / (1.0F + std::exp(margin));  // -d loss / d margin
  const float rate = rates.rate;
  const float l2 = rates.l2;
  for (std::size_t c = 0; c < dim; ++c) {
    const float u = user[c];
    const float p = positive[c];
    const float n = negative[c];
    user[c] = moved(u, l2 * u - pull * (p - n), user_sums[c], rate);
    positive[c] = moved(p, l2 * p - pull * u, positive_sums[c], rate);
    negative[c] = moved(n, l2 * n + pull * u, negative_sums[c], rate);
  }
  return margin > 0.0F ? std::log1p(std::exp(-margin)) : std::log1p(std::exp(margin)) - margin;
}

}  // namespace kindling::kernels
