#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/data/synthetic_scenarios.h"
#include "kindling/models/few_shot.h"
#include "kindling/models/few_shot_ranking.h"
#include "kindling/models/s2meta/adapt.h"
#include "kindling/models/s2meta/episodes.h"
#include "tests/models/s2meta_support.h"
#include "tests/support/logged.h"
#include "tests/support/temp_dir.h"

namespace kindling::s2meta {
namespace {

// Users' and items' vectors are their topics, blurred: what a good source would teach.
struct S2MetaWorld {
  ScenarioSet set;
  FrozenVectors vectors;

  S2MetaWorld() {
    const SyntheticScenarios raw = make_synthetic_scenarios({}, 7);
    set =
        build_scenarios(raw.sources(), {.min_items = 10, .min_users = 20, .validation_share = 0.2});
    const Dataset& world = set.world;
    vectors = testing::random_vectors(world.user_count(), world.item_count(), 8);
    for (std::size_t u = 0; u < world.user_count(); ++u) {
      vectors.users(u, synthetic_topic(world.user_ids().name(static_cast<UserId>(u)), 4)) += 2.0F;
    }
    // The meaning of an item's coordinates is shifted: adaptation has something to learn.
    for (std::size_t i = 0; i < world.item_count(); ++i) {
      vectors.items(i, 7 - synthetic_topic(world.item_ids().name(static_cast<ItemId>(i)), 4)) +=
          2.0F;
    }
  }
  FewShotTask task() const { return {&set, &vectors}; }
};

const S2MetaWorld& world() {
  static const S2MetaWorld shared;
  return shared;
}

OptionValues quick(OptionValues more = {}) {
  OptionValues values{{"tasks", "60"},
                      {"validate_every", "30"},
                      {"max_steps", "6"},
                      {"inner_batch", "16"},
                      {"query", "32"}};
  values.insert(values.end(), more.begin(), more.end());
  return values;
}

std::vector<float> fitted(const OptionValues& options, FitContext context = {}) {
  const auto model = make_few_shot("s2meta", options);
  model->fit(world().task(), context);
  return model->state().at(0).values;
}

double recall_after(const FewShotModel& model, bool adapted) {
  std::vector<UserStanding> pooled;
  for (const Scenario& scenario : world().set.meta_test) {
    const auto scorer = adapted ? model.adapt(world().task(), scenario, Rng(3), nullptr)
                                : model.unadapted(world().task(), scenario);
    const auto users = rank_scenario(*scorer, scenario);
    pooled.insert(pooled.end(), users.begin(), users.end());
  }
  return mean_recall(pooled, 5, Ties::kExpectedRank);
}

TEST(S2Meta, LearnsToRankScenariosItHasNotSeen) {
  const auto model = make_few_shot("s2meta", {{"tasks", "600"},
                                              {"validate_every", "200"},
                                              {"start_rate", "0.003"},
                                              {"update_rate", "0.003"}});
  FitContext context;
  model->fit(world().task(), context);
  const auto fresh = make_few_shot(
      "s2meta", {{"tasks", "1"}, {"start_rate", "0"}, {"update_rate", "0"}, {"stop_rate", "0"}});
  FitContext other;
  fresh->fit(world().task(), other);
  const double untrained = recall_after(*fresh, false);
  const double adapted = recall_after(*model, true);
  EXPECT_NEAR(untrained, 5.0 / 40.0, 0.06);  // chance
  EXPECT_GT(adapted, 2.0 * untrained);
  EXPECT_LT(context.history.back().train_loss, context.history.front().train_loss);
}

TEST(S2Meta, SameSeedGivesTheSameParametersWithAnyNumberOfThreads) {
  const int before = threads();
  set_threads(1);
  const auto one = fitted(quick());
  const auto batch_one = fitted(quick({{"meta_batch", "4"}}));
  set_threads(2);
  EXPECT_EQ(fitted(quick()), one);
  EXPECT_EQ(fitted(quick({{"meta_batch", "4"}})), batch_one);
  set_threads(before);
  FitContext other;
  other.seed = 1;
  EXPECT_NE(fitted(quick(), other), one);
}

TEST(S2Meta, AnInterruptedRunEndsWithTheSameParameters) {
  const kindling::testing::TempDir folder;
  const auto whole = fitted(quick());
  FitContext context;
  context.checkpoint = folder.file("ckpt");
  int asked = 0;
  context.should_stop = [&] { return ++asked > 41; };
  EXPECT_THROW(fitted(quick(), context), Error);
  context.should_stop = nullptr;
  context.resume = true;
  EXPECT_EQ(fitted(quick(), context), whole);
}

// No false numbers: neither in the model's facts nor in its curve, nor after a resume.
TEST(S2Meta, WithoutValidationScenariosReportsNoValidation) {
  const kindling::testing::TempDir folder;
  ScenarioSet set = world().set;
  set.validation.clear();
  const auto model = make_few_shot("s2meta", quick());
  FitContext context;
  context.checkpoint = folder.file("ckpt");

  const std::string said = kindling::testing::logged([&] {
    model->fit({&set, &world().vectors}, context);
  });

  EXPECT_NE(said.find("no validation scenarios"), std::string::npos) << said;
  EXPECT_EQ(said.find("recall@"), std::string::npos) << said;
  const Json details = model->details();
  EXPECT_EQ(details["tasks"].get<int>(), 60);
  for (const char* name : {"best_tasks", "validation_recall@10", "validation_recall@20"}) {
    EXPECT_FALSE(details.contains(name)) << name;
  }
  FitContext resumed;
  resumed.checkpoint = context.checkpoint;
  resumed.resume = true;
  make_few_shot("s2meta", quick())->fit({&set, &world().vectors}, resumed);
  ASSERT_EQ(resumed.history.size(), 2U);
  EXPECT_TRUE(std::isnan(resumed.history[1].validation_loss));
  EXPECT_EQ(resumed.history[1].train_loss, context.history[1].train_loss);
}

TEST(S2Meta, ACheckpointOfAnotherRunIsRefused) {
  const kindling::testing::TempDir folder;
  FitContext context;
  context.checkpoint = folder.file("ckpt");
  fitted(quick(), context);
  context.resume = true;
  context.seed = 5;
  EXPECT_THROW(fitted(quick(), context), Error);
}

TEST(S2Meta, TimeLimitKeepsWhatWasLearnt) {
  FitContext context;
  context.max_seconds = 1e-9;
  const auto model = make_few_shot("s2meta", quick());
  model->fit(world().task(), context);
  EXPECT_EQ(model->details()["tasks"].get<int>(), 1);
  EXPECT_EQ(context.history.size(), 1U);
}

TEST(S2Meta, SavedAndRestoredScorersGiveTheSameScores) {
  const auto model = make_few_shot("s2meta", quick({{"network", "hybrid"}}));
  FitContext context;
  model->fit(world().task(), context);
  const auto again = make_few_shot("s2meta", quick({{"network", "hybrid"}}));
  again->load_state(model->state(), model->details());
  const Scenario& scenario = world().set.meta_test.front();
  const std::vector<UserId> users{scenario.evaluation[0].user, scenario.evaluation[1].user};
  const auto scorer = model->adapt(world().task(), scenario, Rng(1), nullptr);
  const auto restored = again->restore(world().vectors, scorer->state());
  const auto anew = again->adapt(world().task(), scenario, Rng(1), nullptr);
  const Matrix wanted = scorer->score(users, scenario.candidates);
  for (const ScenarioScorer* other : {restored.get(), anew.get()}) {
    const Matrix scores = other->score(users, scenario.candidates);
    EXPECT_TRUE(
        std::equal(wanted.data(), wanted.data() + wanted.rows() * wanted.cols(), scores.data()));
  }
}

class S2MetaAblations : public ::testing::TestWithParam<OptionValues> {};

TEST_P(S2MetaAblations, TrainAndAdapt) {
  const auto model = make_few_shot("s2meta", quick(GetParam()));
  FitContext context;
  model->fit(world().task(), context);
  AdaptRecord record;
  const Scenario& scenario = world().set.meta_test.front();
  const auto scorer = model->adapt(world().task(), scenario, Rng(1), &record);
  const std::vector<UserId> users{scenario.evaluation[0].user};
  const Matrix scores = scorer->score(users, scenario.candidates);
  for (std::size_t c = 0; c < scores.cols(); ++c) EXPECT_TRUE(std::isfinite(scores(0, c)));
  EXPECT_GE(record.steps.size(), 4U);
  EXPECT_LE(record.steps.size(), 6U);
}

INSTANTIATE_TEST_SUITE_P(
    All, S2MetaAblations,
    ::testing::Values(OptionValues{{"init", "random"}}, OptionValues{{"update", "fixed"}},
                      OptionValues{{"stop", "fixed"}}, OptionValues{{"optimizer", "sgd"}},
                      OptionValues{{"negatives", "unseen"}, {"stop_rule", "expected"}},
                      OptionValues{{"stop_inputs", "total"},
                                   {"loss_input", "both"},
                                   {"layer_norm", "false"},
                                   {"gradient_clamp", "0"}},
                      OptionValues{{"forget_bias", "input"}, {"schedule", "test"}},
                      OptionValues{{"policy", "stop"}, {"policy_steps", "free"}}));

TEST(S2Meta, RandomStartLeavesTheInitialParametersAlone) {
  const auto untouched = fitted(
      quick({{"tasks", "1"}, {"start_rate", "0"}, {"weight_decay", "0"}, {"init", "random"}}));
  const auto trained = fitted(quick({{"init", "random"}}));
  EXPECT_TRUE(std::equal(trained.begin(), trained.begin() + 288, untouched.begin()));  // 4·(64+8)
  EXPECT_NE(trained, untouched);
}

TEST(S2Meta, TheRecordTellsEveryStep) {
  const auto model = make_few_shot("s2meta", quick({{"stop", "fixed"}}));
  FitContext context;
  model->fit(world().task(), context);
  AdaptRecord record;
  std::vector<std::size_t> watched;
  record.on_step = [&](std::size_t step, const ScenarioScorer&) { watched.push_back(step); };
  model->adapt(world().task(), world().set.meta_test.front(), Rng(1), &record);
  EXPECT_EQ(watched, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6}));
  ASSERT_EQ(record.steps.size(), 6U);
  EXPECT_EQ(record.tensors.size(), 8U);
  EXPECT_EQ(record.tensors[0], "user0.weight");
  EXPECT_FALSE(record.stopped);
  for (const AdaptStep& step : record.steps) {
    ASSERT_EQ(step.input_gates.size(), 8U);
    EXPECT_GT(step.input_gates[0], 0.0);
    EXPECT_LT(step.forget_gates[0], 1.0);
  }
}

// A scenario to break.
struct S2MetaCorner {
  std::unique_ptr<FewShotModel> model = make_few_shot("s2meta", quick());
  FrozenVectors vectors = world().vectors;
  Scenario scenario = world().set.meta_test.front();

  S2MetaCorner() {
    FitContext context;
    model->fit(world().task(), context);
  }
  void adapt(AdaptRecord* record = nullptr) const {
    const FewShotTask task{&world().set, &vectors};
    const auto scorer = model->adapt(task, scenario, Rng(2), record);
    const std::vector<UserId> users{0, 1};
    const Matrix scores = scorer->score(users, scenario.candidates);
    for (std::size_t i = 0; i < scores.rows() * scores.cols(); ++i) {
      ASSERT_TRUE(std::isfinite(scores.data()[i]));
    }
  }
  std::string failure() const {
    try {
      adapt();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kBadInput);
      return error.message();
    }
    return "";
  }
};

TEST(S2MetaCorners, AScenarioOfOneItemIsRefused) {
  S2MetaCorner corner;
  corner.scenario.candidates.resize(1);
  EXPECT_NE(corner.failure().find("1 of 1 candidates"), std::string::npos);
}

TEST(S2MetaCorners, AnEmptySupportIsRefused) {
  S2MetaCorner corner;
  corner.scenario.support.clear();
  EXPECT_NE(corner.failure().find("none of 0 support pairs"), std::string::npos);
}

TEST(S2MetaCorners, SupportUsersWithoutVectorsAreRefused) {
  S2MetaCorner corner;
  corner.vectors.users = Matrix(corner.vectors.users.rows(), 8);
  EXPECT_NE(corner.failure().find("none of 64 support pairs"), std::string::npos);
}

TEST(S2MetaCorners, UnknownIdsAreNamed) {
  S2MetaCorner corner;
  corner.scenario.support[3].user = 9'999'999;
  EXPECT_NE(corner.failure().find("user 9999999 is unknown"), std::string::npos);
  corner.scenario.support[3].user = 0;
  corner.scenario.candidates.back() = 8'888'888;
  EXPECT_NE(corner.failure().find("item 8888888 is unknown"), std::string::npos);
}

TEST(S2MetaCorners, VectorsOfAnotherWidthAreRefused) {
  S2MetaCorner corner;
  corner.vectors = testing::random_vectors(10, 10, 5);
  EXPECT_NE(corner.failure().find("8 dimensions, these have 5"), std::string::npos);
}

TEST(S2MetaCorners, NaNInTheVectorsIsRefused) {
  S2MetaCorner corner;
  corner.vectors.users(corner.scenario.support[0].user, 0) =
      std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(corner.failure().find("not a number"), std::string::npos);
}

TEST(S2MetaCorners, OneSupportPairIsEnough) {
  S2MetaCorner corner;
  corner.scenario.support.resize(1);
  corner.adapt();
}

TEST(S2MetaCorners, AUserWhoHasSeenAllCandidatesGetsAnyOtherItem) {
  S2MetaCorner corner;
  corner.model = make_few_shot("s2meta", quick({{"negatives", "unseen"}}));
  FitContext context;
  corner.model->fit(world().task(), context);
  const UserId user = corner.scenario.support[0].user;
  corner.scenario.support.clear();
  for (const ItemId item : corner.scenario.candidates) {
    corner.scenario.support.push_back({user, item});
  }
  corner.adapt();
}

TEST(S2MetaCorners, HugeStepsAreTakenBackBeforeTheyBreakTheModel) {
  S2MetaCorner corner;
  corner.model =
      make_few_shot("s2meta", quick({{"update", "fixed"}, {"fixed_rate", "1e30"}, {"tasks", "2"}}));
  FitContext context;
  try {
    corner.model->fit(world().task(), context);
    corner.adapt();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kInternal);  // no task had a finite gradient
  }
}

TEST(S2MetaCorners, NoUsableMetaTrainingScenarioIsRefused) {
  S2MetaWorld empty;
  for (Scenario& scenario : empty.set.meta_train) scenario.pairs.resize(1);
  FitContext context;
  EXPECT_THROW(make_few_shot("s2meta", quick())->fit(empty.task(), context), Error);
}

TEST(Episodes, AreTheSameForTheSameNumberAndVisitEveryScenarioOncePerPass) {
  Options options;
  const Episodes episodes(world().set.meta_train, world().vectors, options, Rng(1));
  const Episode a = episodes.draw(3);
  const Episode b = episodes.draw(3);
  EXPECT_EQ(a.support, b.support);
  EXPECT_EQ(a.support.size(), 64U);
  EXPECT_EQ(a.query.count(), 128U);
  std::vector<const void*> seen;
  for (std::size_t i = 0; i < episodes.scenarios(); ++i) {
    seen.push_back(episodes.draw(i).candidates);
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST(Episodes, SmallScenariosGiveHalfOfTheirPairsAndCopies) {
  Scenario small;
  small.name = "small";
  small.candidates = {0, 1, 2, 3};
  small.pairs = {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 0}};
  Options options;
  const Episodes episodes({small}, world().vectors, options, Rng(1));
  const Episode episode = episodes.draw(0);
  ASSERT_EQ(episode.support.size(), 64U);
  std::vector<UserItem> distinct;
  for (const UserItem& pair : episode.support) {
    if (std::find(distinct.begin(), distinct.end(), pair) == distinct.end()) {
      distinct.push_back(pair);
    }
  }
  EXPECT_LE(distinct.size(), 2U);  // half of five
  EXPECT_EQ(episode.query.count(), 128U);
}

}  // namespace
}  // namespace kindling::s2meta
