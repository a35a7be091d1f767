// kernels/decayed_mean.h as a differentiable operation.
//
//   torch::Tensor mean = decayed_mean(x, batch, 0.5, nullptr);   // [N, D]
//
// Other devices than the CPU compute it on the CPU: it is a small part of a step.
#pragma once

#include "kindling/data/batch.h"
#include "kindling/nn/torch.h"
#include "kindling/nn/user_network.h"

namespace kindling::nn {

// x [N, D] packed as `batch`, whose dummy steps are not known. `carried` may be null; otherwise it
// is read (when not empty) and replaced: {sums [B, D], weights [B]}, detached [Z9].
torch::Tensor decayed_mean(const torch::Tensor& x, const SequenceBatch& batch, double decay,
                           NetworkState* carried);

}  // namespace kindling::nn
