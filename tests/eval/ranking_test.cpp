#include "kindling/eval/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/eval/metrics.h"
#include "kindling/models/registry.h"
#include "tests/eval/scorers.h"

namespace kindling {
namespace {

using testing::FunctionScorer;
using testing::make_dataset;
using testing::random_dataset;

std::vector<RankingQuery> last_events(const Dataset& data) {
  std::vector<RankingQuery> queries;
  for (UserId user = 0; user < data.user_count(); ++user) {
    const auto history = data.history(user);
    queries.push_back({history.first(history.size() - 1), history.back().item});
  }
  return queries;
}

ItemVectors random_vectors(std::size_t items, std::size_t dim, std::uint64_t seed) {
  Rng rng(seed);
  ItemVectors vectors{Matrix(items, dim), "file", "test"};
  for (std::size_t i = 0; i < items * dim; ++i) {
    vectors.values.data()[i] = static_cast<float>(rng.normal());
  }
  return vectors;
}

TEST(RankTargets, GivesTheMiddleToAConstantScorer) {
  const Dataset data = random_dataset(20, 31, 1);
  const FunctionScorer constant([](auto, ItemId) { return 0.5F; });

  for (const RankedQuery& query : rank_targets(constant, {&data, nullptr}, last_events(data))) {
    EXPECT_DOUBLE_EQ(query.rank, 16.0);  // (31 + 1) / 2
  }
}

TEST(RankTargets, RefusesANaNScorer) {
  const Dataset data = random_dataset(5, 10, 1);
  const FunctionScorer broken(
      [](auto, ItemId item) { return item == 3 ? std::numeric_limits<float>::quiet_NaN() : 1.0F; });

  EXPECT_THROW(rank_targets(broken, {&data, nullptr}, last_events(data)), Error);
}

TEST(RankTargets, GivesARandomScorerItsExpectation) {
  constexpr std::size_t kItems = 200;
  const Dataset data = random_dataset(4000, kItems, 2);
  const auto random = make_model("random", {});
  FitContext context;
  context.seed = 3;
  random->fit({}, context);

  const auto ranks = rank_targets(*random, {&data, nullptr}, last_events(data));

  double recall = 0.0;
  double ndcg = 0.0;
  double ndcg_square = 0.0;
  for (const RankedQuery& query : ranks) {
    recall += recall_at(query.rank, 20);
    ndcg += ndcg_at(query.rank, 20);
    ndcg_square += ndcg_at(query.rank, 20) * ndcg_at(query.rank, 20);
  }
  const auto count = static_cast<double>(ranks.size());
  const double p = random_recall_at(20, kItems);
  EXPECT_NEAR(recall / count, p, 3.0 * std::sqrt(p * (1 - p) / count));
  const double variance = ndcg_square / count - (ndcg / count) * (ndcg / count);
  EXPECT_NEAR(ndcg / count, random_ndcg_at(20, kItems), 3.0 * std::sqrt(variance / count));
}

TEST(RankTargets, LeavesSeenItemsOutOfTheSecondRank) {
  // Scores fall with the id: item 0 is best.
  const FunctionScorer falling([](auto, ItemId item) { return -static_cast<float>(item); });
  const Dataset data = make_dataset(6, {{0, 1, 1, 4}, {2, 3, 2}});

  const auto ranks = rank_targets(falling, {&data, nullptr}, last_events(data));

  EXPECT_EQ(ranks[0], (RankedQuery{5.0, 3.0}));  // items 0 and 1 are seen
  EXPECT_EQ(ranks[1], (RankedQuery{3.0, 3.0}));  // the target is seen itself and stays
}

TEST(RankTargets, AgreesWithBruteForceOnTenThousandQueries) {
  constexpr std::size_t kItems = 40;
  const Dataset data = random_dataset(10000, kItems, 4);
  // Few different scores: many ties.
  const FunctionScorer coarse([](std::span<const Event> history, ItemId item) {
    return static_cast<float>((item * 7 + history.size() * 13) % 9);
  });
  const auto queries = last_events(data);

  const auto ranks = rank_targets(coarse, {&data, nullptr}, queries);

  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto value = [&](ItemId item) { return (item * 7 + queries[q].history.size() * 13) % 9; };
    double all = 1.0;
    double unseen = 1.0;
    for (ItemId item = 0; item < kItems; ++item) {
      if (item == queries[q].target) continue;
      const auto mine = value(queries[q].target);
      const double place = value(item) > mine ? 1.0 : value(item) == mine ? 0.5 : 0.0;
      all += place;
      const bool seen = std::any_of(queries[q].history.begin(), queries[q].history.end(),
                                    [&](const Event& event) { return event.item == item; });
      if (!seen) unseen += place;
    }
    ASSERT_EQ(ranks[q], (RankedQuery{all, unseen})) << "query " << q;
  }
}

TEST(RankTargets, DoesNotDependOnBlocksThreadsOrOrder) {
  const Dataset data = random_dataset(150, 90, 5);
  const ItemVectors vectors = random_vectors(90, 12, 6);
  const Domain domain{&data, &vectors};
  for (const char* name : {"random", "embknn"}) {
    const auto model = make_model(name, {});
    FitContext context;
    model->fit({}, context);
    const auto queries = last_events(data);
    const auto expected = rank_targets(*model, domain, queries);

    EXPECT_EQ(rank_targets(*model, domain, queries, {.vector_block = 7, .score_block = 1}),
              expected);
    set_threads(1);
    EXPECT_EQ(rank_targets(*model, domain, queries), expected);
    set_threads(2);
    std::vector<RankingQuery> reversed(queries.rbegin(), queries.rend());
    auto backwards = rank_targets(*model, domain, reversed);
    std::reverse(backwards.begin(), backwards.end());
    EXPECT_EQ(backwards, expected);
  }
}

// A model that hides that its scores are dot products.
class Hidden : public Recommender {
 public:
  explicit Hidden(const Recommender& model) : model_(model) {}
  void fit(const TrainTask&, FitContext&) override {}
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return model_.score(domain, queries, candidates);
  }
  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json&) override {}

 private:
  const Recommender& model_;
};

TEST(RankTargets, GivesTheSameByVectorsAndByScores) {
  const Dataset data = random_dataset(100, 120, 7);
  const ItemVectors vectors = random_vectors(120, 33, 8);
  const auto model = make_model("embknn", {});
  const Domain domain{&data, &vectors};

  EXPECT_EQ(rank_targets(*model, domain, last_events(data)),
            rank_targets(Hidden(*model), domain, last_events(data)));
}

TEST(Recommend, ListsUnseenItemsBestFirst) {
  const FunctionScorer falling([](auto, ItemId item) { return -static_cast<float>(item / 2); });
  const Dataset data = make_dataset(6, {{1, 2}});

  const auto list = recommend(falling, {&data, nullptr}, data.history(0), 3);

  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].item, 0U);
  EXPECT_EQ(list[1].item, 3U);
  EXPECT_EQ(list[2].item, 4U);  // 4 and 5 tie: the smaller id
  EXPECT_EQ(recommend(falling, {&data, nullptr}, data.history(0), 99).size(), 4U);
  EXPECT_EQ(recommend(falling, {&data, nullptr}, data.history(0), 3, true)[1].item, 1U);
}

}  // namespace
}  // namespace kindling
