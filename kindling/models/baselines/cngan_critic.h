// CnGAN's critic of pairs of user vectors, [p_target ; p_source].
//
//   Critic critic(64, rng);                        // 128 -> 256 -> 256 -> 1, ReLU [B13]
//   critic.forward(pairs);                         // [n, 128] -> [n], a logit: higher is truer
//   critic.gradient_penalty(between).backward();   // of the second order, to the weights alone
//
// Source: specs/baselines.md C, CnGAN. Between its ReLUs f is linear, so that ∇f is a product of
// weights and 0/1 masks, built here as ordinary operations; differentiating that is the second
// order.
#pragma once

#include <cstdint>

#include "kindling/base/random.h"
#include "kindling/nn/torch.h"

namespace kindling::cngan {

class Critic : public torch::nn::Module {
 public:
  // dim: of one user vector, a pair is twice as wide.
  Critic(std::int64_t dim, Rng& rng);

  torch::Tensor forward(const torch::Tensor& pairs) const;  // [n, 2d] -> [n]
  // ∇f at each pair, [n, 2d], differentiable in the weights.
  torch::Tensor input_gradient(const torch::Tensor& pairs) const;
  // mean (‖∇f‖₂ - 1)² over the pairs.
  torch::Tensor gradient_penalty(const torch::Tensor& pairs) const;

 private:
  torch::Tensor weight_[3], bias_[3];
};

}  // namespace kindling::cngan
