// The rate of phase 1 and the loss of phase 3.
#include <cmath>

#include <gtest/gtest.h>

#include "kindling/models/recguru/steps.h"

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

}  // namespace
}  // namespace kindling::recguru
