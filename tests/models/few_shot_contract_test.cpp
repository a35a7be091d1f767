// What every few-shot model must do: a new line in the table of few_shot.cpp is held to all of it.
#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/few_shot_ranking.h"
#include "kindling/models/few_shot_store.h"
#include "tests/support/few_shot_world.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

// Small sizes, no grid: a suite of seconds. A model without an entry runs with its defaults.
OptionValues quick_options(const std::string& model) {
  static const std::map<std::string, OptionValues> kOptions = {
      {"neumf", {{"epochs", "30"}, {"negatives", "2"}, {"learning_rate", "0.005"}}},
      {"cdcf", {{"grid", "false"}, {"steps", "30"}}},
      {"libmf", {{"grid", "false"}, {"l2", "0.01"}, {"steps", "30"}}},
      {"emcdr", {{"grid", "false"}, {"steps", "200"}}},
      {"conet", {{"grid", "false"}, {"steps", "300"}, {"cross_l1", "0.001"}}},
      {"s2meta", {{"tasks", "300"}}},
  };
  const auto found = kOptions.find(model);
  OptionValues known;
  if (found == kOptions.end()) return known;
  const auto options = find_few_shot(model).describe();
  for (const auto& [name, value] : found->second) {
    const bool exists = std::any_of(options.begin(), options.end(),
                                    [&wanted = name](const auto& o) { return o.name == wanted; });
    if (exists) known.emplace_back(name, value);
  }
  return known;
}

class FewShotContract : public ::testing::TestWithParam<FewShotInfo> {
 protected:
  static void SetUpTestSuite() {
    SyntheticScenarioOptions world;
    world.shared_users = 160;
    world.target_users = 120;
    world.train_scenarios = 8;
    world.test_scenarios = 3;
    world.scenario_items = 32;
    set_ = new ScenarioSet(testing::small_scenarios(5, world));
    vectors_ = new FrozenVectors(testing::topic_vectors(*set_));
  }
  static void TearDownTestSuite() {
    delete set_;
    delete vectors_;
  }

  static FewShotTask task() { return {set_, vectors_}; }
  static const Scenario& scenario() { return set_->meta_test.front(); }

  // Fitted once a model and seed: the suite only asks const questions.
  static const FewShotModel& fitted(std::uint64_t seed = 1) {
    static std::map<std::pair<std::string, std::uint64_t>, std::unique_ptr<FewShotModel>> models;
    auto& model = models[{GetParam().name, seed}];
    if (!model) model = fit(seed);
    return *model;
  }
  static std::unique_ptr<FewShotModel> fit(std::uint64_t seed) {
    auto model = GetParam().make(quick_options(GetParam().name));
    FitContext context;
    context.seed = seed;
    model->fit(task(), context);
    return model;
  }
  static std::vector<UserId> users() {
    std::set<UserId> all;
    for (const UserItem& pair : scenario().evaluation) all.insert(pair.user);
    return {all.begin(), all.end()};
  }
  static Matrix scores_of(const FewShotModel& model, const Scenario& of) {
    return model.adapt(task(), of, Rng(9), nullptr)->score(users(), of.candidates);
  }

  static ScenarioSet* set_;
  static FrozenVectors* vectors_;
};

ScenarioSet* FewShotContract::set_ = nullptr;
FrozenVectors* FewShotContract::vectors_ = nullptr;

void expect_same(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  for (std::size_t r = 0; r < a.rows(); ++r) {
    for (std::size_t c = 0; c < a.cols(); ++c) ASSERT_EQ(a(r, c), b(r, c)) << r << ", " << c;
  }
}

TEST_P(FewShotContract, ScoresAreFiniteOneRowAUserOneColumnACandidate) {
  const Matrix scores = scores_of(fitted(), scenario());

  EXPECT_EQ(scores.rows(), users().size());
  EXPECT_EQ(scores.cols(), scenario().candidates.size());
  for (std::size_t r = 0; r < scores.rows(); ++r) {
    for (const float score : scores.row(r)) ASSERT_TRUE(std::isfinite(score));
  }
}

TEST_P(FewShotContract, SameSeedGivesSameScores) {
  expect_same(scores_of(fitted(), scenario()), scores_of(*fit(1), scenario()));
}

TEST_P(FewShotContract, UsersAndCandidatesDoNotChangeEachOthersScores) {
  const auto scorer = fitted().adapt(task(), scenario(), Rng(9), nullptr);
  const auto all = users();
  const Matrix whole = scorer->score(all, scenario().candidates);
  const std::vector<UserId> one = {all[1]};
  const std::vector<ItemId> some = {scenario().candidates[4], scenario().candidates[2]};

  const Matrix part = scorer->score(one, some);

  EXPECT_NEAR(part(0, 0), whole(1, 4), 1e-4F * (1.0F + std::fabs(whole(1, 4))));
  EXPECT_NEAR(part(0, 1), whole(1, 2), 1e-4F * (1.0F + std::fabs(whole(1, 2))));
}

TEST_P(FewShotContract, NeverReadsWhatEvaluationUsersChose) {
  Scenario other = scenario();
  for (UserItem& pair : other.evaluation) pair.item = other.candidates[pair.user % 3];

  expect_same(scores_of(fitted(), scenario()), scores_of(fitted(), other));
}

TEST_P(FewShotContract, IsBetterThanRandom) {
  double recall = 0.0;
  double chance = 0.0;
  for (const Scenario& one : set_->meta_test) {
    const auto scorer = fitted().adapt(task(), one, Rng(9), nullptr);
    recall += mean_recall(rank_scenario(*scorer, one), 10, Ties::kMeanOverOrders);
    chance += 10.0 / static_cast<double>(one.candidates.size());
  }
  EXPECT_GT(recall, 1.1 * chance);
}

TEST_P(FewShotContract, SavedAndLoadedItGivesEqualScores) {
  const testing::TempDir dir;
  ModelRecord record;
  record.model = GetParam().name;
  record.options = effective_options(GetParam().describe(), quick_options(GetParam().name));
  record.details = fitted().details();
  save_few_shot(fitted(), record, task(), dir.file("model"), false);

  const LoadedFewShot loaded = load_few_shot(dir.file("model"));

  EXPECT_EQ(loaded.set.source_items, set_->source_items);
  const auto scorer = loaded.model->adapt(loaded.task(), scenario(), Rng(9), nullptr);
  expect_same(scores_of(fitted(), scenario()), scorer->score(users(), scenario().candidates));
}

TEST_P(FewShotContract, AnAdaptedOneIsSavedOrSaysThatItCannotBe) {
  const testing::TempDir dir;
  ModelRecord record;
  record.model = GetParam().name;
  record.options = effective_options(GetParam().describe(), quick_options(GetParam().name));
  record.details = fitted().details();
  const auto scorer = fitted().adapt(task(), scenario(), Rng(9), nullptr);
  try {
    save_adapted(*scorer, record, task(), scenario(), Json::object(), dir.file("adapted"), false);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
    return;
  }

  const LoadedAdapted loaded = load_adapted(dir.file("adapted"));

  std::vector<ItemId> places(scenario().candidates.size());
  for (ItemId c = 0; c < places.size(); ++c) places[c] = c;
  expect_same(scorer->score(users(), scenario().candidates), loaded.scorer->score(users(), places));
}

TEST_P(FewShotContract, RefusesAScenarioThatAllowsNoStep) {
  if (std::string(GetParam().name) == "itempop" || std::string(GetParam().name) == "neumf") {
    GTEST_SKIP() << "takes no step in a scenario";
  }
  Scenario empty = scenario();
  empty.support.clear();
  EXPECT_THROW(fitted().adapt(task(), empty, Rng(9), nullptr), Error);
  Scenario lonely = scenario();
  lonely.candidates.resize(1);
  lonely.support = {{lonely.support[0].user, lonely.candidates[0]}};
  EXPECT_THROW(fitted().adapt(task(), lonely, Rng(9), nullptr), Error);
}

TEST_P(FewShotContract, RefusesAnUnknownOption) {
  EXPECT_THROW(GetParam().make({{"no_such_option", "1"}}), Error);
}

TEST_P(FewShotContract, DescribesEveryOptionAndTakesItsOwnDefaults) {
  for (const OptionInfo& option : GetParam().describe()) {
    EXPECT_FALSE(option.description.empty()) << option.name;
  }
  EXPECT_NE(GetParam().make(effective_options(GetParam().describe(), {})), nullptr);
}

INSTANTIATE_TEST_SUITE_P(AllFewShotModels, FewShotContract,
                         ::testing::ValuesIn(few_shot_models().begin(), few_shot_models().end()),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace kindling
