#include "kindling/eval/few_shot_queries.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

Dataset three_users() {
  DatasetBuilder builder(false);
  for (const char* user : {"u0", "u1", "u2"}) builder.add(builder.user(user), builder.item("i"), 0);
  return std::move(builder).build("world");
}

// Two scenarios: u0 alone, then all three; `places` says how many candidates stand in front of the
// one right item of each.
FewShotResult result_of(const std::vector<double>& places) {
  FewShotResult result;
  result.options.cutoffs = {1, 2};
  result.scenarios.resize(2);
  result.scenarios[0].name = "bar\tsoap";
  result.scenarios[0].users = {{0, {{places[0], 0, 0}}}};
  result.scenarios[1].name = "tea";
  for (UserId user = 0; user < 3; ++user) {
    result.scenarios[1].users.push_back({user, {{places[1 + user], 0, 0}}});
  }
  return result;
}

class SavedScenarioUsers : public ::testing::Test {
 protected:
  void SetUp() override {
    save_scenario_users(scenario_users(result_of({0, 1, 1, 9}), world_), path_);
  }
  std::string refusal(const std::string& content) const {
    write_file(path_, content);
    try {
      load_scenario_users(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kBadInput);
      return error.what();
    }
    return "nothing was refused";
  }

  TempDir dir_;
  std::string path_ = dir_.file("users.tsv");
  Dataset world_ = three_users();
};

TEST_F(SavedScenarioUsers, HoldEveryMetricOfEveryUser) {
  const ScenarioUsers saved = load_scenario_users(path_);

  EXPECT_THAT(saved.metrics,
              ElementsAre("recall@1", "recall@2", "ndcg@1", "ndcg@2", "hr@1", "hr@2"));
  ASSERT_EQ(saved.users.size(), 4U);
  EXPECT_EQ(saved.users[0].scenario, "bar soap");
  EXPECT_EQ(saved.users[0].user, "u0");
  EXPECT_THAT(saved.users[0].values, ElementsAre(1, 1, 1, 1, 1, 1));
  EXPECT_EQ(saved.users[1].scenario, "tea");
  EXPECT_EQ(saved.users[1].values[0], 0.0);
  EXPECT_EQ(saved.users[1].values[1], 1.0);
  EXPECT_DOUBLE_EQ(saved.users[1].values[3], 1.0 / std::log2(3.0));
  EXPECT_EQ(saved.users[3].values[5], 0.0);
}

TEST_F(SavedScenarioUsers, AreHeldAgainstBySeedsUserByUserOrScenarioByScenario) {
  SavedScenarios by_user(path_, "recall@1");
  SavedScenarios by_scenario(path_, "macro_recall@1");
  for (SavedScenarios* saved : {&by_user, &by_scenario}) {
    saved->add(result_of({0, 0, 1, 9}), world_);  // one user of tea more
    saved->add(result_of({0, 0, 0, 9}), world_);  // two
  }

  EXPECT_DOUBLE_EQ(by_user.result(Rng(1)).difference, 1.5 / 4);
  EXPECT_DOUBLE_EQ(by_scenario.result(Rng(1)).difference, 0.5 / 2);
  EXPECT_EQ(by_scenario.result(Rng(1)).pairs, 4U);
}

TEST_F(SavedScenarioUsers, OfOtherScenariosAreRefused) {
  SavedScenarios saved(path_, "recall@1");
  FewShotResult other = result_of({0, 1, 1, 9});
  other.scenarios[1].name = "coffee";
  FewShotResult fewer = result_of({0, 1, 1, 9});
  fewer.scenarios[1].users.pop_back();
  FewShotResult more = result_of({0, 1, 1, 9});
  more.scenarios[1].users.push_back(more.scenarios[0].users[0]);

  for (const FewShotResult* one : {&other, &fewer, &more}) {
    EXPECT_THROW(saved.add(*one, world_), Error);
  }
  try {
    const SavedScenarios absent(path_, "recall@20");
    FAIL() << "the file has no such column";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
    EXPECT_THAT(error.hint(), HasSubstr("recall@1, recall@2"));
  }
}

TEST_F(SavedScenarioUsers, RefuseDamagedFiles) {
  EXPECT_THAT(refusal(""), HasSubstr("not a file of the users of scenarios"));
  EXPECT_THAT(refusal("user\tposition\titem\trank\trank_unseen\n"), HasSubstr(":1"));
  EXPECT_THAT(refusal("scenario\tuser\n"), HasSubstr("not a file"));
  const std::string heading = "scenario\tuser\trecall@1\n";
  for (const char* line : {"s\tu", "s\tu\t0.5\t0.5", "s\tu\t1.5", "s\tu\tnan", "s\tu\t", ""}) {
    EXPECT_THAT(refusal(heading + "s\tu\t1\n" + line + "\n"), HasSubstr("users.tsv:3")) << line;
  }
}

}  // namespace
}  // namespace kindling
