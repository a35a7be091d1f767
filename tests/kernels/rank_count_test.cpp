#include "kindling/kernels/rank_count.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

TEST(RankCount, CountsGreaterAndEqualScores) {
  const std::vector<float> scores{0.5F, 2.0F, 0.5F, -1.0F, 0.5F};

  const RankCount count = rank_count(scores.data(), scores.size(), 2);

  EXPECT_EQ(count, (RankCount{1, 2}));
  EXPECT_DOUBLE_EQ(expected_rank(count), 3.0);  // 1 + 1 + 2/2
}

TEST(RankCount, GivesTheMiddleToAConstantScorer) {
  const std::vector<float> scores(9, 0.25F);

  EXPECT_DOUBLE_EQ(expected_rank(rank_count(scores.data(), 9, 7)), 5.0);  // (9 + 1) / 2
}

TEST(RankCount, RefusesScoresThatAreNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    const std::vector<float> scores{1.0F, bad, 0.0F};
    EXPECT_THROW(rank_count(scores.data(), 3, 0), Error);
    EXPECT_THROW(rank_count(scores.data(), 3, 1), Error);
    EXPECT_THROW(rank_count_reference(scores.data(), 3, 0), Error);
  }
}

TEST(RankCount, AgreesWithReferenceAndWithSortingOnTenThousandCases) {
  Rng rng(7);
  for (int round = 0; round < 10000; ++round) {
    const std::size_t items = 1 + rng.below(40);
    const std::uint64_t levels = 1 + rng.below(12);  // few levels: many ties
    std::vector<float> scores(items);
    for (auto& score : scores) score = static_cast<float>(rng.below(levels));
    const std::size_t target = rng.below(items);
    std::vector<float> sorted = scores;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    // Mean of the places that the target's value takes in the sorted list.
    const auto [first, last] =
        std::equal_range(sorted.begin(), sorted.end(), scores[target], std::greater<>());
    const double places = static_cast<double>((first - sorted.begin()) + (last - sorted.begin()));

    const RankCount count = rank_count(scores.data(), items, target);

    ASSERT_EQ(count, rank_count_reference(scores.data(), items, target));
    ASSERT_DOUBLE_EQ(expected_rank(count), (places + 1.0) / 2.0);
  }
}

}  // namespace
}  // namespace kindling::kernels
