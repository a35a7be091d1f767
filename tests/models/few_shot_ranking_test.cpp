#include "kindling/models/few_shot_ranking.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

class ByItem : public ScenarioScorer {
 public:
  explicit ByItem(std::vector<float> scores) : scores_(std::move(scores)) {}
  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    Matrix all(users.size(), items.size());
    for (std::size_t u = 0; u < users.size(); ++u) {
      for (std::size_t c = 0; c < items.size(); ++c) all(u, c) = scores_[items[c]];
    }
    return all;
  }

 private:
  std::vector<float> scores_;
};

Scenario five_items(std::vector<UserItem> evaluation) {
  Scenario scenario;
  scenario.name = "five";
  scenario.candidates = {0, 1, 2, 3, 4};
  scenario.evaluation = std::move(evaluation);
  return scenario;
}

UserStanding only_user(std::vector<float> scores, std::vector<UserItem> evaluation) {
  const auto users = rank_scenario(ByItem(std::move(scores)), five_items(std::move(evaluation)));
  EXPECT_EQ(users.size(), 1U);
  return users.at(0);
}

TEST(ScenarioRanking, RecallDividesByAllPositivesOfTheUser) {
  const auto user = only_user({5, 4, 3, 2, 1}, {{7, 0}, {7, 2}, {7, 4}});

  EXPECT_DOUBLE_EQ(recall_of(user, 1, Ties::kExpectedRank), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(recall_of(user, 3, Ties::kExpectedRank), 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(hit_of(user, 1, Ties::kExpectedRank), 1.0);
}

TEST(ScenarioRanking, NdcgIsTheGainOverTheIdealOrder) {
  const auto user = only_user({5, 4, 3, 2, 1}, {{7, 0}, {7, 2}});

  const double ideal = 1.0 + 1.0 / std::log2(3.0);
  EXPECT_NEAR(ndcg_of(user, 3, Ties::kExpectedRank), (1.0 + 0.5) / ideal, 1e-12);
}

TEST(ScenarioRanking, ConstantScorerLooksPerfectUnderCompatOnly) {
  const auto user = only_user({1, 1, 1, 1, 1}, {{7, 3}});

  EXPECT_DOUBLE_EQ(recall_of(user, 2, Ties::kExpectedRank), 0.0);  // rank 3
  EXPECT_DOUBLE_EQ(recall_of(user, 3, Ties::kExpectedRank), 1.0);
  EXPECT_DOUBLE_EQ(recall_of(user, 2, Ties::kMeanOverOrders), 0.4);
  EXPECT_DOUBLE_EQ(recall_of(user, 1, Ties::kPositivesFirst), 1.0);
}

TEST(ScenarioRanking, MeanOverOrdersCountsEveryOrderOfTheEqual) {
  // Item 0 alone is first; items 1 to 4 tie, two of them are positive.
  const auto user = only_user({9, 1, 1, 1, 1}, {{7, 1}, {7, 2}});

  EXPECT_DOUBLE_EQ(recall_of(user, 3, Ties::kMeanOverOrders), 0.5);  // 2 of 4 places
  // Both on the last two places: 1 of 6 choices.
  EXPECT_NEAR(hit_of(user, 3, Ties::kMeanOverOrders), 5.0 / 6.0, 1e-12);
  const double gain = 2.0 * (1.0 / std::log2(3.0) + 1.0 / std::log2(4.0)) / 4.0;
  EXPECT_NEAR(ndcg_of(user, 3, Ties::kMeanOverOrders), gain / (1.0 + 1.0 / std::log2(3.0)), 1e-12);
}

TEST(ScenarioRanking, NanScoreIsAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(rank_scenario(ByItem({1, 2, nan, 4, 5}), five_items({{7, 0}})), Error);
}

TEST(ScenarioRanking, LeavesOutUsersWithoutAnotherCandidate) {
  const auto users =
      rank_scenario(ByItem({1, 2, 3, 4, 5}),
                    five_items({{7, 0}, {7, 1}, {7, 2}, {7, 3}, {7, 4}, {8, 0}, {8, 0}}));

  ASSERT_EQ(users.size(), 1U);
  EXPECT_EQ(users[0].user, 8U);
  EXPECT_EQ(users[0].positives.size(), 1U);  // a repeated pair counts once
}

TEST(ScenarioRanking, KnowsTheNamesOfTies) {
  EXPECT_EQ(parse_ties("mean"), Ties::kMeanOverOrders);
  EXPECT_THROW(parse_ties("best"), Error);
}

TEST(FewShotTable, FindsModelsByNameAndSaysWhatThereIs) {
  EXPECT_TRUE(is_few_shot_model("itempop"));
  EXPECT_FALSE(is_few_shot_model("pop"));
  try {
    find_few_shot("itemspop");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
    EXPECT_NE(error.hint().find("itempop"), std::string::npos);
  }
}

}  // namespace
}  // namespace kindling
