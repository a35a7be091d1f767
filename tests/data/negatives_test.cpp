#include "kindling/data/negatives.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

TEST(AliasSampler, DrawsInProportionToTheWeights) {
  const std::vector<double> weights = {1.0, 0.0, 3.0, 6.0};
  const AliasSampler sampler(weights);
  Rng rng(5);
  std::vector<int> counts(4, 0);

  for (int i = 0; i < 100000; ++i) ++counts[sampler.draw(rng)];

  EXPECT_NEAR(counts[0], 10000, 500);
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[2], 30000, 800);
  EXPECT_NEAR(counts[3], 60000, 800);
  EXPECT_DOUBLE_EQ(sampler.probability(2), 0.3);
}

TEST(AliasSampler, RefusesWeightsThatAreNone) {
  const std::vector<double> zero = {0.0, 0.0};
  const std::vector<double> negative = {1.0, -1.0};
  const std::vector<double> nan = {1.0, std::nan("")};

  EXPECT_THROW(AliasSampler({}), Error);
  EXPECT_THROW(AliasSampler{zero}, Error);
  EXPECT_THROW(AliasSampler{negative}, Error);
  EXPECT_THROW(AliasSampler{nan}, Error);
}

TEST(NegativeSampler, MixesUniformAndPopularity) {
  // Powers 0.75 of 0, 1 and 16 are 0, 1 and 8.
  const std::vector<std::uint64_t> counts = {0, 1, 16};
  const NegativeSampler sampler(counts, {.uniform_share = 0.5, .power = 0.75});

  EXPECT_NEAR(sampler.log_expected(0, 10), std::log(10 * (0.5 / 3)), 1e-6);
  EXPECT_NEAR(sampler.log_expected(1, 10), std::log(10 * (0.5 / 3 + 0.5 / 9)), 1e-6);
  EXPECT_NEAR(sampler.log_expected(2, 10), std::log(10 * (0.5 / 3 + 4.0 / 9)), 1e-6);
}

TEST(NegativeSampler, LeavesOutItemsWithoutACountWhenAsked) {
  const std::vector<std::uint64_t> counts = {0, 1, 16};
  const NegativeSampler sampler(counts,
                                {.uniform_share = 0.5, .power = 0.75, .counted_only = true});
  Rng rng(3);

  for (const std::int64_t item : sampler.draw(500, rng).items) EXPECT_NE(item, 0);
  EXPECT_NEAR(sampler.log_expected(1, 1), std::log(0.25 + 0.5 / 9.0), 1e-6);
}

TEST(NegativeSampler, GivesTheLogExpectedCountOfEachDraw) {
  const std::vector<std::uint64_t> counts = {5, 1, 1};
  const NegativeSampler sampler(counts, {});
  Rng rng(1);

  const Negatives negatives = sampler.draw(32, rng);

  ASSERT_EQ(negatives.items.size(), 32U);
  for (std::size_t k = 0; k < 32; ++k) {
    EXPECT_EQ(negatives.log_expected[k],
              sampler.log_expected(static_cast<ItemId>(negatives.items[k]), 32));
  }
}

}  // namespace
}  // namespace kindling
