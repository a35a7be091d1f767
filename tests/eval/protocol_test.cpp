#include "kindling/eval/protocol.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "tests/eval/scorers.h"
#include "tests/support/error_kind.h"

namespace kindling {
namespace {

EvaluationOptions asked(const std::string& protocol, std::vector<std::int64_t> cutoffs = {10}) {
  EvaluationOptions options;
  options.protocol = protocol;
  options.cutoffs = std::move(cutoffs);
  return options;
}

using testing::FunctionScorer;
using testing::make_dataset;
using testing::random_dataset;

const FunctionScorer& falling() {
  static const FunctionScorer scorer([](auto, ItemId item) { return -static_cast<float>(item); });
  return scorer;
}

TEST(Evaluate, AsksForTheLastEventOfEachUser) {
  const Dataset shop = make_dataset(30, {{5, 6, 0}, {7, 3}, {9}});
  const EvaluationOptions options = asked("leave-last-out", {1, 10});

  const Evaluation result =
      evaluate(falling(), {&shop, nullptr}, make_split(shop, options), options);

  ASSERT_EQ(result.queries.size(), 2U);  // the third user has nothing to ask
  EXPECT_EQ(result.queries[0].target, 0U);
  EXPECT_EQ(result.queries[0].history, 2U);
  const Json document = result.to_json();
  EXPECT_EQ(document["queries"], 2);
  EXPECT_EQ(document["candidates"], 30);
  EXPECT_DOUBLE_EQ(document["metrics"]["recall@1"], 0.5);
  EXPECT_DOUBLE_EQ(document["metrics"]["mrr"], (1.0 + 0.25) / 2);
  EXPECT_EQ(document["slices"]["history 2"]["queries"], 1);
  EXPECT_EQ(document["slices"]["cold item"]["queries"], 2);
}

TEST(Evaluate, GivesAllEarlierEventsAsContext) {
  // Times 0, 2, 4, … for the first user and 1, 3, 5, … for the second: t_s = 7.
  const Dataset shop = make_dataset(30, {{0, 1, 2, 3, 4}, {5, 6, 7, 8, 9}}, true);
  EvaluationOptions options = asked("time-split", {10});
  const TargetSplit split = make_split(shop, options);
  ASSERT_EQ(split.tests.size(), 2U);

  EXPECT_EQ(evaluate(falling(), {&shop, nullptr}, split, options).queries[1].history, 4U);
  options.context = "test";
  EXPECT_EQ(evaluate(falling(), {&shop, nullptr}, split, options).queries[1].history, 0U);
  options.context = "train";
  EXPECT_EQ(evaluate(falling(), {&shop, nullptr}, split, options).queries[1].history, 4U);
  // A model that learns from less is asked the same.
  TargetSplit thin = make_split(shop, options);
  thin_train(thin, events_until(thin.train, 0));
  EXPECT_EQ(evaluate(falling(), {&shop, nullptr}, thin, options).queries[1].history, 4U);
  options.context = "test";
  EXPECT_EQ(evaluate(falling(), {&shop, nullptr}, thin, options).queries[1].history, 0U);
  options.context = "never";
  EXPECT_THROW(evaluate(falling(), {&shop, nullptr}, split, options), Error);
}

// What an evaluation that takes repeats out asks: target and length of the context.
std::vector<std::pair<ItemId, std::uint32_t>> asked_without(const Dataset& shop,
                                                            const std::string& collapse) {
  EvaluationOptions options = asked("leave-last-out");
  options.collapse = collapse;
  const TargetSplit split = make_split(shop, options);
  const Evaluation result = evaluate(falling(), {&shop, nullptr}, split, options);
  EXPECT_EQ(result.queries.size() + result.repeats_left_out, split.tests.size());
  std::vector<std::pair<ItemId, std::uint32_t>> queries;
  for (const QueryResult& query : result.queries) {
    queries.emplace_back(query.target, query.history);
  }
  return queries;
}

TEST(Collapse, TakesRepeatsOutOfTargetsAndContexts) {
  const Dataset shop = make_dataset(10, {{5, 6, 6}, {7, 7, 3}, {1, 2, 1}, {1, 2, 1, 1, 4}});
  using Queries = std::vector<std::pair<ItemId, std::uint32_t>>;

  EXPECT_EQ(asked_without(shop, "off"), (Queries{{6, 2}, {3, 2}, {1, 2}, {4, 4}}));
  EXPECT_EQ(asked_without(shop, "runs"), (Queries{{3, 1}, {1, 2}, {4, 3}}));
  EXPECT_EQ(asked_without(shop, "any"), (Queries{{3, 1}, {4, 2}}));
}

TEST(Collapse, ShowsModelsTheFirstEventOfARun) {
  const Dataset shop = make_dataset(10, {{5, 6, 6, 2}});
  EvaluationOptions options = asked("leave-last-out");
  options.collapse = "runs";
  std::vector<ItemId> seen;
  const FunctionScorer scorer([&](std::span<const Event> history, ItemId item) {
    if (item == 0) {
      for (const Event& event : history) seen.push_back(event.item);
    }
    return static_cast<float>(item);
  });

  evaluate(scorer, {&shop, nullptr}, make_split(shop, options), options);

  EXPECT_EQ(seen, (std::vector<ItemId>{5, 6}));
}

TEST(Collapse, LeavesWhatIsLearntAsItIs) {
  const Dataset shop = make_dataset(10, {{5, 5, 6}});
  EvaluationOptions options = asked("leave-last-out");
  options.collapse = "any";

  const TargetSplit split = make_split(shop, options);

  EXPECT_EQ(split.train.event_count(), 2U);
}

TEST(Collapse, SaysHowManyQueriesItTookAndRefusesOtherWords) {
  const Dataset shop = make_dataset(10, {{5, 5}, {5, 6}});
  EvaluationOptions options = asked("leave-last-out");
  const TargetSplit split = make_split(shop, options);
  const auto run = [&](const std::string& collapse) {
    options.collapse = collapse;
    return evaluate(falling(), {&shop, nullptr}, split, options).to_json();
  };

  EXPECT_EQ(run("runs")["repeats_left_out"], 1);
  EXPECT_EQ(run("runs")["flags"]["collapse"], "runs");
  EXPECT_FALSE(run("off").contains("repeats_left_out"));
  EXPECT_EQ(testing::kind_of([&] { run("all"); }), Kind::kBadOption);
}

TEST(Collapse, IsRefusedWhenNoQueryIsLeft) {
  const Dataset shop = make_dataset(10, {{5, 5}});
  EvaluationOptions options = asked("leave-last-out");
  options.collapse = "runs";
  const TargetSplit split = make_split(shop, options);

  EXPECT_EQ(testing::kind_of([&] {
              evaluate(falling(), {&shop, nullptr}, split, options);
            }),
            Kind::kBadInput);
}

TEST(Evaluate, SaysHowLongHistoriesMustBe) {
  const Dataset shop = make_dataset(10, {{5, 4}, {3}});
  const EvaluationOptions options = asked("leave-two-out");
  const TargetSplit split = make_split(shop, options);

  try {
    evaluate(falling(), {&shop, nullptr}, split, options);
    FAIL() << "there is nothing to ask";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "a user needs 3 events, the longest of 2 histories has 2");
  }
}

TEST(Collapse, HoldsForValidationToo) {
  const Dataset shop = make_dataset(10, {{5, 5, 1}});
  EvaluationOptions options = asked("leave-two-out");
  const TargetSplit split = make_split(shop, options);

  EXPECT_TRUE(make_validator({&shop, nullptr}, split, options));
  options.collapse = "runs";
  EXPECT_FALSE(make_validator({&shop, nullptr}, split, options));  // its one event is a repeat
}

TEST(MaxQueries, AsksTheFirstUsersAndSaysOfHowMany) {
  const Dataset shop = make_dataset(30, {{5, 0}, {7, 3}, {9, 1}});
  EvaluationOptions options = asked("leave-last-out", {1});
  const TargetSplit split = make_split(shop, options);
  const auto run = [&](std::int64_t most) {
    options.max_queries = most;
    return evaluate(falling(), {&shop, nullptr}, split, options);
  };

  const Evaluation part = run(2);
  ASSERT_EQ(part.queries.size(), 2U);
  EXPECT_EQ(part.queries[1].target, 3U);
  EXPECT_EQ(part.to_json()["queries"], 2);
  EXPECT_EQ(part.to_json()["queries_in_all"], 3);
  EXPECT_DOUBLE_EQ(part.to_json()["metrics"]["hr@1"], 0.5);
  for (const std::int64_t all : {0, 3, 4}) {
    EXPECT_EQ(run(all).queries.size(), 3U);
    EXPECT_FALSE(run(all).to_json().contains("queries_in_all"));
  }
  EXPECT_EQ(testing::kind_of([&] { run(-1); }), Kind::kBadOption);
}

TEST(Evaluate, ReportsBothWaysOfTreatingSeenItems) {
  const Dataset shop = make_dataset(30, {{0, 1, 2}});
  EvaluationOptions options = asked("leave-last-out", {1});
  const TargetSplit split = make_split(shop, options);

  const Json kept = evaluate(falling(), {&shop, nullptr}, split, options).to_json();
  options.mask_seen = true;
  const Json masked = evaluate(falling(), {&shop, nullptr}, split, options).to_json();

  EXPECT_DOUBLE_EQ(kept["metrics"]["hr@1"], 0.0);
  EXPECT_DOUBLE_EQ(kept["metrics_seen_masked"]["hr@1"], 1.0);
  EXPECT_DOUBLE_EQ(masked["metrics"]["hr@1"], 1.0);
  EXPECT_DOUBLE_EQ(masked["metrics_seen_kept"]["hr@1"], 0.0);
  EXPECT_EQ(masked["flags"]["mask_seen"], true);
}

TEST(Evaluate, CanAverageOverUsers) {
  // Tests of the second half: one event of user 0 (item 0), three of user 1 (items 5, 6, 7).
  const Dataset shop = make_dataset(30, {{9, 9, 0}, {8, 5, 6, 7}}, true);
  EvaluationOptions options = asked("time-split", {1});
  options.mean_over_users = true;
  TargetSplit split = make_split(shop, options);
  split.tests = {{0, 2}, {1, 1}, {1, 2}, {1, 3}};

  const Evaluation result = evaluate(falling(), {&shop, nullptr}, split, options);

  EXPECT_DOUBLE_EQ(result.to_json()["metrics"]["recall@1"], 0.5);  // user 0 has it, user 1 not
}

TEST(Evaluate, RaisesAnAlarmWhenResultsAreTooGood) {
  const Dataset shop = random_dataset(50, 100, 3);
  const EvaluationOptions options = asked("leave-last-out", {10});
  const TargetSplit split = make_split(shop, options);
  // Knows the answer: looks one event past the history that it is given.
  const FunctionScorer leak([](std::span<const Event> history, ItemId item) {
    return history.data()[history.size()].item == item ? 1.0F : 0.0F;
  });

  EXPECT_EQ(evaluate(leak, {&shop, nullptr}, split, options).to_json()["alarms"].size(), 2U);
  EXPECT_TRUE(evaluate(falling(), {&shop, nullptr}, split, options).to_json()["alarms"].empty());
}

TEST(MakeSplit, RefusesWhatItCannotDo) {
  const Dataset shop = make_dataset(3, {{0, 1}});
  EXPECT_THROW(make_split(shop, asked("leave-last-in")), Error);
  EXPECT_THROW(make_split(shop, asked("time-split")), Error);  // no times
}

TEST(MakeSplit, TakesTheLastDaysAsTestWeek) {
  constexpr std::int64_t kDay = 86400;
  DatasetBuilder builder(true);
  const UserId user = builder.user("u");
  for (std::int64_t day = 0; day < 20; ++day) {
    builder.add(user, builder.item("i" + std::to_string(day)), day * kDay + 3600);
  }
  const Dataset shop = std::move(builder).build("news");

  EXPECT_EQ(make_split(shop, asked("mind-week")).tests.size(), 7U);
  const TargetSplit day = make_split(shop, asked("mind-day"));
  ASSERT_EQ(day.tests.size(), 1U);
  EXPECT_EQ(day.tests[0].position, 13U);
  EXPECT_EQ(day.train.event_count(), 13U);
}

}  // namespace
}  // namespace kindling
