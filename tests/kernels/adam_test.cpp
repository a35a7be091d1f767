#include "kindling/kernels/adam.h"

#include <vector>

#include <gtest/gtest.h>

namespace kindling::kernels {
namespace {

TEST(Adam, FirstStepMovesByTheRateAgainstTheSign) {
  std::vector<float> p{1.0F, 1.0F};
  const std::vector<float> g{0.001F, -20.0F};
  std::vector<float> m(2), v(2);
  adam(p.data(), g.data(), m.data(), v.data(), 2, {.rate = 0.1F, .step = 1});
  EXPECT_NEAR(p[0], 0.9F, 1e-5F);  // m̂ = g, v̂ = g²
  EXPECT_NEAR(p[1], 1.1F, 1e-5F);
}

TEST(Adam, SecondStepUsesBothMoments) {
  std::vector<float> p{0.0F};
  std::vector<float> m(1), v(1);
  float g = 1.0F;
  adam(p.data(), &g, m.data(), v.data(), 1, {.rate = 0.1F, .step = 1});
  g = 3.0F;
  adam(p.data(), &g, m.data(), v.data(), 1, {.rate = 0.1F, .step = 2});
  // m = 0.39, m̂ = 0.39/0.19; v = 0.009999, v̂ = 0.009999/0.001999
  EXPECT_NEAR(p[0], -0.1F - 0.1F * 2.052632F / 2.236515F, 1e-5F);
}

TEST(Adam, DecayPullsTowardsZeroWithoutGradient) {
  std::vector<float> p{2.0F};
  const float g = 0.0F;
  std::vector<float> m(1), v(1);
  adam(p.data(), &g, m.data(), v.data(), 1, {.rate = 0.5F, .decay = 0.1F, .step = 1});
  EXPECT_NEAR(p[0], 1.5F, 1e-5F);
}

TEST(GradientDescent, AddsTheDecayToTheGradient) {
  std::vector<float> p{2.0F};
  const float g = 3.0F;
  gradient_descent(p.data(), &g, 1, 0.1F, 0.5F);
  EXPECT_FLOAT_EQ(p[0], 1.6F);  // 2 − 0.1·(3 + 1)
}

}  // namespace
}  // namespace kindling::kernels
