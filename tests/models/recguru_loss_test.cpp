// The rate of phase 1, the losses of phase 2 and that of phase 3, by hand.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/models/recguru/steps.h"
#include "kindling/train/optimizers.h"

namespace kindling::recguru {
namespace {

TEST(NoamRate, RisesToTheWarmUpAndFallsWithTheRoot) {
  Options options;
  options.dim = 64;
  options.warmup = 100;

  EXPECT_NEAR(noam_rate(options, 99), 0.125 * 0.1, 1e-12);
  EXPECT_NEAR(noam_rate(options, 49), 0.125 * 0.05, 1e-12);
  EXPECT_NEAR(noam_rate(options, 399), 0.125 * 0.05, 1e-12);
}

TEST(RecommendationLoss, IsThePapersFormulaTheCodesOrTheSoftmax) {
  const torch::Tensor scores = torch::tensor({{1.0, 0.5, -1.5}, {-2.0, 3.0, 1.0}}, torch::kFloat64);
  const auto log_sigmoid = [](double x) { return -std::log1p(std::exp(-x)); };
  const double paper =
      -0.5 * (log_sigmoid(1.0) + log_sigmoid(0.5) + log_sigmoid(-2.0) + log_sigmoid(-2.0));
  const double bpr = -0.5 * (log_sigmoid(1.5) + log_sigmoid(-4.0));

  EXPECT_NEAR(recommendation_loss(scores, "paper").item<double>(), paper, 1e-12);
  EXPECT_NEAR(recommendation_loss(scores, "bpr").item<double>(), bpr, 1e-12);
  const double softmax = 0.5 * (std::log(std::exp(1.0) + std::exp(0.5) + std::exp(-1.5)) - 1.0 +
                                std::log(std::exp(-2.0) + std::exp(3.0) + std::exp(1.0)) + 2.0);
  EXPECT_NEAR(recommendation_loss(scores, "softmax").item<double>(), softmax, 1e-12);
}

// f(h) = Σ slope_i ReLU(h_i), h [B, 2].
void make_ramps(Critic& critic, double first, double second) {
  const torch::NoGradGuard no_grad;
  for (torch::Tensor parameter : critic.parameters()) parameter.zero_();
  const auto named = critic.named_parameters();
  for (const char* layer : {"weight1", "weight2", "weight3"}) {
    for (std::int64_t unit = 0; unit < 2; ++unit) named[layer][unit][unit].fill_(1.0);
  }
  named["weight4"][0][0].fill_(first);
  named["weight4"][0][1].fill_(second);
}

// With slopes 3 and -4: f(h_A) = -5, -7 and f(h_B) = -2, 14; ‖∇f‖ = 5, also between the pairs.
class CriticLosses : public ::testing::Test {
 protected:
  CriticLosses() { critic_.to(torch::kFloat64); }
  double of_critic(const Options& options = {}) {
    return critic_loss(critic_, h_a_, h_b_, options, rng_).item<double>();
  }
  double of_generator(const Options& options = {}) {
    return generator_loss(critic_, h_a_, h_b_, options, rng_).item<double>();
  }

  Rng rng_{1};
  Critic critic_{2, "paper", rng_};
  torch::Tensor h_a_ = torch::tensor({{1.0, 2.0}, {3.0, 4.0}}, torch::kFloat64);
  torch::Tensor h_b_ = torch::tensor({{2.0, 2.0}, {6.0, 1.0}}, torch::kFloat64);
};

TEST_F(CriticLosses, AreTheTargetsMeanLessTheSourcesAndATenthOfThePenalty) {
  make_ramps(critic_, 3.0, -4.0);  // means -6 and 6, penalty (5 - 1)²
  EXPECT_NEAR(of_critic(), 6.0 + 6.0 + 0.1 * 16.0, 1e-12);

  make_ramps(critic_, 0.3, -0.4);  // penalty (0.5 - 1)²
  EXPECT_NEAR(of_critic(), 0.6 + 0.6 + 0.1 * 0.25, 1e-12);

  Options options;
  options.gradient_penalty = 2.0;
  EXPECT_NEAR(of_critic(options), 0.6 + 0.6 + 2.0 * 0.25, 1e-12);
}

TEST_F(CriticLosses, OfTheGeneratorAreTheSourcesMeanLessTheTargets) {
  make_ramps(critic_, 3.0, -4.0);

  EXPECT_NEAR(of_generator(), -6.0 - 6.0, 1e-12);
  EXPECT_NEAR(wasserstein(critic_, h_a_, h_b_), -6.0 - 6.0, 1e-12);
}

// σ(ln 3) = 3/4. The source is what is real; no penalty.
TEST_F(CriticLosses, AreTheCrossEntropyAndItsNegativeWithTheSwitch) {
  make_ramps(critic_, 1.0, -1.0);
  const double z = std::log(3.0);
  h_a_ = torch::tensor({{z, 0.0}, {0.0, 0.0}}, torch::kFloat64);      // f = ln 3, 0
  h_b_ = torch::tensor({{0.0, z}, {1.0, 1.0 + z}}, torch::kFloat64);  // f = -ln 3 twice
  Options options;
  options.adversary = "bce";
  const double loss = 0.5 * (std::log(4.0 / 3.0) + std::log(2.0)) + std::log(4.0 / 3.0);

  EXPECT_NEAR(of_critic(options), loss, 1e-12);
  EXPECT_NEAR(of_generator(options), -loss, 1e-12);
}

TEST_F(CriticLosses, PenaliseSteepAndFlatRowsEachByItself) {
  make_ramps(critic_, 3.0, 0.5);
  const torch::Tensor x =
      torch::tensor({{1.0, -1.0}, {-1.0, 1.0}, {1.0, 1.0}, {-1.0, -1.0}}, torch::kFloat64);

  const double both = std::sqrt(9.25) - 1.0;
  EXPECT_NEAR(gradient_penalty(critic_, x, rng_).item<double>(),
              (4.0 + 0.25 + both * both + 1.0) / 4.0, 1e-9);
}

// f = 3 ReLU(h_0) + 3 ReLU(h_0 - h_1 - 0.01). Between (3, 3) and (-1, -1) the second is 0, and the
// first has a slope for three quarters of the points: penalty 4 there and 1 elsewhere.
TEST_F(CriticLosses, PenaliseUniformPointsBetweenThePairs) {
  make_ramps(critic_, 3.0, 3.0);
  {
    const torch::NoGradGuard no_grad;
    const auto named = critic_.named_parameters();
    named["weight1"][1][0].fill_(1.0);
    named["weight1"][1][1].fill_(-1.0);
    named["bias1"][1].fill_(-0.01);
  }
  h_a_ = torch::full({10'000, 2}, 3.0, torch::kFloat64);
  h_b_ = torch::full({10'000, 2}, -1.0, torch::kFloat64);

  // f(h_A) = 9 and f(h_B) = 0; five standard errors of the share are 0.022.
  EXPECT_NEAR(of_critic(), -9.0 + 0.1 * (0.75 * 4.0 + 0.25 * 1.0), 0.1 * 3.0 * 0.022);
}

TEST(CriticShape, IsThePapersOrTheCodes) {
  using Shapes = std::vector<std::vector<std::int64_t>>;
  const auto weights = [](const char* shape) {
    Rng rng(1);
    const Critic critic(64, shape, rng);
    Shapes shapes;
    for (const auto& parameter : critic.parameters()) {
      if (parameter.dim() == 2) shapes.push_back(parameter.sizes().vec());
    }
    return shapes;
  };

  EXPECT_EQ(weights("paper"), (Shapes{{128, 64}, {128, 128}, {128, 128}, {1, 128}}));
  EXPECT_EQ(weights("released"), (Shapes{{320, 64}, {640, 320}, {320, 640}, {1, 320}}));
}

TEST(CriticShape, OnlyTheReleasedOneDropsAFifthOfEachHiddenLayer) {
  for (const auto& [shape, kept] : {std::pair{"paper", 1.0}, std::pair{"released", 0.512}}) {
    Rng rng(1);
    Critic critic(2, shape, rng);
    make_ramps(critic, 1.0, 0.0);
    const torch::Tensor h = torch::ones({4000, 2});

    const torch::Tensor f = critic.forward(h, rng);

    EXPECT_NEAR(f.gt(0).to(torch::kFloat64).mean().item<double>(), kept, 0.03) << shape;
    EXPECT_NEAR(f.max().item<double>(), 1.0 / kept, 1e-5) << shape;
    critic.eval();
    EXPECT_TRUE(torch::equal(critic.forward(h, rng), torch::ones({4000}))) << shape;
  }
}

// Users u0, u1, … with one item each.
Dataset one_item_each(const std::vector<ItemId>& items) {
  DatasetBuilder builder(false);
  for (int item = 0; item < 2; ++item) builder.item("i" + std::to_string(item));
  for (std::size_t u = 0; u < items.size(); ++u) {
    builder.add(builder.user("u" + std::to_string(u)), items[u], 0);
  }
  return std::move(builder).build("world");
}

// An encoder whose user vector is g ∘ (1, -1) for item 0 and g ∘ (-1, 1) for item 1: attention adds
// half of the item's vector to [eos], which is 0, and LN makes ±1 of it. g = (1.5, 2). All users of
// the source have item 0; of the target's, u0 and u1 have item 1, u2 has item 0.
class PhaseTwo : public ::testing::Test {
 protected:
  PhaseTwo() {
    options_.dim = 2;
    options_.heads = 1;
    options_.layers = 1;
    options_.hidden = 4;
    options_.dropout = 0.0;
    options_.position_scale = 0.0;
    options_.reconstruction_weight = 0.0;
  }

  GeneratorLoss step(double first_slope = 0.0, double second_slope = 0.0) {
    Net net(options_, Variant::kRecGuru, true, Rng(1));
    const auto named = net.named_parameters();
    gain_ = named["encoder0.norm2_gain"];
    {
      const torch::NoGradGuard no_grad;
      for (const char* zero : {"in_weight", "in_bias", "out_bias", "feed2_weight", "feed2_bias"}) {
        named[std::string("encoder0.") + zero].zero_();
      }
      named["encoder0.in_weight"].narrow(0, 4, 2).copy_(torch::eye(2));  // W_v
      named["encoder0.out_weight"].copy_(torch::eye(2));
      gain_.copy_(torch::tensor({1.5F, 2.0F}));
    }
    Tables tables;
    for (torch::Tensor& table : tables.of) {
      table = torch::tensor({{1.0F, -1.0F}, {-1.0F, 1.0F}, {0.0F, 0.0F}, {0.0F, 0.0F}});
    }
    Steps steps(options_, Variant::kRecGuru, net, tables, &source_, target_, {}, Rng(2));
    make_ramps(steps.critic(), first_slope, second_slope);
    critic_ = steps.critic_step(0, 0);
    const auto sgd = train::make_optimizer(
        {.kind = "sgd", .learning_rate = 1.0},
        {{"items_a", tables.of[kSource]}, {"items_b", tables.of[kTarget]}, {"gain", gain_}});
    const GeneratorLoss loss = steps.generator_step(0, *sgd);
    sgd->step();
    return loss;
  }
  void expect_gradient(double first, double second) {
    EXPECT_NEAR(1.5 - gain_[0].item<double>(), first, 1e-5);
    EXPECT_NEAR(2.0 - gain_[1].item<double>(), second, 1e-5);
  }

  Options options_;
  Dataset source_ = one_item_each({0, 0, 0});
  Dataset target_ = one_item_each({1, 1, 0});
  torch::Tensor gain_;
  CriticLoss critic_;
};

// Vectors of u0 and u1 are (3, -4) apart, those of u2 are the same.
TEST_F(PhaseTwo, TheOverlapLossIsTheMeanSquareTheMeanNormOrNothing) {
  options_.adversary = "none";
  EXPECT_EQ(options_.overlap_loss, "mse");
  EXPECT_NEAR(step().overlap, (9.0 + 16.0) * 2.0 / 6.0, 1e-5);
  expect_gradient(2.0 * 8.0 * 1.5 / 6.0, 2.0 * 8.0 * 2.0 / 6.0);  // of Σ_2 (2 g)² / 6

  options_.overlap_loss = "l2";
  EXPECT_NEAR(step().overlap, (5.0 + 5.0 + 0.0) / 3.0, 1e-5);
  expect_gradient(4.0 / 3.0 * 1.5 / 2.5, 4.0 / 3.0 * 2.0 / 2.5);  // of Σ_2 2 ‖g‖ / 3

  options_.overlap_loss = "none";
  EXPECT_EQ(step().overlap, 0.0);
  expect_gradient(0.0, 0.0);
}

// f(h_A) = 2 g_0 for all; f(h_B) = 5 g_1, 5 g_1 and 2 g_0.
TEST_F(PhaseTwo, TheCriticPullsSourceAndTargetApartAndTheEncoderWorksAgainstIt) {
  options_.overlap_loss = "none";
  options_.gradient_penalty = 0.0;

  const GeneratorLoss loss = step(2.0, 5.0);

  const double distance = 3.0 - (10.0 + 10.0 + 3.0) / 3.0;
  EXPECT_NEAR(critic_.loss, -distance, 1e-5);
  EXPECT_NEAR(critic_.wasserstein, distance, 1e-5);
  EXPECT_NEAR(loss.adversarial, distance, 1e-5);
  expect_gradient(2.0 - 2.0 / 3.0, -10.0 / 3.0);
}

}  // namespace
}  // namespace kindling::recguru
