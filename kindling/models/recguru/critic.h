// The critic f that tells the user vectors of two domains apart, its losses (specs/recguru.md 4),
// and a measure of what it is for.
//
//   Critic critic(64, "paper", rng);                     // 64 -> 128 -> 128 -> 128 -> 1, ReLU [R7]
//   loss = critic_loss(critic, h_a, h_b, options, rng);        // minimised by f
//   push = generator_loss(critic, h_a, h_b, options, rng);     // minimised by the encoder
//
// W-GAN-GP [R6]: mean f(h_B) - mean f(h_A) + λ mean (‖∇f(x̂)‖ - 1)², x̂ between pairs. f is
// piecewise linear, so its gradient is a product of weights and 0/1 masks, built here as ordinary
// operations; differentiating that is the second order, without a second pass of autograd.
#pragma once

#include <string>
#include <vector>

#include "kindling/base/json.h"
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

// How alike two domains' user vectors are: what phase 2 is for, measured before and after it. Not
// in the paper, which shows the critic's distance alone (figure 2): that one shrinks also where the
// critic is weak.
struct Alikeness {
  double domain_accuracy = 0.0;
  double shared_distance = 0.0;    // mean square of the coordinates' differences
  double stranger_distance = 0.0;  // both 0 without shared users
};
Json to_json(const Alikeness& alike);

// The share of users whose domain a linear rule tells, ridge regression on ±1 in standardised
// coordinates, learnt from the even rows, asked for the odd ones; both domains weigh the same.
// h_a [n, D], h_b [m, D], at least two rows each.
double domain_accuracy(const torch::Tensor& h_a, const torch::Tensor& h_b);

// Row i of both is the same user; a stranger is the next row's, so at least two rows.
void shared_distances(const torch::Tensor& h_a, const torch::Tensor& h_b, Alikeness& result);

}  // namespace kindling::recguru
