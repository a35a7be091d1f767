// The critic f that tells the user vectors of two domains apart, and its losses (specs/recguru.md
// 4).
//
//   Critic critic(64, "paper", rng);                        // 64 -> 128 -> 128 -> 128 -> 1, ReLU
//   [R7] torch::Tensor loss = critic_loss(critic, h_a, h_b, options, rng);      // minimised by f
//   torch::Tensor push = generator_loss(critic, h_a, h_b, options, rng);   // minimised by the
//   encoder
//
// W-GAN-GP [R6]: mean f(h_B) - mean f(h_A) + λ mean (‖∇f(x̂)‖ - 1)², x̂ between pairs. f is
// piecewise linear, so its gradient is a product of weights and 0/1 masks, built here as ordinary
// operations; differentiating that is the second order, without a second pass of autograd.
#pragma once

#include <string>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/models/recguru/options.h"
#include "kindling/nn/torch.h"

namespace kindling::recguru {

class Critic : public torch::nn::Module {
 public:
  // shape: "paper" or "released", whose hidden layers have dropout 0.2 while training [R7].
  Critic(std::int64_t dim, const std::string& shape, Rng& rng);

  // [B, D] -> [B]
  torch::Tensor forward(const torch::Tensor& h, Rng& rng) const;
  // ∇f at each row, [B, D], differentiable in the weights.
  torch::Tensor input_gradient(const torch::Tensor& x, Rng& rng) const;

 private:
  // Values of the layers; `masks` receives what each hidden layer's output is of its input.
  torch::Tensor run(const torch::Tensor& h, Rng& rng, std::vector<torch::Tensor>* masks) const;

  double dropout_;
  std::vector<torch::Tensor> weights_;  // [out, in]
  std::vector<torch::Tensor> biases_;
};

// mean (‖∇f(x)‖₂ - 1)² over the rows of x.
torch::Tensor gradient_penalty(const Critic& critic, const torch::Tensor& x, Rng& rng);

// h_a, h_b [B, D] without gradients, one number of rows.
torch::Tensor critic_loss(const Critic& critic, const torch::Tensor& h_a, const torch::Tensor& h_b,
                          const Options& options, Rng& rng);
torch::Tensor generator_loss(const Critic& critic, const torch::Tensor& h_a,
                             const torch::Tensor& h_b, const Options& options, Rng& rng);
// mean f(h_A) - mean f(h_B): Figure 2's "Wasserstein distance".
double wasserstein(const Critic& critic, const torch::Tensor& h_a, const torch::Tensor& h_b);

}  // namespace kindling::recguru
