// One step of Bayesian personalised ranking: a user's vector, a positive and a negative item, each
// with its Adagrad sums of squares.
//
//   bpr_step({.rate = 0.05F, .l2 = 1e-5F}, dim, u, u_sums, p, p_sums, n, n_sums);
//
// Loss -log sigmoid(u·p - u·n) + l2/2 (|u|² + |p|² + |n|²); all three gradients use the values
// before the step. Adagrad: sum += g², value -= rate g / (sqrt(sum) + 1e-10).
// Source: Rendle et al., BPR, UAI 2009; Duchi et al., 2011. Returns the loss without the l2 term.
#pragma once

#include <cstddef>

namespace kindling::kernels {

struct BprRates {
  float rate = 0.05F;
  float l2 = 0.0F;
};

float bpr_step(const BprRates& rates, std::size_t dim, float* user, float* user_sums,
               float* positive, float* positive_sums, float* negative, float* negative_sums);

}  // namespace kindling::kernels
