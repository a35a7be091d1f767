// ZESRec as its users see it: what each variant, network and switch promises.
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/split.h"
#include "kindling/data/synthetic.h"
#include "kindling/kernels/rank_count.h"
#include "kindling/models/registry.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

const SyntheticWorld& world() {
  static const SyntheticWorld made = make_synthetic_world({.users = 250, .items = 90}, 21);
  return made;
}

OptionValues small(OptionValues more = {}) {
  OptionValues options = {{"dim", "24"}, {"epochs", "5"}};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

struct Fitted {
  std::unique_ptr<Recommender> model;
  FitContext context;
};

Fitted fit(const OptionValues& options, FitContext context = {}) {
  Fitted fitted{make_model("zesrec", options), std::move(context)};
  TrainTask task;
  task.source = Domain{&world().source.data, &world().source.vectors};
  fitted.model->fit(task, fitted.context);
  return fitted;
}

// Recall@k of each user's last item in the target, zero-shot.
double recall(const Recommender& model, double k) {
  const Domain target{&world().target.data, &world().target.vectors};
  const TargetSplit split = split_leave_last_out(world().target.data);
  std::vector<ItemId> items(world().target.data.item_count());
  std::iota(items.begin(), items.end(), 0U);
  std::vector<Query> queries;
  for (const TestEvent& test : split.tests) {
    queries.push_back({world().target.data.history(test.user).first(test.position)});
  }
  const Matrix scores = model.score(target, queries, items);
  double hits = 0.0;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const TestEvent& test = split.tests[q];
    const ItemId truth = world().target.data.history(test.user)[test.position].item;
    const auto count = kernels::rank_count(scores.row(q).data(), scores.cols(), truth);
    if (kernels::expected_rank(count) <= k) hits += 1.0;
  }
  return hits / static_cast<double>(queries.size());
}

Matrix some_scores(const Recommender& model) {
  const std::vector<ItemId> items = {0, 5, 9, 33};
  const auto history = world().target.data.history(2);
  const std::vector<Query> queries = {{history}, {history.first(1)}, {}};
  return model.score({&world().target.data, &world().target.vectors}, queries, items);
}

void expect_same_bits(const Recommender& one, const Recommender& two) {
  const ModelState a = one.state();
  const ModelState b = two.state();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t t = 0; t < a.size(); ++t) {
    EXPECT_EQ(a[t].name, b[t].name);
    EXPECT_EQ(a[t].values, b[t].values) << a[t].name;
  }
}

struct Setting {
  const char* name;
  OptionValues options;
};
void PrintTo(const Setting& one, std::ostream* out) { *out << one.name; }

class ZesrecSetting : public ::testing::TestWithParam<Setting> {};

TEST_P(ZesrecSetting, TransfersToTheTargetWithoutTraining) {
  const Fitted fitted = fit(small(GetParam().options));

  EXPECT_LT(fitted.context.history.back().validation_loss, std::log(90.0));
  EXPECT_GT(recall(*fitted.model, 20), 1.4 * 20.0 / 90.0)
      << "validation loss " << fitted.context.history.front().validation_loss << " -> "
      << fitted.context.history.back().validation_loss;
}

INSTANTIATE_TEST_SUITE_P(
    All, ZesrecSetting,
    ::testing::Values(
        Setting{"vanilla", {{"variant", "vanilla"}}}, Setting{"map", {}},
        Setting{"full", {{"variant", "full"}}},
        Setting{"general", {{"variant", "full"}, {"bound", "general"}, {"epochs", "20"}}},
        Setting{"monte_carlo", {{"variant", "full"}, {"inference", "mc"}, {"samples", "3"}}},
        Setting{"tcn", {{"network", "tcn"}}}, Setting{"hrnn", {{"network", "hrnn"}}},
        Setting{"hgru", {{"network", "hgru"}}}, Setting{"tanh", {{"activation", "tanh"}}},
        Setting{"l2", {{"input_scale", "l2"}}}, Setting{"whiten", {{"input_scale", "whiten"}}},
        Setting{"sampled", {{"softmax", "sampled"}, {"negatives", "64"}}},
        Setting{"sampled_dense",
                {{"softmax", "sampled"}, {"negatives", "64"}, {"offsets", "dense"}}},
        Setting{"adam", {{"optimizer", "adam"}, {"learning_rate", "0.01"}, {"eps", "1e-8"}}},
        Setting{"clip", {{"clip", "1"}}},
        Setting{"residual",
                {{"residual", "5"}, {"residual_decay", "0.5"}, {"item_init", "orthogonal"}}},
        Setting{"unit_rows", {{"input_scale", "partial"}, {"unit_rows", "true"}}},
        Setting{"dummy_per_session", {{"dummy_per", "session"}, {"sessions", "day"}}},
        Setting{"dummy_per_session_tcn",
                {{"dummy_per", "session"}, {"sessions", "day"}, {"network", "tcn"}}},
        Setting{"dummy_per_session_hrnn",
                {{"dummy_per", "session"}, {"sessions", "day"}, {"network", "hrnn"}}},
        Setting{"windows", {{"full_length", "4"}, {"window", "3"}}}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Zesrec, ResumingGivesTheSameWeightsBitForBit) {
  for (const OptionValues& options :
       {OptionValues{}, OptionValues{{"softmax", "sampled"}, {"negatives", "32"}},
        OptionValues{{"variant", "full"}},
        OptionValues{{"dummy_per", "session"}, {"sessions", "day"}}}) {
    const testing::TempDir folder;
    OptionValues four = options;
    four.insert(four.begin(), {{"dim", "16"}, {"epochs", "4"}});
    OptionValues two = options;
    two.insert(two.begin(), {{"dim", "16"}, {"epochs", "2"}});
    FitContext interrupted;
    interrupted.checkpoint = folder.file("run.ckpt");
    FitContext resumed = interrupted;
    resumed.resume = true;

    const Fitted straight = fit(four);
    fit(two, interrupted);
    const Fitted continued = fit(four, resumed);

    expect_same_bits(*straight.model, *continued.model);
    EXPECT_EQ(continued.context.history.size(), 4U);
  }
}

TEST(Zesrec, SampledSoftmaxTrainsToAboutTheFullLoss) {
  const Fitted full = fit(small({{"variant", "vanilla"}}));
  const Fitted sampled =
      fit(small({{"variant", "vanilla"}, {"softmax", "sampled"}, {"negatives", "1024"}}));

  const double expected = full.context.history.back().validation_loss;
  EXPECT_NEAR(sampled.context.history.back().validation_loss, expected, 0.03 * expected);
}

TEST(Zesrec, AnotherSeedGivesAnotherModel) {
  FitContext seven;
  seven.seed = 7;
  const Matrix one = some_scores(*fit(small()).model);
  const Matrix two = some_scores(*fit(small(), seven).model);

  EXPECT_NE(one(0, 0), two(0, 0));
}

// Scores of items 0 and 5 after one history, asked at that time.
std::pair<float, float> asked_at(const Recommender& model, std::optional<std::int64_t> time) {
  const std::vector<ItemId> items = {0, 5};
  const std::vector<Query> queries = {{world().target.data.history(2), std::nullopt, time}};
  const Matrix scores =
      model.score({&world().target.data, &world().target.vectors}, queries, items);
  return {scores(0, 0), scores(0, 1)};
}

TEST(Zesrec, ADummyPerSessionReadsWhetherTheQueryOpensASession) {
  const std::int64_t last = world().target.data.history(2).back().time;
  const OptionValues by_session = {
      {"dummy_per", "session"}, {"sessions", "gap"}, {"session_gap_minutes", "600"}};
  const Fitted marked = fit(small(by_session));
  const Fitted plain = fit(small());

  EXPECT_EQ(asked_at(*marked.model, std::nullopt), asked_at(*marked.model, last + 60));
  EXPECT_NE(asked_at(*marked.model, last + 60), asked_at(*marked.model, last + 86400));
  EXPECT_EQ(asked_at(*plain.model, last + 60), asked_at(*plain.model, last + 86400));
}

TEST(Zesrec, ADummyPerSessionNeedsTimesToLearnFrom) {
  const SyntheticWorld untimed =
      make_synthetic_world({.users = 20, .items = 30, .has_times = false}, 3);
  const auto model = make_model("zesrec", small({{"dummy_per", "session"}}));
  TrainTask task;
  task.source = Domain{&untimed.source.data, &untimed.source.vectors};
  FitContext context;

  EXPECT_EQ(testing::kind_of([&] { model->fit(task, context); }), Kind::kUnsupported);
}

TEST(Zesrec, MonteCarloScoresAreLogProbabilities) {
  const Fitted fitted =
      fit(small({{"variant", "full"}, {"inference", "mc"}, {"samples", "2"}, {"epochs", "1"}}));
  std::vector<ItemId> items(90);
  std::iota(items.begin(), items.end(), 0U);
  const std::vector<Query> queries = {{world().target.data.history(0)}};

  const Matrix scores =
      fitted.model->score({&world().target.data, &world().target.vectors}, queries, items);

  double sum = 0.0;
  for (std::size_t j = 0; j < 90; ++j) sum += std::exp(static_cast<double>(scores(0, j)));
  EXPECT_NEAR(sum, 1.0, 1e-4);
}

// The draws of the domain asked last are kept: never those of another.
TEST(Zesrec, MonteCarloScoresDoNotDependOnWhatWasAskedBefore) {
  const auto options =
      small({{"variant", "full"}, {"inference", "mc"}, {"samples", "2"}, {"epochs", "1"}});
  const Fitted asked = fit(options);
  const Fitted fresh = fit(options);
  const std::vector<ItemId> items = {0, 5, 7};
  const std::vector<Query> queries = {{world().target.data.history(0)}};
  const Domain target{&world().target.data, &world().target.vectors};
  const Domain source{&world().source.data, &world().source.vectors};

  asked.model->score(source, std::vector<Query>{{world().source.data.history(0)}}, items);
  const Matrix after = asked.model->score(target, queries, items);
  const Matrix again = asked.model->score(target, queries, items);
  const Matrix first = fresh.model->score(target, queries, items);

  for (std::size_t j = 0; j < items.size(); ++j) {
    EXPECT_EQ(after(0, j), first(0, j));
    EXPECT_EQ(again(0, j), first(0, j));
  }
}

TEST(Zesrec, ReportsWhatLambdaMeansHere) {
  const Fitted fitted = fit(small({{"lambda_v", "50"}}));

  const Json details = fitted.model->details();
  const double targets = details.at("training_targets").get<double>();
  EXPECT_GT(targets, 0);
  EXPECT_NEAR(details.at("lambda_v_per_target").get<double>(), 50.0 / targets, 1e-12);
  EXPECT_GT(details.at("offset_ratio").get<double>(), 0.0);
}

TEST(Zesrec, RecordsOneLineAnEpoch) {
  FitContext context;
  int calls = 0;
  context.on_epoch = [&](const EpochRecord&) { ++calls; };

  const Fitted fitted = fit(small({{"epochs", "3"}}), context);

  EXPECT_EQ(calls, 3);
  ASSERT_EQ(fitted.context.history.size(), 3U);
  EXPECT_LT(fitted.context.history[2].train_loss, fitted.context.history[0].train_loss);
  EXPECT_GT(fitted.context.history[2].validation_ndcg, 0.0);
}

TEST(Zesrec, VectorsOfAnotherWidthAreRefusedNamingBoth) {
  const Fitted fitted = fit(small({{"epochs", "1"}}));
  const ItemVectors narrow{Matrix(90, 7), "other", "f"};
  const std::vector<ItemId> items = {0};
  const std::vector<Query> queries = {{}};
  try {
    fitted.model->score({&world().target.data, &narrow}, queries, items);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_NE(error.message().find('7'), std::string::npos);
    EXPECT_NE(error.message().find("16"), std::string::npos);
  }
}

void expect_bad_option(const OptionValues& options) {
  try {
    fit(options);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption) << error.what();
  }
}

TEST(Zesrec, RefusesOptionsOutOfRangeOrAtOdds) {
  expect_bad_option({{"dim", "-1"}});
  expect_bad_option({{"dropout", "1"}});
  expect_bad_option({{"network", "lstm"}});
  expect_bad_option({{"inference", "mc"}});
  expect_bad_option({{"dummy_per", "item"}});
  expect_bad_option({{"dummy_per", "session"}, {"sessions", "none"}});
  expect_bad_option({{"variant", "full"}, {"lambda_v", "0"}});
}

TEST(Zesrec, IsAsWideAsTheTextVectorsWhenAskedTo) {
  const auto width = [](const Recommender& model) {
    for (const NamedTensor& tensor : model.state()) {
      if (tensor.name == "item_weight") return tensor.shape;
    }
    return std::vector<std::int64_t>{};
  };
  const auto model = fit(small({{"dim", "0"}})).model;
  const std::vector<std::int64_t> shape = width(*model);

  ASSERT_EQ(shape.size(), 2U);
  EXPECT_EQ(shape[0], shape[1]);
  const auto again = make_model("zesrec", small({{"dim", "0"}}));
  again->load_state(model->state(), model->details());
  EXPECT_EQ(width(*again), shape);
  EXPECT_THROW(make_model("gru4rec", {{"dim", "0"}}), Error);
}

// Drawn user vectors follow from the history, not from its place among other queries.
TEST(Zesrec, SampledUsersDoNotDependOnTheirNeighbours) {
  const Fitted fitted =
      fit(small({{"variant", "full"}, {"bound", "general"}, {"inference", "mc"}, {"epochs", "1"}}));
  const Domain target{&world().target.data, &world().target.vectors};
  std::vector<Query> queries;
  for (UserId user = 0; user < 4; ++user) queries.push_back({world().target.data.history(user)});
  const std::vector<ItemId> items = {0, 1, 2, 3, 4};

  const Matrix together = fitted.model->score(target, queries, items);
  const Matrix alone = fitted.model->score(target, std::span(queries).last(1), items);

  for (std::size_t c = 0; c < items.size(); ++c) EXPECT_NEAR(alone(0, c), together(3, c), 1e-5F);
}

TEST(Zesrec, DivergenceIsReportedWithAHint) {
  try {
    fit(small({{"optimizer", "sgd"}, {"learning_rate", "1e30"}}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kDiverged);
    EXPECT_NE(error.message().find("diverged"), std::string::npos);
  }
}

TEST(Zesrec, CudaIsRefusedWhereThereIsNone) {
  FitContext context;
  context.device = "tpu";
  EXPECT_THROW(fit(small(), context), Error);
}

}  // namespace
}  // namespace kindling
