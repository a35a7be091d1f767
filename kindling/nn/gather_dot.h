// Scores of each state against the items that its row names, differentiable; losses over a target
// and K negatives a position are built on it without holding [N, K, D].
//
//   torch::Tensor scores = gather_dot(states, items, candidates);     // [N, 1 + K]
//   torch::Tensor loss = sampled_softmax_mean(scores);                // column 0 is the target
//
// states [N, D], items [R, D], candidates [N, C] int64 row numbers of `items` on the CPU.
// float32 on the CPU runs on kernels/gather_dot.h; other devices and types on LibTorch.
// Errors: Error{kInternal} for shapes that do not fit or a candidate that is no row of `items`.
#pragma once

#include "kindling/nn/torch.h"

namespace kindling::nn {

torch::Tensor gather_dot(const torch::Tensor& states, const torch::Tensor& items,
                         const torch::Tensor& candidates);

// Mean over n of -log softmax(scores[n])[0]. Source: RecGURU eq. (14); no log-Q correction.
torch::Tensor sampled_softmax_mean(const torch::Tensor& scores);

}  // namespace kindling::nn
