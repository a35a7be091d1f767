#include "kindling/kernels/topk.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

TEST(TopK, ListsTheBestFirstAndTiesByTheSmallerId) {
  const std::vector<float> scores{1.0F, 3.0F, 2.0F, 3.0F, 2.0F};

  const std::vector<Scored> best = topk(scores.data(), scores.size(), 4);

  EXPECT_EQ(best, (std::vector<Scored>{{3.0F, 1}, {3.0F, 3}, {2.0F, 2}, {2.0F, 4}}));
}

TEST(TopK, GivesEverythingWhenKIsLarger) {
  const std::vector<float> scores{1.0F, 2.0F};

  EXPECT_EQ(topk(scores.data(), 2, 10).size(), 2U);
  EXPECT_TRUE(topk(scores.data(), 2, 0).empty());
}

TEST(TopK, DoesNotDependOnTheOrderOfOffers) {
  TopK forward(2);
  TopK backward(2);
  for (std::uint32_t item = 0; item < 5; ++item) forward.offer(1.0F, item);
  for (std::uint32_t item = 5; item > 0; --item) backward.offer(1.0F, item - 1);

  EXPECT_EQ(forward.sorted(), backward.sorted());
}

TEST(TopK, RefusesScoresThatAreNotFinite) {
  const std::vector<float> bad{1.0F, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<float> low{1.0F, -std::numeric_limits<float>::infinity()};

  EXPECT_THROW(topk(bad.data(), 2, 1), Error);
  EXPECT_THROW(topk(low.data(), 2, 1), Error);
}

TEST(TopK, AgreesWithAFullSort) {
  Rng rng(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<float> scores(1 + rng.below(200));
    for (auto& score : scores) score = static_cast<float>(rng.below(30));
    const std::size_t k = rng.below(25);
    ASSERT_EQ(topk(scores.data(), scores.size(), k),
              topk_reference(scores.data(), scores.size(), k));
  }
}

}  // namespace
}  // namespace kindling::kernels
