// The critic of pairs and its penalty, whose gradient is of the second order.
#include "kindling/models/baselines/cngan_critic.h"

#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"

namespace kindling::cngan {
namespace {

TEST(CnGanCritic, KnowsItsOwnGradient) {
  Rng rng(1);
  Critic critic(3, rng);
  critic.to(torch::kFloat64);
  const torch::Tensor x =
      torch::arange(30, torch::kFloat64).cos().view({5, 6}).requires_grad_(true);

  const torch::Tensor ours = critic.input_gradient(x.detach());
  critic.forward(x).sum().backward();

  EXPECT_GT(ours.abs().max().item<double>(), 0.01);
  EXPECT_LT((ours - x.grad()).abs().max().item<double>(), 1e-12);
}

TEST(CnGanCritic, ItsPenaltyHasTheRightGradient) {
  Rng rng(2);
  Critic critic(2, rng);
  critic.to(torch::kFloat64);
  const torch::Tensor between = torch::arange(20, torch::kFloat64).sin().view({5, 4});
  const auto named = critic.named_parameters();

  testing::expect_gradient_matches([&] { return critic.gradient_penalty(between); },
                                   {named["w0"], named["w1"], named["w2"]});

  EXPECT_FALSE(named["b0"].grad().defined());  // f is linear between its ReLUs
}

}  // namespace
}  // namespace kindling::cngan
