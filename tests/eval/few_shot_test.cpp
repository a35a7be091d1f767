#include "kindling/eval/few_shot.h"

#include <limits>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "tests/support/few_shot_world.h"

namespace kindling {
namespace {

// Scores by a function of the item and a stream of the scenario.
class FunctionModel : public FewShotModel {
 public:
  using Function = std::function<float(const Scenario&, ItemId, Rng&)>;
  explicit FunctionModel(Function function) : function_(std::move(function)) {}

  void fit(const FewShotTask&, FitContext&) override {}
  std::unique_ptr<ScenarioScorer> adapt(const FewShotTask&, const Scenario& scenario,
                                        const Rng& rng, AdaptRecord*) const override {
    return std::make_unique<Scorer>(function_, scenario, rng);
  }
  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json&) override {}

 private:
  class Scorer : public ScenarioScorer {
   public:
    Scorer(const Function& function, const Scenario& scenario, const Rng& rng)
        : function_(function), scenario_(scenario), rng_(rng) {}
    Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
      Matrix all(users.size(), items.size());
      for (std::size_t u = 0; u < users.size(); ++u) {
        Rng rng = rng_.fork("user", users[u]);
        for (std::size_t c = 0; c < items.size(); ++c) {
          all(u, c) = function_(scenario_, items[c], rng);
        }
      }
      return all;
    }

   private:
    const Function& function_;
    const Scenario& scenario_;
    Rng rng_;
  };
  Function function_;
};

FewShotResult evaluate_with(const FunctionModel::Function& function,
                            const FewShotEvaluation& options = {}) {
  const ScenarioSet set = testing::small_scenarios();
  const FrozenVectors vectors = testing::topic_vectors(set);
  const FunctionModel model(function);
  return evaluate_few_shot(model, {&set, &vectors}, set.meta_test, options);
}

TEST(FewShotEvaluation, RandomScorerGetsWhatChanceGives) {
  const auto result =
      evaluate_with([](const Scenario&, ItemId, Rng& rng) { return rng.uniform(); });

  double chance = 0.0;
  double users = 0.0;
  for (const ScenarioResult& one : result.scenarios) {
    chance += 10.0 / static_cast<double>(one.candidates) * static_cast<double>(one.users.size());
    users += static_cast<double>(one.users.size());
  }
  EXPECT_NEAR(result.pooled("recall@10"), chance / users, 0.05);
}

TEST(FewShotEvaluation, ConstantScorerFindsNothingInTheFirstTen) {
  const auto constant = [](const Scenario&, ItemId, Rng&) { return 1.0F; };

  EXPECT_EQ(evaluate_with(constant).pooled("recall@10"), 0.0);
  FewShotEvaluation compat;
  compat.ties = Ties::kPositivesFirst;
  EXPECT_EQ(evaluate_with(constant, compat).pooled("recall@10"), 1.0);
}

TEST(FewShotEvaluation, NanScorerIsAnError) {
  EXPECT_THROW(evaluate_with([](const Scenario&, ItemId, Rng&) {
                 return std::numeric_limits<float>::quiet_NaN();
               }),
               Error);
}

TEST(FewShotEvaluation, CountsScenariosBelowItemPop) {
  const auto result = evaluate_with([](const Scenario& scenario, ItemId item, Rng&) {
    float count = 0.0F;  // ItemPop upside down
    for (const UserItem& pair : scenario.support) count -= pair.item == item ? 1.0F : 0.0F;
    return count;
  });

  EXPECT_GT(result.below_itempop(), 0.8);
  EXPECT_EQ(result.below_unadapted(), 0.0);
  const Json document = result.to_json();
  EXPECT_EQ(document["scenario_count"], 6);
  EXPECT_GT(document["candidates"].get<double>(), 1.0);
  std::size_t sliced = 0;
  for (const auto& [name, slice] : document["slices"].items()) {
    if (name.starts_with("history")) sliced += slice["queries"].get<std::size_t>();
  }
  EXPECT_EQ(document["queries"].get<std::size_t>(), sliced);
  EXPECT_FALSE(document.contains("below_unadapted"));
  EXPECT_TRUE(document["metrics"].contains("recall@50"));
}

TEST(FewShotEvaluation, SlicesByHistoryAndByCandidates) {
  FewShotResult result;
  const UserStanding hit{0, {{0.0, 0.0, 0.0}}};
  const UserStanding miss{1, {{99.0, 0.0, 0.0}}};
  result.scenarios.resize(2);
  result.scenarios[0].candidates = 20;
  result.scenarios[0].users = {hit, miss};
  result.scenarios[0].histories = {3, 0};
  result.scenarios[1].candidates = 120;
  result.scenarios[1].users = {miss};
  result.scenarios[1].histories = {4};

  const Json slices = result.slices();

  std::vector<std::string> names;
  for (const auto& [name, slice] : slices.items()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"history 0", "history 3-4", "candidates 1-49",
                                             "candidates 100-499"}));
  EXPECT_EQ(slices["history 3-4"]["queries"], 2);
  EXPECT_DOUBLE_EQ(slices["history 3-4"]["metrics"]["recall@10"].get<double>(), 0.5);
  EXPECT_DOUBLE_EQ(slices["candidates 100-499"]["metrics"]["hr@50"].get<double>(), 0.0);
}

TEST(FewShotEvaluation, PooledWeighsUsersAndMacroScenarios) {
  FewShotResult result;
  const UserStanding hit{0, {{0.0, 0.0, 0.0}}};
  const UserStanding miss{1, {{99.0, 0.0, 0.0}}};
  result.scenarios.resize(2);
  result.scenarios[0].users = {hit};
  result.scenarios[1].users = {miss, miss, miss};

  EXPECT_DOUBLE_EQ(result.pooled("recall@10"), 0.25);
  EXPECT_DOUBLE_EQ(result.macro("hr@10"), 0.5);
  EXPECT_THROW(result.pooled("precision@10"), Error);
}

TEST(FewShotEvaluation, ThreadsDoNotChangeTheResult) {
  const auto random = [](const Scenario&, ItemId, Rng& rng) { return rng.uniform(); };
  set_threads(1);
  const auto one = evaluate_with(random).values("ndcg@10");
  set_threads(2);
  const auto two = evaluate_with(random).values("ndcg@10");

  EXPECT_EQ(one, two);
}

}  // namespace
}  // namespace kindling
