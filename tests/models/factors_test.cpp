#include "kindling/models/factors.h"

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

Dataset tiny(const std::vector<std::vector<int>>& histories, int items,
             const std::string& prefix = "u") {
  DatasetBuilder builder(false);
  for (int j = 0; j < items; ++j) builder.item("i" + std::to_string(j));
  for (std::size_t u = 0; u < histories.size(); ++u) {
    const UserId user = builder.user(prefix + std::to_string(u));
    for (const int item : histories[u]) {
      builder.add(user, builder.item("i" + std::to_string(item)), 0);
    }
  }
  return std::move(builder).build("tiny");
}

TEST(DrawTriples, TakesEveryPositiveWithItemsTheUserHasNotTaken) {
  const BprData data = bpr_data(tiny({{0, 1, 0}, {2}, {0, 1, 2, 3}}, 4));
  Rng rng(1);

  const auto triples = draw_triples(data, 2, rng);

  EXPECT_EQ(triples.size(), 8U);  // the third user has taken everything
  for (const auto& triple : triples) {
    const std::set<std::uint32_t> own =
        triple.user == 0 ? std::set<std::uint32_t>{0, 1} : std::set<std::uint32_t>{2};
    EXPECT_TRUE(own.contains(triple.item));
    EXPECT_FALSE(own.contains(triple.negative));
  }
}

// Items 0 to 2 are of one domain, 3 to 6 of the other; the third user has all of the first one's.
TEST(DrawTriples, TakesNegativesOfThePositivesOwnDomain) {
  BprData data;
  data.users = 3;
  data.items = 7;
  data.item_begin = {0, 3, 7};
  data.positives = {{0, 1, 0}, {0, 4, 1}, {1, 2, 0}, {1, 5, 1},
                    {2, 0, 0}, {2, 1, 0}, {2, 2, 0}, {2, 6, 1}};
  const std::vector<std::vector<std::uint32_t>> taken = {{1, 4}, {2, 5}, {0, 1, 2, 6}};
  for (const auto& row : taken) data.taken.push_row(row);
  Rng rng(1);

  const auto triples = draw_triples(data, 50, rng);

  using Pair = std::pair<std::uint32_t, std::uint32_t>;
  std::map<Pair, std::set<std::uint32_t>> drawn;
  for (const auto& triple : triples) drawn[{triple.user, triple.item}].insert(triple.negative);
  const std::map<Pair, std::set<std::uint32_t>> expected = {{{0, 1}, {0, 2}},
                                                            {{0, 4}, {3, 5, 6}},
                                                            {{1, 2}, {0, 1}},
                                                            {{1, 5}, {3, 4, 6}},
                                                            {{2, 6}, {3, 4, 5}}};
  EXPECT_EQ(drawn, expected);
  EXPECT_EQ(triples.size(), 5U * 50U);
}

FactorOptions quick() {
  FactorOptions options;
  options.dim = 8;
  options.epochs = 3;
  options.batch_size = 4;
  return options;
}

TEST(TrainFactors, KeepsTheStateOfTheBestValidation) {
  const Dataset shop = tiny({{0, 1}, {2, 3}, {0, 3}}, 6);
  const BprData data = bpr_data(shop);
  Factors factors = start_factors(data, quick(), Rng(1));
  std::vector<Matrix> states;
  const double hits[] = {0.2, 0.5, 0.4};
  FitContext context;

  train_factors(
      data, quick(), "test", context,
      [&] {
        states.push_back(factors.users);
        return hits[states.size() - 1];
      },
      factors);

  ASSERT_EQ(states.size(), 3U);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(factors.users.data()[i], states[1].data()[i]);
  EXPECT_NE(states[1](0, 0), states[2](0, 0));
  EXPECT_EQ(*context.history[2].validation_hr, 0.4);
}

TEST(TrainFactors, StopsWhenValidationHasNotImprovedForLong) {
  const BprData data = bpr_data(tiny({{0, 1}, {2, 3}}, 6));
  FactorOptions options = quick();
  options.epochs = 50;
  options.patience = 2;
  Factors factors = start_factors(data, options, Rng(1));
  FitContext context;

  train_factors(
      data, options, "test", context, [] { return 0.1; }, factors);

  EXPECT_EQ(context.history.size(), 3U);
}

TEST(TrainFactors, RefusesDecayWithAdam) {
  const BprData data = bpr_data(tiny({{0, 1}, {2, 3}}, 6));
  FactorOptions options = quick();
  options.weight_decay = 0.1;
  Factors factors = start_factors(data, options, Rng(1));
  FitContext context;

  EXPECT_THROW(train_factors(data, options, "test", context, {}, factors), Error);
}

TEST(Bprmf, RefusesAnotherDomain) {
  const Dataset shop = tiny({{0, 1}, {2, 3}}, 6);
  const Dataset other = tiny({{0, 1}}, 3);
  const auto model = make_model("bprmf", {{"epochs", "1"}});
  TrainTask task;
  task.target_train = Domain{&shop, nullptr};
  FitContext context;
  model->fit(task, context);
  const std::vector<Query> queries = {{}};
  const std::vector<ItemId> candidates = {0};

  try {
    model->score({&other, nullptr}, queries, candidates);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
  }
}

// A user without a target history has a vector through the source: only CMF can know it.
TEST(Cmf, CarriesASharedUsersTasteOver) {
  std::vector<std::vector<int>> source;
  std::vector<std::vector<int>> target;
  for (int u = 0; u < 60; ++u) {  // two tastes: items 0-3 and 4-7 in both domains
    const int first = u % 2 == 0 ? 0 : 4;
    source.push_back({first, first + 1, first + 2, first + 3});
    target.push_back(u < 10 ? std::vector<int>{} : source.back());
  }
  const Dataset from = tiny(source, 8);
  const Dataset to = tiny(target, 8);
  const auto model = make_model("cmf", {{"epochs", "60"}, {"batch_size", "32"}, {"dim", "8"}});
  TrainTask task;
  task.source = Domain{&from, nullptr};
  task.target_train = Domain{&to, nullptr};
  FitContext context;
  model->fit(task, context);

  std::vector<Query> queries;
  for (UserId user = 0; user < 10; ++user) queries.push_back({{}, user});
  const std::vector<ItemId> candidates = {1, 5};
  const Matrix scores = model->score({&to, nullptr}, queries, candidates);

  for (std::size_t q = 0; q < 10; ++q) {
    EXPECT_EQ(scores(q, 0) > scores(q, 1), q % 2 == 0) << "user " << q;
  }
}

// The target's only item is never a negative of the source's events, and has no negative itself:
// whatever is learnt, it stays where it began.
TEST(Cmf, TakesNegativesOfThePositivesOwnDomain) {
  const Dataset from = tiny({{0, 1}, {1, 2}, {2, 3}}, 4);
  const Dataset to = tiny({{0}, {}, {}}, 1);
  TrainTask task;
  task.source = Domain{&from, nullptr};
  task.target_train = Domain{&to, nullptr};
  const auto fitted = [&](const char* epochs) {
    const auto model = make_model("cmf", {{"epochs", epochs}, {"dim", "8"}});
    FitContext context;
    model->fit(task, context);
    return model->state();  // users, items
  };

  const ModelState early = fitted("1");
  const ModelState late = fitted("20");

  EXPECT_EQ(early[1].shape, (std::vector<std::int64_t>{1, 8}));
  EXPECT_EQ(early[1].values, late[1].values);
  EXPECT_NE(early[0].values, late[0].values);
}

// The two-domain models that learn a map from the people who are in both.
class NeedsSharedUsers : public ::testing::TestWithParam<const char*> {};

TEST_P(NeedsSharedUsers, SaysThatThereAreNone) {
  const Dataset from = tiny({{0, 1, 2}, {1, 2, 3}}, 6, "a");
  const Dataset to = tiny({{0, 1, 2}, {1, 2, 3}}, 6, "b");
  TrainTask task;
  task.source = Domain{&from, nullptr};
  task.target_train = Domain{&to, nullptr};
  FitContext context;

  try {
    make_model(GetParam(), {})->fit(task, context);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
    EXPECT_NE(error.message().find("in common"), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Models, NeedsSharedUsers,
                         ::testing::Values("mfem", "cngan", "doml", "autoem"));

// Options that end in no time, as far as the model has them.
OptionValues brief(const std::string& name) {
  OptionValues values;
  for (const auto& [option, value] :
       {std::pair{"dim", "8"}, std::pair{"epochs", "2"}, std::pair{"iterations", "2"},
        std::pair{"map_epochs", "2"}, std::pair{"merge_steps", "2"}, std::pair{"net_epochs", "1"},
        std::pair{"pretrain_steps", "1"}, std::pair{"finetune_steps", "1"}}) {
    for (const OptionInfo& info : find_model(name).describe()) {
      if (info.name == option) values.emplace_back(option, value);
    }
  }
  return values;
}

class TwoDomainInput : public ::testing::TestWithParam<const char*> {
 protected:
  void fit(const Dataset& source, const Dataset& target) {
    TrainTask task;
    task.source = Domain{&source, nullptr};
    task.target_train = Domain{&target, nullptr};
    model_ = make_model(GetParam(), brief(GetParam()));
    FitContext context;
    model_->fit(task, context);
  }
  std::unique_ptr<Recommender> model_;
};

TEST_P(TwoDomainInput, RefusesAnEmptyDomain) {
  const Dataset full = tiny({{0, 1, 2}, {1, 2, 3}}, 6);
  const Dataset empty = tiny({{}, {}}, 6);

  for (const bool target : {true, false}) {
    try {
      fit(target ? full : empty, target ? empty : full);
      ADD_FAILURE() << "taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kBadInput) << error.what();
    }
  }
}

TEST_P(TwoDomainInput, TakesSequencesOfOneItem) {
  const Dataset from = tiny({{0}, {1}, {2}, {}}, 6);
  const Dataset to = tiny({{3}, {4}, {}, {5}, {1}}, 6);

  fit(from, to);

  const std::vector<Query> queries = {{to.history(0), UserId{0}}, {{}, UserId{2}}};
  const std::vector<ItemId> candidates = {0, 5};
  const Matrix scores = model_->score({&to, nullptr}, queries, candidates);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isfinite(scores.data()[i]));
}

class PretrainedDomains : public ::testing::TestWithParam<const char*> {
 protected:
  PretrainedDomains() {
    task_.source = Domain{&from_, nullptr};
    task_.target_train = Domain{&to_, nullptr};
  }
  // The state after training that is stopped when it asks for the (limit + 1)-th time, if it is;
  // asked_ says how often.
  ModelState train(const std::string& checkpoint, int limit, std::uint64_t seed = 0) {
    const auto model = make_model(GetParam(), brief(GetParam()));
    FitContext context;
    context.seed = seed;
    context.checkpoint = checkpoint;
    context.resume = true;
    asked_ = 0;
    context.should_stop = [this, limit] { return ++asked_ > limit; };
    model->fit(task_, context);
    return model->state();
  }

  Dataset from_ = tiny({{0, 1}, {1, 2}, {2, 3}, {4, 5}}, 6);
  Dataset to_ = tiny({{3, 4}, {4, 0}, {}, {5, 1}, {1, 2}}, 6);
  TrainTask task_;
  int asked_ = 0;
};

TEST_P(PretrainedDomains, AreNotTrainedAgainByAResumedRun) {
  const testing::TempDir folder;
  const ModelState whole = train("", 1000);
  const int all = asked_;

  // Stopped at the last step: both domains are finished.
  EXPECT_THROW(train(folder.file("checkpoint"), all - 1), Error);
  const ModelState resumed = train(folder.file("checkpoint"), 1000);

  EXPECT_EQ(asked_, all - 4);  // two passes of one batch in each domain
  ASSERT_EQ(whole.size(), resumed.size());
  for (std::size_t t = 0; t < whole.size(); ++t) {
    EXPECT_EQ(whole[t].values, resumed[t].values) << whole[t].name;
  }
}

TEST_P(PretrainedDomains, OfAnotherRunAreRefused) {
  const testing::TempDir folder;
  train(folder.file("checkpoint"), 1000);

  EXPECT_THROW(train(folder.file("checkpoint"), 1000, 7), Error);
}

INSTANTIATE_TEST_SUITE_P(Models, PretrainedDomains, ::testing::Values("mfem", "cngan", "doml"));

TEST(AutoEm, TellsTheValidationOfTheMergedModel) {
  const Dataset from = tiny({{0, 1, 2}, {1, 2, 3}, {2, 3, 4}}, 6);
  const Dataset to = tiny({{3, 4, 5}, {4, 0, 1}, {5, 1, 2}}, 6);
  TrainTask task;
  task.source = Domain{&from, nullptr};
  task.target_train = Domain{&to, nullptr};
  const auto model = make_model("autoem", brief("autoem"));
  FitContext context;  // AutoRec, the first stage, does better than what is merged from it
  context.validate = [&](const Recommender& asked) { return &asked == model.get() ? 0.1 : 0.9; };

  model->fit(task, context);

  EXPECT_EQ(model->details()["validation_hr@10"], 0.1);
  EXPECT_EQ(context.history.back().validation_hr, 0.1);
}

INSTANTIATE_TEST_SUITE_P(Models, TwoDomainInput,
                         ::testing::Values("cmf", "mfem", "cngan", "doml", "autoem"));

}  // namespace
}  // namespace kindling
