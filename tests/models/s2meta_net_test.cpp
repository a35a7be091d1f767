#include <cmath>

#include <gtest/gtest.h>

#include "kindling/models/s2meta/scenario_net.h"
#include "tests/models/s2meta_support.h"

namespace kindling::s2meta {
namespace {

class ScenarioNets : public ::testing::TestWithParam<const char*> {};

TEST_P(ScenarioNets, LossAndGradientEqualAutograd) {
  const ScenarioNet net(GetParam(), 8);
  Rng rng(1);
  const std::vector<float> theta = net.init(rng);
  const FrozenVectors vectors = testing::random_vectors(9, 11, 8);
  const Triples batch = testing::random_triples(vectors, 7);
  std::vector<float> gradient(net.size(), 99.0F);
  ScenarioNet::Scratch scratch;
  const double loss = net.loss_and_gradient(theta.data(), batch, gradient.data(), scratch);
  const torch::Tensor leaf = testing::double_tensor(theta).requires_grad_();
  const torch::Tensor wanted = testing::torch_hinge(net, GetParam(), leaf, batch);
  wanted.backward();
  EXPECT_NEAR(loss, wanted.item<double>(), 1e-5);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double value = leaf.grad()[static_cast<std::int64_t>(i)].item<double>();
    ASSERT_NEAR(static_cast<double>(gradient[i]), value, 1e-5) << "at " << i;
  }
}

TEST_P(ScenarioNets, ScoresOfAllPairsEqualPairByPair) {
  const ScenarioNet net(GetParam(), 8);
  Rng rng(2);
  const std::vector<float> theta = net.init(rng);
  const FrozenVectors vectors = testing::random_vectors(5, 6, 8);
  const Matrix scores = net.score(theta.data(), vectors.users, vectors.items);
  const torch::Tensor flat = testing::double_tensor(theta);
  for (std::size_t u = 0; u < 5; ++u) {
    for (std::size_t c = 0; c < 6; ++c) {
      const torch::Tensor user =
          testing::double_tensor(vectors.users).narrow(0, static_cast<std::int64_t>(u), 1);
      const torch::Tensor item =
          testing::double_tensor(vectors.items).narrow(0, static_cast<std::int64_t>(c), 1);
      EXPECT_NEAR(static_cast<double>(scores(u, c)),
                  testing::torch_scores(net, GetParam(), flat, user, item).item<double>(), 1e-5);
    }
  }
}

TEST_P(ScenarioNets, BiasesStartAtZeroButHybridsLast) {
  const ScenarioNet net(GetParam(), 8);
  Rng rng(3);
  const std::vector<float> theta = net.init(rng);
  for (const Tensor& tensor : net.tensors()) {
    double size = 0.0;
    for (std::size_t i = 0; i < tensor.size(); ++i) {
      size += std::fabs(static_cast<double>(theta[tensor.begin + i]));
    }
    EXPECT_EQ(size > 0.0, tensor.in > 0 || tensor.name == "output0.bias") << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioNets, ::testing::Values("mapping", "interaction", "hybrid"),
                         [](const auto& param) { return std::string(param.param); });

TEST(ScenarioNet, HasThePapersSizes) {
  EXPECT_EQ(ScenarioNet("mapping", 128).size(), 66'048U);
  EXPECT_EQ(ScenarioNet("interaction", 64).size(), 10'881U);
  EXPECT_EQ(ScenarioNet("hybrid", 128).size(), 41'345U);
}

TEST(ScenarioNet, TriplesBeyondTheMarginGiveNoGradient) {
  const ScenarioNet net("mapping", 4);
  Rng rng(4);
  std::vector<float> theta = net.init(rng);
  Triples batch{Matrix(1, 4, 1.0F), Matrix(2, 4, 1.0F)};
  std::vector<float> gradient(net.size());
  ScenarioNet::Scratch scratch;
  // Equal items: the loss is the margin itself, and both scores' gradients cancel in the biases.
  EXPECT_NEAR(net.loss_and_gradient(theta.data(), batch, gradient.data(), scratch), 1.0, 1e-6);
  for (std::size_t d = 0; d < 4; ++d) batch.items(1, d) = -1.0F;
  for (float& value : theta) value *= 100.0F;
  net.loss(theta.data(), batch, scratch);
  if (scratch.scores[0] < scratch.scores[1]) std::swap(batch.items(0, 0), batch.items(1, 0));
  const double loss = net.loss_and_gradient(theta.data(), batch, gradient.data(), scratch);
  const bool beyond = scratch.scores[0] - scratch.scores[1] >= 1.0F;
  EXPECT_EQ(loss == 0.0, beyond);
  for (const float value : gradient) EXPECT_TRUE(!beyond || value == 0.0F);
}

}  // namespace
}  // namespace kindling::s2meta
