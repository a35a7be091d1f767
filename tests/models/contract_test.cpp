// What every registered model promises. A new model is held to all of it by its registration line.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/split.h"
#include "kindling/data/synthetic.h"
#include "kindling/kernels/rank_count.h"
#include "kindling/models/registry.h"
#include "kindling/models/store.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

bool has_option(const ModelInfo& info, const char* name) {
  const auto options = info.describe();
  return std::any_of(options.begin(), options.end(),
                     [&](const OptionInfo& option) { return option.name == name; });
}

// Small options, so that training takes well under a second.
OptionValues small_options(const ModelInfo& info) {
  OptionValues values;
  const auto set = [&](const char* name, const char* value) {
    for (const OptionInfo& option : info.describe()) {
      if (option.name == name) values.emplace_back(name, value);
    }
  };
  set("dim", "24");
  set("epochs", has_option(info, "init_sd") ? "40" : "6");
  set("batch_size", "64");
  set("map_epochs", "20");
  set("merge_steps", "150");
  set("iterations", "100");
  set("net_epochs", "12");
  set("net_batch", "32");
  set("net_learning_rate", "0.01");
  // RecGURU counts steps.
  set("pretrain_steps", "20");
  set("warmup", "10");
  set("adversarial_steps", "5");
  set("finetune_steps", "100");
  set("finetune_rate", "5e-3");
  if (has_option(info, "finetune_steps")) {
    set("layers", "1");
    set("hidden", "32");
    set("dropout", "0.1");
    set("embedding_scale", "0.1");
  }
  if (has_option(info, "mask_share")) {
    // BERT's first weights suit wide networks and long training.
    values = {{"dim", "24"},       {"epochs", "40"}, {"batch_size", "64"},
              {"start_sd", "0.2"}, {"warmup", "5"},  {"learning_rate", "0.005"},
              {"layers", "1"}};
  }
  return values;
}

class ModelContract : public ::testing::TestWithParam<ModelInfo> {
 protected:
  // One world for all cases: making it costs more than using it. Users mostly stay with a topic:
  // where they mostly move on, kNN over the whole history is worse than chance, as it should be.
  static void SetUpTestSuite() {
    world_ = new SyntheticWorld(make_synthetic_world(
        {.users = 250, .shared_users = 120, .items = 90, .stay = 0.6, .advance = 0.3}, 11));
    split_ = new TargetSplit(split_leave_last_out(world_->target.data));
  }
  static void TearDownTestSuite() {
    delete split_;
    delete world_;
  }

  static Domain source() { return {&world_->source.data, &world_->source.vectors}; }
  static Domain target() { return {&world_->target.data, &world_->target.vectors}; }

  static TrainTask whole_task() {
    TrainTask task;
    task.source = source();
    task.target_train = Domain{&split_->train, &world_->target.vectors};
    return task;
  }

  static std::unique_ptr<Recommender> fitted(std::uint64_t seed = 1) {
    auto model = GetParam().make(small_options(GetParam()));
    FitContext context;
    context.seed = seed;
    model->fit(whole_task(), context);
    return model;
  }

  // The context of the first `count` tests, and all items.
  static std::vector<Query> queries(std::size_t count) {
    std::vector<Query> all;
    for (std::size_t t = 0; t < std::min(count, split_->tests.size()); ++t) {
      const TestEvent& test = split_->tests[t];
      all.push_back({world_->target.data.history(test.user).first(test.position), test.user});
    }
    return all;
  }
  static std::vector<ItemId> all_items() {
    std::vector<ItemId> items(world_->target.data.item_count());
    std::iota(items.begin(), items.end(), 0U);
    return items;
  }

  static void expect_equal(const Matrix& a, const Matrix& b, float tolerance = 0.0F) {
    ASSERT_EQ(a.rows(), b.rows());
    ASSERT_EQ(a.cols(), b.cols());
    for (std::size_t i = 0; i < a.rows() * a.cols(); ++i) {
      ASSERT_NEAR(a.data()[i], b.data()[i], tolerance * (1.0F + std::fabs(a.data()[i]))) << i;
    }
  }

  static bool equal_scores(const Matrix& a, const Matrix& b) {
    return std::equal(a.data(), a.data() + a.rows() * a.cols(), b.data());
  }

  static SyntheticWorld* world_;
  static TargetSplit* split_;
};

SyntheticWorld* ModelContract::world_ = nullptr;
TargetSplit* ModelContract::split_ = nullptr;

TEST_P(ModelContract, SameSeedGivesSameScores) {
  const auto one = fitted();
  const auto two = fitted();

  expect_equal(one->score(target(), queries(20), all_items()),
               two->score(target(), queries(20), all_items()));
}

TEST_P(ModelContract, ScoresAreFiniteWithARowPerQueryAndAColumnPerCandidate) {
  const std::vector<ItemId> candidates = {4, 0, 17};

  const Matrix scores = fitted()->score(target(), queries(5), candidates);

  ASSERT_EQ(scores.rows(), 5U);
  ASSERT_EQ(scores.cols(), 3U);
  for (std::size_t i = 0; i < 15; ++i) EXPECT_TRUE(std::isfinite(scores.data()[i]));
}

TEST_P(ModelContract, AnswersNoQueriesAndNoCandidates) {
  const auto model = fitted();

  EXPECT_EQ(model->score(target(), {}, all_items()).rows(), 0U);
  EXPECT_EQ(model->score(target(), queries(3), {}).cols(), 0U);
}

TEST_P(ModelContract, AnswersAnEmptyHistory) {
  const std::vector<Query> empty = {Query{}};

  const Matrix scores = fitted()->score(target(), empty, all_items());

  ASSERT_EQ(scores.rows(), 1U);
  for (std::size_t j = 0; j < scores.cols(); ++j) EXPECT_TRUE(std::isfinite(scores(0, j)));
}

TEST_P(ModelContract, AnswersAUserItHasNeverSeen) {
  const std::vector<Event> history = {{.item = 3, .value = 1, .time = 1'600'000'000}};
  const std::vector<Query> unknown = {{history}, {history, UserId{100'000}}};

  const Matrix scores = fitted()->score(target(), unknown, all_items());

  for (std::size_t j = 0; j < scores.cols(); ++j) EXPECT_TRUE(std::isfinite(scores(0, j)));
}

TEST_P(ModelContract, OneQueryAtATimeEqualsManyAtOnce) {
  const auto model = fitted();
  const std::vector<Query> many = queries(64);
  const Matrix together = model->score(target(), many, all_items());

  for (const std::size_t q : {std::size_t{0}, std::size_t{9}, many.size() - 1}) {
    const Matrix alone = model->score(target(), std::span(many).subspan(q, 1), all_items());
    for (std::size_t j = 0; j < alone.cols(); ++j) {
      ASSERT_NEAR(alone(0, j), together(q, j), 1e-4F * (1.0F + std::fabs(alone(0, j))));
    }
  }
}

TEST_P(ModelContract, CandidatesDoNotChangeEachOthersScores) {
  const auto model = fitted();
  const std::vector<ItemId> some = {7, 3, 50};

  const Matrix part = model->score(target(), queries(4), some);
  const Matrix whole = model->score(target(), queries(4), all_items());

  for (std::size_t q = 0; q < 4; ++q) {
    for (std::size_t c = 0; c < some.size(); ++c) {
      EXPECT_NEAR(part(q, c), whole(q, some[c]), 1e-5F * (1.0F + std::fabs(part(q, c))));
    }
  }
}

TEST_P(ModelContract, SavedAndLoadedItGivesEqualScores) {
  const testing::TempDir folder;
  const auto model = fitted();
  ModelRecord record;
  record.model = GetParam().name;
  record.options = small_options(GetParam());
  record.details = model->details();
  record.version = "test";
  save_model(*model, record, folder.file("model"));

  const LoadedModel loaded = load_model(folder.file("model"));

  expect_equal(model->score(target(), queries(20), all_items()),
               loaded.model->score(target(), queries(20), all_items()));
}

// What early stopping relies on: from inside fit(), the model answers with its present parameters.
TEST_P(ModelContract, CanBeValidatedWhileItLearns) {
  auto model = GetParam().make(small_options(GetParam()));
  FitContext context;
  std::vector<Matrix> asked;
  const auto present_scores = [&](const Recommender& present) {
    Matrix scores = present.score(target(), queries(3), all_items());
    for (std::size_t i = 0; i < scores.rows() * scores.cols(); ++i) {
      EXPECT_TRUE(std::isfinite(scores.data()[i]));
    }
    return scores;
  };
  context.validate = [&](const Recommender& present) {
    asked.push_back(present_scores(present));
    return 1.0 / static_cast<double>(asked.size());  // every state is worse than the one before
  };

  model->fit(whole_task(), context);

  EXPECT_EQ(!asked.empty(), GetParam().asks_validation);
  if (asked.empty()) return;
  // It ends in a state that it asked about, and went on from it in vain.
  const Matrix kept = present_scores(*model);
  std::size_t place = 0;
  while (place < asked.size() && !equal_scores(asked[place], kept)) ++place;
  EXPECT_LT(place + 1, asked.size());
}

TEST_P(ModelContract, RefusesAnUnknownOption) {
  try {
    GetParam().make({{"no_such_option", "1"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
    EXPECT_NE(error.message().find("no_such_option"), std::string::npos);
  }
}

TEST_P(ModelContract, DescribesEveryOptionAndTakesItsOwnDefaults) {
  OptionValues defaults;
  for (const OptionInfo& option : GetParam().describe()) {
    EXPECT_FALSE(option.description.empty()) << option.name;
    defaults.emplace_back(option.name, options_detail::text_of(option.value));
  }

  EXPECT_NE(GetParam().make(defaults), nullptr);
}

TEST_P(ModelContract, IsBetterThanRandom) {
  if (std::string(GetParam().name) == "random") GTEST_SKIP() << "it is Random";
  const auto model = fitted();
  const auto all = queries(split_->tests.size());

  const Matrix scores = model->score(target(), all, all_items());

  double hits = 0.0;
  for (std::size_t q = 0; q < all.size(); ++q) {
    const TestEvent& test = split_->tests[q];
    const ItemId truth = world_->target.data.history(test.user)[test.position].item;
    const auto count = kernels::rank_count(scores.row(q).data(), scores.cols(), truth);
    if (kernels::expected_rank(count) <= 20.0) hits += 1.0;
  }
  const double chance = 20.0 / static_cast<double>(scores.cols());
  EXPECT_GT(hits / static_cast<double>(all.size()), 1.15 * chance);
}

TEST_P(ModelContract, SaysWhatTheTaskLacks) {
  FitContext context;
  const auto expect_unsupported = [&](const TrainTask& task) {
    try {
      GetParam().make(small_options(GetParam()))->fit(task, context);
      FAIL() << "fit() took a task that lacks what it needs";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kUnsupported) << error.what();
      EXPECT_NE(error.message().find(GetParam().name), std::string::npos) << error.what();
    }
  };
  if (GetParam().needs_source) {
    TrainTask task = whole_task();
    task.source.reset();
    expect_unsupported(task);
  }
  if (GetParam().needs_target_train) {
    TrainTask task = whole_task();
    task.target_train.reset();
    expect_unsupported(task);
  }
  if (GetParam().needs_source && GetParam().needs_text) {
    TrainTask task = whole_task();
    task.source->vectors = nullptr;
    expect_unsupported(task);
  }
}

TEST_P(ModelContract, SaysThatADomainHasNoVectors) {
  if (!GetParam().needs_text) GTEST_SKIP() << "reads no item vectors";
  try {
    fitted()->score({&world_->target.data, nullptr}, queries(1), all_items());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
  }
}

INSTANTIATE_TEST_SUITE_P(AllModels, ModelContract,
                         ::testing::ValuesIn(all_models().begin(), all_models().end()),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace kindling
