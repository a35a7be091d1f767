#include "kindling/models/recguru/critic.h"

#include <algorithm>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/nn/transformer.h"
#include "kindling/nn/user_network.h"

namespace kindling::recguru {

namespace {

// -log σ(z) where `real`, -log(1 - σ(z)) else; mean.
torch::Tensor log_loss(const torch::Tensor& z, bool real) {
  return torch::softplus(real ? -z : z).mean();
}

constexpr double kRidge = 1e-2;  // of the mean square of a coordinate, which is 1

torch::Tensor every_second(const torch::Tensor& h, std::int64_t first) {
  return h.slice(0, first, h.size(0), 2).to(torch::kFloat64);
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

Json to_json(const Alikeness& alike) {
  return {{"domain_accuracy", alike.domain_accuracy},
          {"shared_distance", alike.shared_distance},
          {"stranger_distance", alike.stranger_distance}};
}

double domain_accuracy(const torch::Tensor& h_a, const torch::Tensor& h_b) {
  check(h_a.size(0) > 1 && h_b.size(0) > 1, "a probe needs two users of each domain");
  const torch::NoGradGuard no_grad;
  torch::Tensor a = every_second(h_a, 0);
  torch::Tensor b = every_second(h_b, 0);
  // Half-way between the means of both, so that no constant is needed and both weigh the same.
  const torch::Tensor middle = 0.5 * (a.mean(0, true) + b.mean(0, true));
  const torch::Tensor scale =
      (0.5 * ((a - middle).square().mean(0, true) + (b - middle).square().mean(0, true)))
          .sqrt()
          .clamp_min(1e-12);
  a = (a - middle) / scale;
  b = (b - middle) / scale;
  const auto rows_a = static_cast<double>(a.size(0));
  const auto rows_b = static_cast<double>(b.size(0));
  const torch::Tensor square = 0.5 * (a.t().mm(a) / rows_a + b.t().mm(b) / rows_b) +
                               kRidge * torch::eye(a.size(1), a.options());
  const torch::Tensor wanted = 0.5 * (a.mean(0) - b.mean(0));
  const torch::Tensor rule = torch::linalg_solve(square, wanted);
  const auto right = [&](const torch::Tensor& h, double sign) {
    return (sign * ((every_second(h, 1) - middle) / scale).mv(rule))
        .gt(0)
        .to(torch::kFloat64)
        .mean()
        .item<double>();
  };
  return 0.5 * (right(h_a, 1.0) + right(h_b, -1.0));
}

void shared_distances(const torch::Tensor& h_a, const torch::Tensor& h_b, Alikeness& result) {
  check(h_a.size(0) > 1 && h_a.sizes() == h_b.sizes(), "a probe needs two shared users");
  const torch::NoGradGuard no_grad;
  result.shared_distance = (h_a - h_b).square().mean().item<double>();
  result.stranger_distance = (h_a - h_b.roll(1, 0)).square().mean().item<double>();
}

}  // namespace kindling::recguru
