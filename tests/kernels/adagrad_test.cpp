#include "kindling/kernels/adagrad.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace kindling::kernels {
namespace {

TEST(Adagrad, DividesByTheRootOfTheSumOfSquares) {
  std::vector<float> p{1.0F, 2.0F}, sums{0.0F, 7.0F};
  const std::vector<float> g{4.0F, 3.0F};

  adagrad(p.data(), g.data(), sums.data(), 2, {.rate = 0.1F, .epsilon = 1.0F});

  EXPECT_FLOAT_EQ(sums[0], 16.0F);
  EXPECT_FLOAT_EQ(sums[1], 16.0F);
  EXPECT_FLOAT_EQ(p[0], 1.0F - 0.1F * 4.0F / 5.0F);
  EXPECT_FLOAT_EQ(p[1], 2.0F - 0.1F * 3.0F / 5.0F);
}

TEST(Adagrad, SendsThePenaltyThroughTheAccumulator) {
  std::vector<float> p{2.0F}, sums{0.0F};
  const std::vector<float> g{1.0F};

  adagrad(p.data(), g.data(), sums.data(), 1,
          {.rate = 1.0F, .epsilon = 0.0F, .decay = 0.5F, .scale = 2.0F});

  EXPECT_FLOAT_EQ(sums[0], 9.0F);  // (2·1 + 0.5·2)²
  EXPECT_FLOAT_EQ(p[0], 1.0F);
}

TEST(Adagrad, PutsEpsilonUnderTheRootWhenAsked) {
  std::vector<float> p{1.0F}, sums{7.0F};
  const std::vector<float> g{3.0F};

  adagrad(p.data(), g.data(), sums.data(), 1, {.rate = 0.5F, .epsilon = 9.0F, .inside = true});

  EXPECT_FLOAT_EQ(p[0], 1.0F - 0.5F * 3.0F / 5.0F);  // √(7 + 9 + 9)
}

TEST(Adagrad, KeepsAVelocityWhereThereIsOne) {
  for (const bool inside : {false, true}) {
    constexpr std::size_t kCount = 19;
    const AdagradStep step{.rate = 0.1F, .epsilon = 0.5F, .inside = inside, .momentum = 0.6F};
    std::vector<float> p(kCount, 1.0F), sums(kCount, 0.0F), velocities(kCount, 0.0F), g(kCount);
    std::vector<double> wanted(kCount, 1.0), sum(kCount, 0.0), velocity(kCount, 0.0);
    for (int t = 0; t < 4; ++t) {
      for (std::size_t i = 0; i < kCount; ++i) {
        g[i] = std::cos(0.7F * static_cast<float>(i) + static_cast<float>(t));
        const double gradient = g[i];
        sum[i] += gradient * gradient;
        const double root = inside ? std::sqrt(sum[i] + 0.5) : std::sqrt(sum[i]) + 0.5;
        velocity[i] = 0.6 * velocity[i] - 0.1 * gradient / root;
        wanted[i] += velocity[i];
      }
      adagrad(p.data(), g.data(), sums.data(), kCount, step, velocities.data());
    }
    for (std::size_t i = 0; i < kCount; ++i) EXPECT_NEAR(p[i], wanted[i], 1e-6);
  }
}

TEST(Adagrad, LeavesTheVelocityOfOtherRowsAlone) {
  std::vector<float> p(4, 0.0F), sums(4, 0.0F), velocities(4, 1.0F);
  const std::vector<float> g{1.0F, 1.0F};
  const std::vector<std::int64_t> rows{1};
  const std::vector<std::uint32_t> first{0, 1};
  const std::vector<std::uint32_t> members{0};

  adagrad_row_groups(p.data(), g.data(), sums.data(),
                     {rows.data(), first.data(), members.data(), 1}, 2,
                     {.rate = 0.25F, .epsilon = 0.0F, .momentum = 0.5F}, velocities.data());

  EXPECT_EQ(p, (std::vector<float>{0.0F, 0.0F, 0.25F, 0.25F}));
  EXPECT_EQ(velocities, (std::vector<float>{1.0F, 1.0F, 0.25F, 0.25F}));
}

TEST(Adagrad, TouchesOnlyTheRowsNamed) {
  std::vector<float> p(6, 1.0F), sums(6, 0.0F);
  const std::vector<float> g{2.0F, 0.0F};
  const std::vector<std::int64_t> rows{1};
  const std::vector<std::uint32_t> first{0, 1};
  const std::vector<std::uint32_t> members{0};

  adagrad_row_groups(p.data(), g.data(), sums.data(),
                     {rows.data(), first.data(), members.data(), 1}, 2,
                     {.rate = 0.5F, .epsilon = 0.0F, .decay = 1.0F});

  EXPECT_EQ(p, (std::vector<float>{1.0F, 1.0F, 0.5F, 0.5F, 1.0F, 1.0F}));
  EXPECT_EQ(sums, (std::vector<float>{0.0F, 0.0F, 9.0F, 1.0F, 0.0F, 0.0F}));
}

TEST(Adagrad, SumsTheGradientsOfARowFirst) {
  std::vector<float> p(6, 1.0F), sums(6, 0.0F);
  const std::vector<float> g{2.0F, 0.0F, 4.0F, 5.0F, 1.0F, 3.0F};
  const std::vector<std::int64_t> rows{2, 0};
  const std::vector<std::uint32_t> first{0, 2, 3};
  const std::vector<std::uint32_t> members{2, 0, 1};

  adagrad_row_groups(p.data(), g.data(), sums.data(),
                     {rows.data(), first.data(), members.data(), 2}, 2,
                     {.rate = 0.5F, .epsilon = 0.0F});

  EXPECT_EQ(p, (std::vector<float>{0.5F, 0.5F, 1.0F, 1.0F, 0.5F, 0.5F}));
  EXPECT_EQ(sums, (std::vector<float>{16.0F, 25.0F, 0.0F, 0.0F, 9.0F, 9.0F}));
}

}  // namespace
}  // namespace kindling::kernels
