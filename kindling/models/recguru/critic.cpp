#include "kindling/models/recguru/critic.h"

#include <algorithm>

#include <fmt/format.h>

#include "kindling/nn/transformer.h"
#include "kindling/nn/user_network.h"

namespace kindling::recguru {

namespace {

// -log σ(z) where `real`, -log(1 - σ(z)) else; mean.
torch::Tensor log_loss(const torch::Tensor& z, bool real) {
  return torch::softplus(real ? -z : z).mean();
}

}  // namespace

Critic::Critic(std::int64_t dim, const std::string& shape, Rng& rng)
    : dropout_(shape == "released" ? 0.2 : 0.0) {
  const std::vector<std::int64_t> sizes =
      shape == "released" ? std::vector<std::int64_t>{dim, 5 * dim, 10 * dim, 5 * dim, 1}
                          : std::vector<std::int64_t>{dim, 128, 128, 128, 1};
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    const nn::LinearStart start = nn::linear_start(sizes[i + 1], sizes[i], rng);
    weights_.push_back(register_parameter(fmt::format("weight{}", i + 1), start.weight));
    biases_.push_back(register_parameter(fmt::format("bias{}", i + 1), start.bias));
  }
}

torch::Tensor Critic::run(const torch::Tensor& h, Rng& rng,
                          std::vector<torch::Tensor>* masks) const {
  torch::Tensor x = h;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    x = torch::addmm(biases_[i], x, weights_[i].t());
    if (i + 1 == weights_.size()) break;
    torch::Tensor mask = x.detach().gt(0).to(x.scalar_type());
    mask = nn::dropout(mask, is_training() ? dropout_ : 0.0, rng);
    x = x * mask;
    if (masks != nullptr) masks->push_back(mask);
  }
  return x;
}

torch::Tensor Critic::forward(const torch::Tensor& h, Rng& rng) const {
  return run(h, rng, nullptr).squeeze(1);
}

torch::Tensor Critic::input_gradient(const torch::Tensor& x, Rng& rng) const {
  std::vector<torch::Tensor> masks;
  {
    const torch::NoGradGuard no_grad;  // only which units are on: a constant almost everywhere
    run(x, rng, &masks);
  }
  torch::Tensor slope = weights_.back().expand({x.size(0), weights_.back().size(1)});
  for (std::size_t i = masks.size(); i-- > 0;) slope = (slope * masks[i]).mm(weights_[i]);
  return slope;
}

torch::Tensor gradient_penalty(const Critic& critic, const torch::Tensor& x, Rng& rng) {
  // The smallest number keeps the root differentiable where the gradient vanishes.
  const torch::Tensor norm = critic.input_gradient(x, rng).square().sum(1).clamp_min(1e-24).sqrt();
  return (norm - 1.0).square().mean();
}

torch::Tensor critic_loss(const Critic& critic, const torch::Tensor& h_a, const torch::Tensor& h_b,
                          const Options& options, Rng& rng) {
  if (options.adversary == "bce") {
    return log_loss(critic.forward(h_a, rng), true) + log_loss(critic.forward(h_b, rng), false);
  }
  const std::int64_t rows = std::min(h_a.size(0), h_b.size(0));
  torch::Tensor between = torch::empty({rows, 1}, torch::kFloat32);
  float* share = between.data_ptr<float>();
  for (std::int64_t r = 0; r < rows; ++r) share[r] = static_cast<float>(rng.uniform());
  between = between.to(h_a.options());
  const torch::Tensor x =
      between * h_a.narrow(0, 0, rows) + (1.0 - between) * h_b.narrow(0, 0, rows);
  return critic.forward(h_b, rng).mean() - critic.forward(h_a, rng).mean() +
         options.gradient_penalty * gradient_penalty(critic, x, rng);
}

torch::Tensor generator_loss(const Critic& critic, const torch::Tensor& h_a,
                             const torch::Tensor& h_b, const Options& options, Rng& rng) {
  if (options.adversary == "bce") {  // eq. (13): the negative of the critic's loss
    return -(log_loss(critic.forward(h_a, rng), true) + log_loss(critic.forward(h_b, rng), false));
  }
  return critic.forward(h_a, rng).mean() - critic.forward(h_b, rng).mean();
}

double wasserstein(const Critic& critic, const torch::Tensor& h_a, const torch::Tensor& h_b) {
  const torch::NoGradGuard no_grad;
  Rng unused(0);
  return (critic.forward(h_a, unused).mean() - critic.forward(h_b, unused).mean()).item<double>();
}

}  // namespace kindling::recguru
