#include "kindling/data/sequences.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

namespace kindling {
namespace {

constexpr std::int64_t kHour = 3600;

Dataset lengths(const std::vector<int>& counts) {
  DatasetBuilder builder(false);
  for (std::size_t u = 0; u < counts.size(); ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (int n = 0; n < counts[u]; ++n) {
      builder.add(user, builder.item("i" + std::to_string(n)), 0);
    }
  }
  return std::move(builder).build("lengths");
}

std::vector<UserId> everyone(const Dataset& data) {
  std::vector<UserId> users(data.user_count());
  for (UserId u = 0; u < users.size(); ++u) users[u] = u;
  return users;
}

TEST(MakeBatch, PutsTheDummyInFrontAndShiftsTargets) {
  const Dataset data = lengths({3, 0, 2});

  const SequenceBatch batch = make_batch(data, everyone(data), {});

  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 3, 5}));
  EXPECT_EQ(batch.inputs, (std::vector<std::int64_t>{kDummyItem, 0, 1, kDummyItem, 0}));
  EXPECT_EQ(batch.targets, (std::vector<std::int64_t>{0, 1, 2, 0, 1}));
  EXPECT_EQ(batch.session_start, (std::vector<std::uint8_t>{1, 0, 0, 1, 0}));
}

TEST(MakeBatch, KeepsTheLastEventsOfALongHistory) {
  const Dataset data = lengths({10});

  const SequenceBatch batch =
      make_batch(data, everyone(data), {.max_length = 3, .sessions = "auto"});

  EXPECT_EQ(batch.targets, (std::vector<std::int64_t>{7, 8, 9}));
  EXPECT_EQ(batch.inputs, (std::vector<std::int64_t>{kDummyItem, 7, 8}));
}

TEST(MakeBatch, MarksSessionsAndGapsOfTheInputs) {
  DatasetBuilder builder(true);
  const UserId user = builder.user("u");
  const ItemId item = builder.item("i");
  for (const std::int64_t time :
       {std::int64_t{100}, 100 + kHour / 4, 100 + 4 * kHour, 100 + 5 * kHour}) {
    builder.add(user, item, time);
  }
  const Dataset data = std::move(builder).build("timed");

  const SequenceBatch batch = make_batch(data, everyone(data), {});

  // Inputs: dummy, t=100, +15 min (same session), +3:45 h (a new one).
  EXPECT_EQ(batch.session_start, (std::vector<std::uint8_t>{1, 0, 0, 1}));
  EXPECT_EQ(batch.gap_bucket, (std::vector<std::uint8_t>{0, 0, 0, 2}));
}

TEST(SessionRule, IsTheDayWhenAllTimesAreDays) {
  DatasetBuilder builder(true);
  builder.add(builder.user("u"), builder.item("i"), 86400);
  builder.add(builder.user("u"), builder.item("i"), 172800);
  const Dataset data = std::move(builder).build("days");

  EXPECT_EQ(session_rule(data, {}), SessionRule::kDay);
  EXPECT_TRUE(starts_session(data.history(0)[0], data.history(0)[1], SessionRule::kDay, 30));
  EXPECT_EQ(session_rule(lengths({2}), {}), SessionRule::kNone);
}

TEST(GapBucket, IsTheFloorOfTheLogarithm) {
  EXPECT_EQ(gap_bucket(0), 0);
  EXPECT_EQ(gap_bucket(kHour - 1), 0);
  EXPECT_EQ(gap_bucket(kHour), 1);
  EXPECT_EQ(gap_bucket(3 * kHour), 2);
  EXPECT_EQ(gap_bucket(1'000'000'000), 15);
}

TEST(QueryBatch, EndsWithTheWholeHistoryAndTakesAnEmptyOne) {
  const Dataset data = lengths({3});
  const std::vector<std::span<const Event>> histories = {data.history(0), {}};

  const SequenceBatch batch = make_query_batch(histories, SessionRule::kNone, {});

  EXPECT_EQ(batch.inputs, (std::vector<std::int64_t>{kDummyItem, 0, 1, 2, kDummyItem}));
  EXPECT_TRUE(batch.targets.empty());
}

// Sessions by gaps of 30 minutes: 0 1 | 2 | 3 4.
Dataset three_sessions() {
  DatasetBuilder builder(true);
  const UserId user = builder.user("u");
  const std::vector<std::int64_t> times = {0, 60, 2 * kHour, 9 * kHour, 9 * kHour + 60};
  for (std::size_t n = 0; n < times.size(); ++n) {
    builder.add(user, builder.item("i" + std::to_string(n)), times[n]);
  }
  return std::move(builder).build("three sessions");
}

SequenceOptions dummies_by_session() {
  SequenceOptions options;
  options.dummy_per = "session";
  options.sessions = "gap";
  return options;
}

TEST(DummyPerSession, AsksForTheFirstItemOfASessionAtItsDummy) {
  const Dataset data = three_sessions();

  const SequenceBatch batch = make_batch(data, everyone(data), dummies_by_session());

  // d->0  0->1  1->nothing | d->2  2->nothing | d->3  3->4
  EXPECT_EQ(batch.inputs,
            (std::vector<std::int64_t>{kDummyItem, 0, 1, kDummyItem, 2, kDummyItem, 3}));
  EXPECT_EQ(batch.asked, (std::vector<std::int64_t>{0, 1, 3, 5, 6}));
  EXPECT_EQ(batch.targets, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(batch.session_start, (std::vector<std::uint8_t>{1, 0, 0, 1, 0, 1, 0}));
  EXPECT_EQ(batch.gap_bucket, (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 0, 3}));
}

TEST(DummyPerSession, EndsAQueryWithADummyWhenItsTimeOpensASession) {
  const Dataset data = three_sessions();
  const auto history = data.history(0).first(3);  // 0 1 | 2
  const std::vector<std::span<const Event>> histories = {history, history, history, {}};
  const std::vector<QueryTime> times = {2 * kHour + 60, 9 * kHour, std::nullopt, 0};

  const SequenceBatch batch =
      make_query_batch(histories, SessionRule::kGap, dummies_by_session(), times);

  const std::vector<std::int64_t> read = {kDummyItem, 0, 1, kDummyItem, 2};
  std::vector<std::int64_t> expected = read;                  // in the open session
  expected.insert(expected.end(), read.begin(), read.end());  // a new one:
  expected.push_back(kDummyItem);                             // its dummy
  expected.insert(expected.end(), read.begin(), read.end());  // nobody knows when
  expected.push_back(kDummyItem);                             // no history
  EXPECT_EQ(batch.inputs, expected);
  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 5, 11, 16, 17}));
}

TEST(DummyPerSession, IsNotReadFromTheTimeWithOneDummyPerUser) {
  const Dataset data = three_sessions();
  const std::vector<std::span<const Event>> histories = {data.history(0).first(1)};
  const std::vector<QueryTime> times = {9 * kHour};

  const SequenceBatch batch = make_query_batch(histories, SessionRule::kGap, {}, times);

  EXPECT_EQ(batch.inputs, (std::vector<std::int64_t>{kDummyItem, 0}));
}

TEST(DummyPerSession, WindowsLaidEndToEndAreTheWholeSequence) {
  const Dataset data = three_sessions();
  SequenceOptions options = dummies_by_session();
  const SequenceBatch whole = make_batch(data, everyone(data), options);
  options.full_length = 1;
  options.window = 2;

  const EpochPlan plan(data, everyone(data), options, Rng(1));

  SequenceBatch joined;
  ASSERT_EQ(plan.groups(), 1U);
  for (const SequenceBatch& window : plan.group(0)) {
    for (const std::int64_t step : window.asked) joined.asked.push_back(joined.steps() + step);
    joined.inputs.insert(joined.inputs.end(), window.inputs.begin(), window.inputs.end());
    joined.targets.insert(joined.targets.end(), window.targets.begin(), window.targets.end());
    joined.session_start.insert(joined.session_start.end(), window.session_start.begin(),
                                window.session_start.end());
  }
  EXPECT_EQ(joined.inputs, whole.inputs);
  EXPECT_EQ(joined.asked, whole.asked);
  EXPECT_EQ(joined.targets, whole.targets);
  EXPECT_EQ(joined.session_start, whole.session_start);
  EXPECT_EQ(plan.targets(), 5);
}

TEST(EpochPlan, CoversEveryTargetOnceInWindowsThatContinue) {
  const Dataset data = lengths({100, 70, 65, 64, 10, 3, 3, 1, 0});
  SequenceOptions options;
  options.batch_size = 2;

  const EpochPlan plan(data, everyone(data), options, Rng(1));

  std::int64_t targets = 0;
  std::map<std::int64_t, int> longest;
  for (std::size_t g = 0; g < plan.groups(); ++g) {
    const auto windows = plan.group(g);
    for (std::size_t w = 0; w < windows.size(); ++w) {
      targets += static_cast<std::int64_t>(windows[w].targets.size());
      EXPECT_LE(windows[w].sequences(), 2);
      if (w == 0) continue;
      EXPECT_LE(windows[w].sequences(), windows[w - 1].sequences());
      for (std::int64_t b = 0; b < windows[w].sequences(); ++b) {
        // The first input continues the last target of the window before.
        const auto at = static_cast<std::size_t>(b);
        const auto last = static_cast<std::size_t>(windows[w - 1].offsets[at + 1] - 1);
        const auto first = static_cast<std::size_t>(windows[w].offsets[at]);
        EXPECT_EQ(windows[w].inputs[first], windows[w - 1].targets[last]);
      }
    }
    ++longest[static_cast<std::int64_t>(windows.size())];
  }
  EXPECT_EQ(targets, 100 + 70 + 65 + 64 + 10 + 3 + 3 + 1);
  EXPECT_EQ(plan.targets(), targets);
  EXPECT_EQ(longest[4], 1);  // 100 and 70: windows of 32
  EXPECT_EQ(longest[3], 1);  // 65 alone
}

TEST(EpochPlan, ChangesWithTheRngAndOnlyWithIt) {
  const Dataset data = lengths(std::vector<int>(40, 5));
  SequenceOptions options;
  options.batch_size = 4;
  const auto inputs = [&](std::uint64_t seed) {
    const EpochPlan plan(data, everyone(data), options, Rng(seed));
    return plan.groups();
  };

  EXPECT_EQ(inputs(1), 10U);
}

}  // namespace
}  // namespace kindling
