#include "kindling/data/scenarios.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/synthetic_scenarios.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

using Rows = std::vector<std::pair<std::string, std::string>>;

Dataset dataset_of(const std::string& name, const Rows& rows, const Rows& categories = {}) {
  DatasetBuilder builder(false);
  for (const auto& [user, item] : rows) builder.add(builder.user(user), builder.item(item), 0);
  for (const auto& [item, path] : categories) {
    Item known;
    known.title = item;
    std::size_t at = 0;
    while (at <= path.size()) {
      const std::size_t end = std::min(path.find('|', at), path.size());
      known.categories.push_back(path.substr(at, end - at));
      at = end + 1;
    }
    builder.set_item(builder.item(item), known);
  }
  return std::move(builder).build(name);
}

ScenarioOptions tiny_options() {
  ScenarioOptions options;
  options.min_items = 2;
  options.min_users = 2;
  options.min_pairs = 2;
  options.validation_share = 0.0;
  return options;
}

// Users a, b, c, d are shared; x and y are target-only.
struct Tiny {
  Dataset source = dataset_of("source", {{"a", "s1"}, {"b", "s1"}, {"c", "s2"}, {"d", "s2"}});
  Dataset train =
      dataset_of("train", {{"a", "t1"}, {"a", "t1"}, {"b", "t2"}, {"x", "t1"}, {"y", "t2"}},
                 {{"t1", "Root|Leaf"}, {"t2", "Root|Other|Leaf"}});
  Dataset test = dataset_of(
      "test",
      {{"a", "e1"}, {"b", "e2"}, {"c", "e1"}, {"d", "e3"}, {"x", "e1"}, {"y", "e2"}, {"c", "s3"}},
      {{"e1", "E"}, {"e2", "E"}, {"e3", "E"}, {"s3", "lonely"}});

  ScenarioSources sources() const { return {{&source}, {&train}, {&test}}; }
};

TEST(Scenarios, WorldHoldsNoPairOfASharedUserWithAScenario) {
  const Tiny tiny;
  const ScenarioSet set = build_scenarios(tiny.sources(), tiny_options());

  std::set<UserId> in_source;
  for (UserId user = 0; user < set.world.user_count(); ++user) {
    for (const Event& event : set.world.history(user)) {
      if (event.item < set.source_items) in_source.insert(user);
    }
  }
  EXPECT_EQ(in_source.size(), 4U);
  EXPECT_EQ(set.world.event_count(), 8U);  // 4 of the source, 4 of x and y
  for (const UserId user : in_source) {
    for (const Event& event : set.world.history(user)) EXPECT_LT(event.item, set.source_items);
  }
}

TEST(Scenarios, PairsCountOnceAndItemsWithoutAVectorLeave) {
  const Tiny tiny;
  const ScenarioSet set = build_scenarios(tiny.sources(), tiny_options());

  ASSERT_EQ(set.meta_train.size(), 1U);
  EXPECT_EQ(set.meta_train[0].name, "Leaf");
  EXPECT_EQ(set.meta_train[0].pairs.size(), 2U);
  ASSERT_EQ(set.meta_test.size(), 1U);
  EXPECT_EQ(set.meta_test[0].candidates.size(), 2U);  // no target-only user has chosen e3
}

TEST(Scenarios, TargetOnlyPairsAreThoseOfTheScenario) {
  const Tiny tiny;
  const ScenarioSet set = build_scenarios(tiny.sources(), tiny_options());

  const auto pairs = set.target_only(set.meta_test[0]);

  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(set.world.user_ids().name(pairs[0].user), "x");
  EXPECT_EQ(set.world.item_ids().name(pairs[0].item), "e1");
}

TEST(Scenarios, AnItemBelongsToOneSideOnly) {
  const Dataset source = dataset_of("source", {{"a", "t1"}, {"a", "s1"}, {"b", "s1"}});
  const Tiny tiny;
  const ScenarioSet set = build_scenarios({{&source}, {&tiny.train}, {}}, [] {
    ScenarioOptions options = tiny_options();
    options.train_share = 0.5;
    options.by = "category";
    options.overlap = "keep";  // Root and Leaf have the same items
    return options;
  }());

  const auto t1 = set.world.item_ids().find("t1");
  ASSERT_TRUE(t1.has_value());
  EXPECT_GE(*t1, set.source_items);
  EXPECT_EQ(set.meta_train.size() + set.meta_test.size(), 2U);  // Root and Leaf, not Other
}

TEST(Scenarios, SupportTakesHalfOfTheUsersAndNoMore) {
  Scenario scenario{"s", {}, {}, {}, {}};
  for (UserId user = 0; user < 7; ++user) {
    scenario.pairs.push_back({user, 10});
    scenario.pairs.push_back({user, 11 + user});
  }
  const Scenario split = split_scenario(scenario, {}, Rng(3));

  std::set<UserId> support;
  for (const UserItem& pair : split.support) support.insert(pair.user);
  EXPECT_EQ(support.size(), 4U);  // 0, 1, 2, 3 used are fewer than half of 7
  EXPECT_EQ(split.support.size(), 8U);
  EXPECT_EQ(split.evaluation.size(), 6U);
  EXPECT_EQ(split.candidates.size(), 8U);
  for (const UserItem& pair : split.evaluation) EXPECT_FALSE(support.contains(pair.user));
  EXPECT_EQ(split, split_scenario(scenario, {}, Rng(3)));
}

TEST(Scenarios, SupportIsTheFirstPairsOfItsPool) {
  Scenario scenario{"s", {}, {}, {}, {}};
  for (UserId user = 0; user < 400; ++user) scenario.pairs.push_back({user, user % 9});
  ScenarioOptions options;
  options.support_pool = 100;
  const Scenario split = split_scenario(scenario, options, Rng(3));

  EXPECT_EQ(split.support.size(), 64U);
  EXPECT_EQ(split.evaluation.size(), 300U);
}

TEST(Scenarios, SplitAtRandomTakesTheSourceFromWhatIsInNone) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::vector<std::pair<std::string, std::string>> categories;
  for (int item = 0; item < 30; ++item) {
    const std::string id = "i" + std::to_string(item);
    categories.emplace_back(id, item < 20 ? "g" + std::to_string(item / 2) : "rare");
    for (int user = 0; user < 20; ++user) {
      if ((item * 7 + user * 3) % 5 != 0) rows.emplace_back("u" + std::to_string(user), id);
    }
  }
  const Dataset data = dataset_of("movies", rows, categories);
  ScenarioOptions options = tiny_options();
  options.max_items = 9;
  options.vector_users = 0.4;
  options.validation_share = 0.2;

  const ScenarioSet set = build_scenarios({{}, {&data}, {}}, options);

  EXPECT_EQ(set.source_items, 10U);  // "rare" has too many items for a scenario
  EXPECT_EQ(set.meta_test.size(), 3U);
  EXPECT_EQ(set.validation.size(), 1U);  // a fifth of seven, rounded
  EXPECT_EQ(set.meta_train.size(), 6U);
}

// Each item has two genres, as films have: 20 users, 30 items, 10 genres.
Dataset overlapping_genres() {
  Rows rows;
  Rows categories;
  for (int item = 0; item < 30; ++item) {
    const std::string id = "i" + std::to_string(item);
    categories.emplace_back(
        id, "g" + std::to_string(item % 10) + "|g" + std::to_string((item * 3 + 1) % 10));
    for (int user = 0; user < 20; ++user) {
      if ((item * 7 + user * 3) % 5 != 0) rows.emplace_back("u" + std::to_string(user), id);
    }
  }
  for (int user = 0; user < 20; ++user) rows.emplace_back("u" + std::to_string(user), "source");
  return dataset_of("movies", rows, categories);
}

// Asked pairs of `asked` that are among the meta-train pairs.
std::size_t learnt_pairs(const ScenarioSet& set, const std::vector<Scenario>& asked) {
  std::size_t count = 0;
  for (const Scenario& task : asked) {
    for (const UserItem& pair : task.evaluation) {
      for (const Scenario& train : set.meta_train) {
        count += static_cast<std::size_t>(std::count(train.pairs.begin(), train.pairs.end(), pair));
      }
    }
  }
  return count;
}

TEST(Scenarios, WhatIsAskedIsNotLearntWhenGenresOverlap) {
  const Dataset data = overlapping_genres();
  ScenarioOptions options = tiny_options();
  options.by = "category";
  options.vector_users = 0.4;
  options.validation_share = 0.3;
  const ScenarioSet separate = build_scenarios({{}, {&data}, {}}, options);
  options.overlap = "keep";
  const ScenarioSet kept = build_scenarios({{}, {&data}, {}}, options);

  EXPECT_GT(learnt_pairs(kept, kept.meta_test), 0U);
  EXPECT_GT(learnt_pairs(kept, kept.validation), 0U);
  EXPECT_EQ(learnt_pairs(separate, separate.meta_test), 0U);
  EXPECT_EQ(learnt_pairs(separate, separate.validation), 0U);
  EXPECT_EQ(separate.meta_test, kept.meta_test);  // the question stays the same
}

TEST(Scenarios, SaysWhichBoundsLeaveNothing) {
  const Tiny tiny;
  ScenarioOptions options = tiny_options();
  options.min_items = 50;
  try {
    build_scenarios(tiny.sources(), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_NE(error.hint().find("min_items 50"), std::string::npos);
  }
}

TEST(Scenarios, SavedAndLoadedTheyAreTheSame) {
  const TempDir dir;
  const Tiny tiny;
  const ScenarioSet set = build_scenarios(tiny.sources(), tiny_options());
  save_scenarios(set, dir.file("set"));

  const ScenarioSet loaded = load_scenarios(dir.file("set"));

  EXPECT_EQ(loaded.fingerprint(), set.fingerprint());
  EXPECT_EQ(loaded.meta_test, set.meta_test);
  EXPECT_EQ(loaded.recipe, set.recipe);
  EXPECT_THROW(save_scenarios(set, dir.file("set")), Error);
}

TEST(Scenarios, EveryPrefixOfTheirLastTaskIsRefused) {
  const TempDir dir;
  const Tiny tiny;
  save_scenarios(build_scenarios(tiny.sources(), tiny_options()), dir.file("set"));
  const std::string tasks = read_file(dir.file("set/tasks.jsonl"));
  Json record = read_json(dir.file("set/scenarios.json"));

  const std::size_t last = tasks.rfind('\n', tasks.size() - 2);
  for (std::size_t length = last; length + 1 < tasks.size(); ++length) {
    const std::string part = tasks.substr(0, length);
    record["tasks_sha256"] = sha256(part);
    dir.write("set/tasks.jsonl", part);
    dir.write("set/scenarios.json", record.dump());
    try {
      load_scenarios(dir.file("set"));
      FAIL() << length;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kCorrupt) << error.what();
    }
  }
}

TEST(SyntheticScenarios, SameSeedGivesTheSameSet) {
  ScenarioOptions options;
  options.min_items = 20;
  options.min_users = 40;
  const auto set = [&](std::uint64_t seed) {
    return build_scenarios(make_synthetic_scenarios({}, seed).sources(), options);
  };

  EXPECT_EQ(set(3).fingerprint(), set(3).fingerprint());
  EXPECT_NE(set(3).fingerprint(), set(4).fingerprint());
  EXPECT_EQ(set(3).meta_test.size(), 6U);
  EXPECT_EQ(synthetic_topic("test-s1-i6", 4), 2U);
}

}  // namespace
}  // namespace kindling
