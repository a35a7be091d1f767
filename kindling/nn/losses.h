// Losses over a whole catalogue, differentiable in their tensor arguments.
#pragma once

#include <cstdint>

#include "kindling/nn/torch.h"

namespace kindling::nn {

// Sum over n of -log softmax(states · itemsᵀ + bias)[targets[n]], forward and gradients in one pass
// over blocks of rows: [N, J] is never stored (CPU); other devices use chunks of rows with LibTorch
// operations. states [N, D], items [J, D], targets [N] int64 in [0, J), bias [J] or undefined:
// none. Returns a scalar. Source: ZESRec eq. (MAP), Z14.
torch::Tensor softmax_cross_entropy(const torch::Tensor& states, const torch::Tensor& items,
                                    const torch::Tensor& targets, const torch::Tensor& bias = {});

// The same loss against K sampled classes shared by the batch, with log-Q correction: class c's
// logit is lowered by log_q[c] (log of its expected count in the sample), the target's own by
// target_log_q[n]. A sampled class that is the target of row n is left out of row n's sum (masked
// with -inf). target_items [N, D], sampled_items [K, D], targets [N], sampled [K] int64 ids.
torch::Tensor sampled_softmax_cross_entropy(
    const torch::Tensor& states, const torch::Tensor& target_items,
    const torch::Tensor& sampled_items, const torch::Tensor& targets, const torch::Tensor& sampled,
    const torch::Tensor& target_log_q, const torch::Tensor& sampled_log_q);

}  // namespace kindling::nn
