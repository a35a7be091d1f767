#include "kindling/models/baselines/cngan_critic.h"

#include <string>

#include "kindling/nn/transformer.h"

namespace kindling::cngan {

Critic::Critic(std::int64_t dim, Rng& rng) {
  const std::int64_t sizes[] = {2 * dim, 4 * dim, 4 * dim, 1};
  for (int layer = 0; layer < 3; ++layer) {
    const nn::LinearStart start = nn::linear_start(sizes[layer + 1], sizes[layer], rng);
    const std::string number = std::to_string(layer);
    weight_[layer] = register_parameter("w" + number, start.weight);
    bias_[layer] = register_parameter("b" + number, start.bias);
  }
}

torch::Tensor Critic::forward(const torch::Tensor& pairs) const {
  const torch::Tensor first = torch::relu(torch::addmm(bias_[0], pairs, weight_[0].t()));
  const torch::Tensor second = torch::relu(torch::addmm(bias_[1], first, weight_[1].t()));
  return torch::addmm(bias_[2], second, weight_[2].t()).squeeze(1);
}

torch::Tensor Critic::input_gradient(const torch::Tensor& pairs) const {
  torch::Tensor on1, on2;
  {
    const torch::NoGradGuard no_grad;
    const torch::Tensor first = torch::addmm(bias_[0], pairs, weight_[0].t());
    const torch::Tensor second = torch::addmm(bias_[1], torch::relu(first), weight_[1].t());
    on1 = first.gt(0).to(pairs.scalar_type());
    on2 = second.gt(0).to(pairs.scalar_type());
  }
  return ((weight_[2] * on2).mm(weight_[1]) * on1).mm(weight_[0]);
}

torch::Tensor Critic::gradient_penalty(const torch::Tensor& pairs) const {
  return (input_gradient(pairs).norm(2, 1) - 1.0).square().mean();
}

}  // namespace kindling::cngan
