// Item-kNN on histories that are small enough to count by hand.
#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

// Users: {0, 1}, {0, 1, 1}, {1, 2}, {3, 3, 3}; item 4 is nobody's.
Dataset shop() {
  DatasetBuilder builder(false);
  for (int j = 0; j < 5; ++j) builder.item("i" + std::to_string(j));
  const std::vector<std::vector<ItemId>> histories = {{0, 1}, {0, 1, 1}, {1, 2}, {3, 3, 3}};
  for (std::size_t u = 0; u < histories.size(); ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (const ItemId item : histories[u]) builder.add(user, item, 0);
  }
  return std::move(builder).build("shop");
}

std::vector<float> scores(const OptionValues& options, const std::vector<ItemId>& history) {
  const Dataset data = shop();
  const auto model = make_model("itemknn", options);
  TrainTask task;
  task.target_train = Domain{&data, nullptr};
  FitContext context;
  model->fit(task, context);
  std::vector<Event> events;
  for (const ItemId item : history) events.push_back({.item = item});
  const std::vector<Query> queries = {{events}};
  const std::vector<ItemId> all = {0, 1, 2, 3, 4};
  const Matrix result = model->score({&data, nullptr}, queries, all);
  return {result.row(0).begin(), result.row(0).end()};
}

void expect_near(const std::vector<float>& scores, const std::vector<double>& expected) {
  ASSERT_EQ(scores.size(), expected.size());
  for (std::size_t j = 0; j < scores.size(); ++j) EXPECT_NEAR(scores[j], expected[j], 2e-6) << j;
}

TEST(ItemKnn, CountsCommonUsersAndWhoTookAnItemAgain) {
  expect_near(scores({{"similarity", "count"}}, {1}), {2, 1, 1, 0, 0});
  expect_near(scores({{"similarity", "count"}}, {3}), {0, 0, 0, 1, 0});
}

TEST(ItemKnn, DividesByTheUsersOfBothItems) {
  // n = 2, 3, 1, 1.
  expect_near(scores({{"shrink", "0"}}, {1}), {2 / std::sqrt(6), 1.0 / 3, 1 / std::sqrt(3), 0, 0});
  expect_near(scores({{"shrink", "1"}}, {1}),
              {2 / (std::sqrt(6) + 1), 1.0 / 4, 1 / (std::sqrt(3) + 1), 0, 0});
}

TEST(ItemKnn, LaterEventsCountMore) {
  expect_near(scores({{"similarity", "count"}}, {3, 0}), {0, 2, 0, 0.5, 0});
  expect_near(scores({{"similarity", "count"}, {"decay", "1"}}, {3, 0}), {0, 2, 0, 1, 0});
  expect_near(scores({{"similarity", "count"}, {"window", "1"}}, {3, 0}), {0, 2, 0, 0, 0});
}

TEST(ItemKnn, LearnsTheLastEventsOfAUserOnly) {
  // {0, 1}, {1, 1}, {1, 2}, {3, 3}
  expect_near(scores({{"similarity", "count"}, {"length", "2"}}, {0}), {0, 1, 0, 0, 0});
}

TEST(ItemKnn, WithoutAHistoryRanksByPopularity) {
  const std::vector<float> all = scores({}, {});

  EXPECT_GT(all[1], all[0]);
  EXPECT_GT(all[0], all[2]);
  EXPECT_EQ(all[2], all[3]);
  EXPECT_EQ(all[4], 0.0F);
}

TEST(ItemKnn, RefusesTensorsThatDoNotFit) {
  const auto model = make_model("itemknn", {});
  const auto load = [&](std::vector<float> rows, std::vector<float> items) {
    const auto size = [](const std::vector<float>& values) {
      return std::vector<std::int64_t>{static_cast<std::int64_t>(values.size())};
    };
    model->load_state({{"taken_by", {2}, {1, 1}},
                       {"neighbours", size(rows), rows},
                       {"items", size(items), items},
                       {"users", size(items), std::vector<float>(items.size(), 1.0F)}},
                      {});
  };

  load({1, 1}, {1, 0});
  EXPECT_THROW(load({1}, {1}), Error);        // one row for two items
  EXPECT_THROW(load({1, 1}, {1}), Error);     // too few neighbours
  EXPECT_THROW(load({1, 1}, {1, 2}), Error);  // no such item
  EXPECT_THROW(load({-1, 1}, {1}), Error);    // no such row
  EXPECT_THROW(load({NAN, 1}, {1, 0}), Error);
}

}  // namespace
}  // namespace kindling
