// CMF of the few-shot tables: popularity reaches users who never were in the scenario.
#include <gtest/gtest.h>

#include "kindling/data/dataset.h"
#include "kindling/models/few_shot.h"

namespace kindling {
namespace {

// 200 users of the target alone take item t0, 40 of them t1, two t2; ten users know the source
// only.
ScenarioSet skewed_world() {
  ScenarioSet set;
  DatasetBuilder builder(false);
  for (int item = 0; item < 40; ++item) builder.item("s" + std::to_string(item));
  for (int item = 0; item < 3; ++item) builder.item("t" + std::to_string(item));
  set.source_items = 40;
  for (int user = 0; user < 10; ++user) {
    const UserId known = builder.user("shared" + std::to_string(user));
    for (int item = 0; item < 3; ++item) {
      builder.add(known, static_cast<ItemId>(4 * user + item), 0);
    }
  }
  for (int user = 0; user < 200; ++user) {
    const UserId there = builder.user("there" + std::to_string(user));
    builder.add(there, 40, 0);
    if (user < 40) builder.add(there, 41, 1);
    if (user < 2) builder.add(there, 42, 2);
  }
  set.world = std::move(builder).build("world");
  Scenario scenario;
  scenario.name = "skewed";
  scenario.candidates = {40, 41, 42};
  scenario.support = {{0, 40}, {1, 41}, {2, 42}};
  scenario.evaluation = {{7, 40}, {8, 40}, {9, 40}};
  set.meta_test = {scenario};
  return set;
}

TEST(Libmf, CarriesPopularityFromUserToUser) {
  const ScenarioSet set = skewed_world();
  const FrozenVectors vectors;
  const FewShotTask task{&set, &vectors};
  const auto model = find_few_shot("libmf").make({{"grid", "false"}, {"steps", "3"}});
  FitContext context;
  model->fit(task, context);

  const auto scorer = model->adapt(task, set.meta_test.front(), Rng(1), nullptr);
  const Matrix scores =
      scorer->score(std::vector<UserId>{7, 8, 9}, set.meta_test.front().candidates);

  for (std::size_t user = 0; user < 3; ++user) {
    EXPECT_GT(scores(user, 0), scores(user, 1)) << user;
    EXPECT_GT(scores(user, 0), scores(user, 2)) << user;
  }
}

TEST(ChosenItems, KnowsWhoHasChosenWhat) {
  const ChosenItems chosen({{3, 1}, {0, 2}, {3, 0}});

  EXPECT_TRUE(chosen.has(3, 0));
  EXPECT_TRUE(chosen.has(0, 2));
  EXPECT_FALSE(chosen.has(0, 1));
  EXPECT_FALSE(chosen.has(4, 0));
}

}  // namespace
}  // namespace kindling
