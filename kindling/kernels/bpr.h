// Bayesian personalised ranking on a batch of triples: one loss, three gradients.
//
//   const double loss = bpr_batch(triples, n, users, items);   // gradients wait in the optimisers
//   users.apply(); items.apply();
//
//   L = Σ −log σ(p_u · q_i − p_u · q_j)                     the sum, not the mean [B9]
//   ∂L/∂p_u = −σ(−s)(q_i − q_j),  ∂L/∂q_i = −σ(−s) p_u,  ∂L/∂q_j = σ(−s) p_u
//
// All gradients are those of the parameters before the batch. Source: Rendle et al., BPR, 2009.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kindling/kernels/table_optimizer.h"

namespace kindling::kernels {

struct BprTriple {
  std::uint32_t user = 0;
  std::uint32_t item = 0;      // was taken
  std::uint32_t negative = 0;  // was not
};

// Returns the sum of the losses. users and items have one dim; each must have room for the batch's
// rows (n of users, 2n of items).
double bpr_batch(const BprTriple* triples, std::size_t count, TableOptimizer& users,
                 TableOptimizer& items);

}  // namespace kindling::kernels
