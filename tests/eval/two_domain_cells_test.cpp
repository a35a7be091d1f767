// Cells of two domains: the same people and lists for all, whichever domain is the target.
#include "kindling/eval/two_domain_cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

// 40 users of `name`, of whom the first 30 are in both domains; 60 items.
void write_domain(const TempDir& dir, const std::string& name) {
  DatasetBuilder builder(false);
  for (int u = 0; u < 40; ++u) {
    const UserId user = builder.user((u < 30 ? "u" : name) + std::to_string(u));
    for (int t = 0; t < 6; ++t) {
      builder.add(user, builder.item(name + std::to_string((u * 7 + t * 11) % 60)), 0);
    }
  }
  save_dataset(std::move(builder).build(name), dir.file(name));
}

class TwoDomainCell : public ::testing::Test {
 protected:
  void SetUp() override {
    write_domain(dir_, "a");
    write_domain(dir_, "b");
    task_.kind = "two-domain";
    task_.model = "pop";
    task_.data = {{"source", dir_.file("a")}, {"target", dir_.file("b")}};
    task_.protocol = "leave-two-out";
    task_.settings = {{"candidates", "popularity:20"}};
    task_.work = dir_.file("work");
  }

  TempDir dir_;
  CellTask task_;
};

TEST_F(TwoDomainCell, RanksAmongListsWithUniformOnesAndTheCatalogueBeside) {
  const CellResult result = two_domain_cells().run(task_);

  EXPECT_EQ(result.more["queries"], 40);
  EXPECT_EQ(result.more["candidates"], 21);
  EXPECT_EQ(result.ranks.size(), 40U);
  for (const char* metric : {"hr@5", "ndcg@20", "uniform:hr@10", "full:ndcg@10"}) {
    EXPECT_TRUE(result.metrics.contains(metric)) << metric;
  }
  EXPECT_LT(result.metrics["full:hr@10"].get<double>(),
            result.metrics["uniform:hr@10"].get<double>());
}

// A user of the target whose last item nobody else has: his query is not warm.
TEST_F(TwoDomainCell, TellsQueriesWithATrainedAnswer) {
  DatasetBuilder builder(false);
  for (int u = 0; u < 40; ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (int t = 0; t < 5; ++t) builder.add(user, builder.item(std::to_string((u + t) % 30)), 0);
  }
  for (const char* item : {"1", "2", "3", "nobody's"}) {
    builder.add(builder.user("alone"), builder.item(item), 0);
  }
  save_dataset(std::move(builder).build("cold"), dir_.file("cold"));
  task_.data["target"] = dir_.file("cold");

  const CellResult result = two_domain_cells().run(task_);

  EXPECT_EQ(result.more["queries"], 41);
  EXPECT_EQ(result.more["warm_queries"], 40);
  ASSERT_TRUE(result.metrics.contains("warm:hr@10"));
  // POP puts an item without events behind all others: a miss among 41 queries.
  EXPECT_NEAR(result.metrics["hr@10"].get<double>() * 41,
              result.metrics["warm:hr@10"].get<double>() * 40, 1e-6);
  EXPECT_TRUE(two_domain_cells().has_metric("warm:ndcg@10"));
  EXPECT_FALSE(two_domain_cells().has_metric("warm:nonsense"));
}

TEST_F(TwoDomainCell, AsksTheFirstQueriesOnlyAndSaysSo) {
  const CellResult all = two_domain_cells().run(task_);
  task_.settings["max_queries"] = 15;

  const CellResult part = two_domain_cells().run(task_);

  EXPECT_EQ(part.more["queries"], 15);
  EXPECT_EQ(part.more["queries_in_all"], 40);
  EXPECT_FALSE(all.more.contains("queries_in_all"));
  EXPECT_EQ(part.ranks, std::vector<float>(all.ranks.begin(), all.ranks.begin() + 15));
  EXPECT_NE(part.queries, all.queries);
}

TEST_F(TwoDomainCell, TakesRepeatsOutOfQueriesAlone) {
  task_.settings["collapse"] = "any";

  const CellResult result = two_domain_cells().run(task_);

  EXPECT_EQ(result.more["queries"], 40);  // there are no repeats here
  task_.settings["collapse"] = "all";
  EXPECT_THROW(two_domain_cells().run(task_), Error);
}

TEST_F(TwoDomainCell, TellsTheTestItemsToAModelThatLeaks) {
  task_.model = "autorec";
  task_.options = {{"dim", "8"},
                   {"layers", "1"},
                   {"hidden", "8"},
                   {"batch_size", "16"},
                   {"pretrain_steps", "2"},
                   {"finetune_steps", "2"},
                   {"negatives_exclude", "training+test"}};

  EXPECT_EQ(two_domain_cells().run(task_).more["queries"], 40);
}

// Pairs with one target share the rows of models that learn from it alone.
TEST_F(TwoDomainCell, ReadsTheSourceWhereTheResultDependsOnIt) {
  const CellRunner& runner = two_domain_cells();
  const Json plain = Json::object();
  EXPECT_FALSE(runner.reads("source", "seqrec", plain));
  EXPECT_TRUE(runner.reads("target", "seqrec", plain));
  EXPECT_TRUE(runner.reads("source", "cmf", plain));
  EXPECT_TRUE(runner.reads("source", "seqrec", {{"overlap", 0.5}}));
  EXPECT_TRUE(runner.reads("source", "seqrec", {{"max_users", 100}}));

  const CellResult with = two_domain_cells().run(task_);
  task_.data.erase("source");
  const CellResult without = two_domain_cells().run(task_);

  EXPECT_EQ(with.ranks, without.ranks);
  EXPECT_EQ(with.queries, without.queries);
  EXPECT_FALSE(without.more["data"].contains("source_users"));
}

TEST_F(TwoDomainCell, ThinsTheOverlapAlikeInBothDirections) {
  task_.settings["overlap"] = 0.5;
  const CellResult there = two_domain_cells().run(task_);
  std::swap(task_.data["source"], task_.data["target"]);
  const CellResult back = two_domain_cells().run(task_);

  EXPECT_EQ(there.more["data"]["shared_users"], 15);
  EXPECT_EQ(there.more["data"]["source_users"], back.more["data"]["target_users"]);
  EXPECT_EQ(there.more["data"]["target_items"], back.more["data"]["source_items"]);
  EXPECT_EQ(
      there.more["data"]["source_users"].get<int>() + there.more["data"]["target_users"].get<int>(),
      80 - 15);
}

TEST_F(TwoDomainCell, CapsUsersButKeepsCommonOnesFirst) {
  task_.settings["max_users"] = 33;

  const CellResult result = two_domain_cells().run(task_);

  EXPECT_EQ(result.more["data"]["target_users"], 33);
  EXPECT_EQ(result.more["data"]["shared_users"], 30);
}

TEST_F(TwoDomainCell, KeepsTheCurvesOfAModelWithPhases) {
  task_.model = "recguru";
  task_.settings["plots"] = true;
  task_.options = {{"dim", "8"},
                   {"layers", "1"},
                   {"hidden", "8"},
                   {"batch_size", "16"},
                   {"pretrain_steps", "2"},
                   {"adversarial_steps", "2"},
                   {"finetune_steps", "4"},
                   {"evaluate_every", "2"}};

  const CellResult result = two_domain_cells().run(task_);

  const Json& plots = result.more["plots"];
  ASSERT_EQ(plots.size(), 4U);
  EXPECT_EQ(plots[0]["lines"].size(), 2U);  // reconstruction of both domains
  EXPECT_EQ(plots[1]["lines"].size(), 2U);  // distance and the critic's loss
  EXPECT_FALSE(plots[2]["lines"][0]["points"].empty());
  EXPECT_TRUE(result.metrics.contains("validation_hr@10"));
}

TEST_F(TwoDomainCell, RefusesListsThatDoNotFitTheCatalogue) {
  task_.settings["candidates"] = "popularity:500";

  try {
    two_domain_cells().run(task_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("500"));
  }
}

TEST_F(TwoDomainCell, RefusesAFileOfLists) {
  task_.settings["candidates"] = "lists.candidates";

  EXPECT_THROW(two_domain_cells().run(task_), Error);
}

}  // namespace
}  // namespace kindling
