#include "kindling/data/split.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

// Users as rows of (item, time).
Dataset timed(const std::vector<std::vector<std::pair<int, int>>>& users) {
  DatasetBuilder builder(true);
  for (std::size_t u = 0; u < users.size(); ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (const auto& [item, time] : users[u]) {
      builder.add(user, builder.item("i" + std::to_string(item)), time);
    }
  }
  return std::move(builder).build("timed");
}

TEST(SplitByTime, TakesTheLeastTimeWithEightyPercentBeforeIt) {
  const Dataset data =
      timed({{{0, 1}, {1, 2}, {2, 3}, {3, 9}, {4, 10}}, {{0, 4}, {1, 5}, {2, 6}, {3, 7}, {4, 8}}});

  const TargetSplit split = split_by_time(data, 0.8);

  EXPECT_EQ(split.time, 8);
  EXPECT_EQ(split.train.event_count(), 8U);
  EXPECT_EQ(split.tests, (std::vector<TestEvent>{{0, 3}, {0, 4}}));
}

TEST(SplitByTime, KeepsTiesOfTheSplitTimeInTrain) {
  const Dataset data = timed({{{0, 1}, {1, 5}, {2, 5}, {3, 5}, {4, 6}}});

  const TargetSplit split = split_by_time(data, 0.4);

  EXPECT_EQ(split.time, 5);
  EXPECT_EQ(split.tests, (std::vector<TestEvent>{{0, 4}}));
}

TEST(SplitLeaveTwoOut, TestsTheLastAndValidatesOnTheLastButOne) {
  const Dataset data = timed({{{0, 1}, {1, 2}, {2, 3}, {3, 4}}, {{0, 1}, {1, 2}}, {{2, 5}}});

  const TargetSplit split = split_leave_two_out(data);

  EXPECT_EQ(split.tests, (std::vector<TestEvent>{{0, 3}}));
  EXPECT_EQ(split.validation, (std::vector<TestEvent>{{0, 2}}));
  EXPECT_EQ(split.train.history(0).size(), 2U);
  EXPECT_EQ(split.train.history(1).size(), 2U);  // too short to be asked: train as a whole
  EXPECT_EQ(split.train.history(2).size(), 1U);
}

TEST(CheckNoLeak, SeesAValidationEventInTheTrainPart) {
  const Dataset data = timed({{{0, 1}, {1, 2}, {2, 3}}});
  TargetSplit split = split_leave_two_out(data);

  split.validation = {{0, 0}};

  EXPECT_THROW(check_no_leak(split, data), Error);
}

TEST(SplitByTime, KeepsTheIdsOfTheDataset) {
  const Dataset data = timed({{{0, 1}, {1, 2}, {2, 3}, {3, 4}}, {{4, 99}}});

  const TargetSplit split = split_by_time(data);

  EXPECT_EQ(split.train.user_count(), data.user_count());
  EXPECT_EQ(split.train.item_count(), data.item_count());
  EXPECT_TRUE(split.train.history(1).empty());
}

TEST(SplitByTime, NeedsTimes) {
  DatasetBuilder builder(false);
  builder.add(builder.user("u"), builder.item("i"), 0);
  const Dataset data = std::move(builder).build("order");

  try {
    split_by_time(data);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
  }
}

TEST(SplitWindow, TestsOnlyTheDaysAsked) {
  const Dataset data = timed({{{0, 5}, {1, 10}, {2, 12}, {3, 20}}});

  const TargetSplit split = split_window(data, 10, 5);

  EXPECT_EQ(split.train.event_count(), 1U);
  EXPECT_EQ(split.tests, (std::vector<TestEvent>{{0, 1}, {0, 2}}));
}

TEST(SplitLeaveLastOut, TestsTheLastEventOfEachUser) {
  const Dataset data = timed({{{0, 1}, {1, 2}, {2, 3}}, {{1, 1}}});

  const TargetSplit split = split_leave_last_out(data);

  EXPECT_FALSE(split.time.has_value());
  EXPECT_EQ(split.tests, (std::vector<TestEvent>{{0, 2}}));
  EXPECT_EQ(split.train.history(0).size(), 2U);
  EXPECT_EQ(split.train.history(1).size(), 1U);
}

TEST(EventsUntil, KeepsTheMomentItself) {
  const Dataset data = timed({{{0, 1}, {1, 2}, {2, 3}}});

  EXPECT_EQ(events_until(data, 2).event_count(), 2U);
}

TEST(SplitUsers, DrawsAShareOnceAndTheSameForASeed) {
  std::vector<std::vector<std::pair<int, int>>> users(50, {{0, 1}, {1, 2}});
  users.push_back({{0, 1}});  // too short to be either
  const Dataset data = timed(users);

  const UserSplit split = split_users(data, 0.1, Rng(3));

  EXPECT_EQ(split.validation.size(), 5U);
  EXPECT_EQ(split.train.size(), 45U);
  EXPECT_EQ(split_users(data, 0.1, Rng(3)).validation, split.validation);
  EXPECT_NE(split_users(data, 0.1, Rng(4)).validation, split.validation);
}

TEST(CheckNoLeak, NoticesATestEventInTrain) {
  const Dataset data = timed({{{0, 1}, {1, 2}, {2, 3}}});
  TargetSplit split = split_leave_last_out(data);
  split.train = data;

  EXPECT_THROW(check_no_leak(split, data), Error);
}

}  // namespace
}  // namespace kindling
