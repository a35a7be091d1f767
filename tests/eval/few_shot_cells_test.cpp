// Experiment cells that adapt to scenarios, and the plots of what a scenario's learning did.
#include "kindling/eval/few_shot_cells.h"

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/eval/experiment_data.h"
#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/learning_plots.h"
#include "tests/support/few_shot_world.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;

class FewShotCells : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new testing::TempDir;
    SyntheticScenarioOptions world;
    world.train_scenarios = 6;
    world.test_scenarios = 3;
    const SyntheticScenarios raw = make_synthetic_scenarios(world, 5);
    save_dataset(raw.source, dir_->file("source"));
    save_dataset(raw.meta_train, dir_->file("train"));
    save_dataset(raw.meta_test, dir_->file("test"));
  }
  static void TearDownTestSuite() { delete dir_; }

  static CellTask task(const std::string& model, const OptionValues& options = {}) {
    CellTask task;
    task.kind = "few-shot";
    task.model = model;
    task.options = options;
    task.data = {{"source", dir_->file("source")},
                 {"meta-train", dir_->file("train")},
                 {"meta-test", dir_->file("test")}};
    task.settings = {{"min_items", 10},  {"min_users", 20},      {"validation_share", 0.2},
                     {"vectors_dim", 8}, {"vectors_epochs", 10}, {"trace", "largest"},
                     {"forced_steps", 3}};
    task.seed = 4;
    task.work = dir_->file("work");
    task.shared = dir_->file("out");
    std::filesystem::create_directories(task.work);
    return task;
  }

  static testing::TempDir* dir_;
};

testing::TempDir* FewShotCells::dir_ = nullptr;

TEST_F(FewShotCells, MeasureTheLearnerAndEveryForcedNumberOfSteps) {
  const CellResult result =
      few_shot_cells().run(task("s2meta", {{"tasks", "30"}, {"min_steps", "0"}}));

  for (const char* metric : {"recall@20", "macro_recall@10", "below_itempop", "below_unadapted",
                             "steps", "recall@20/0", "recall@20/3"}) {
    EXPECT_TRUE(result.metrics.contains(metric)) << metric;
  }
  EXPECT_FALSE(result.metrics.contains("recall@20/4"));
  // After no step at all the recommender is the unadapted one.
  double unadapted = 0.0;
  double users = 0.0;
  for (const Json& scenario : result.more["scenarios"]) {
    const auto count = scenario["users"].get<double>();
    unadapted += count * scenario["unadapted_recall@20"].get<double>();
    users += count;
  }
  EXPECT_NEAR(result.metrics["recall@20/0"].get<double>(), unadapted / users, 1e-9);
  EXPECT_EQ(result.more["frozen_vectors"]["options"]["dim"], 8);
  EXPECT_EQ(result.more["plots"].size(), 5U);
  EXPECT_EQ(result.more["history"].size(), 1U);
}

// What rows are compared by: the metrics of every user, and the scenario that each was asked in.
TEST_F(FewShotCells, SayTheMetricsOfEveryUser) {
  const CellResult result = few_shot_cells().run(task("itempop"));

  const auto queries = result.more["queries"].get<std::size_t>();
  ASSERT_EQ(result.scenarios.size(), queries);
  EXPECT_FALSE(result.queries.empty());
  EXPECT_TRUE(result.ranks.empty());
  ASSERT_EQ(result.values.count("ndcg@50"), 1U);
  std::vector<double> sums(result.more["scenarios"].size(), 0.0);
  const std::vector<float>& recalls = result.values.at("recall@20");
  ASSERT_EQ(recalls.size(), queries);
  for (std::size_t q = 0; q < queries; ++q) {
    sums.at(static_cast<std::size_t>(result.scenarios[q])) += static_cast<double>(recalls[q]);
  }
  double pooled = 0.0;
  double macro = 0.0;
  for (std::size_t n = 0; n < sums.size(); ++n) {
    const Json& scenario = result.more["scenarios"][n];
    pooled += sums[n] / static_cast<double>(queries);
    macro += sums[n] / scenario["users"].get<double>() / static_cast<double>(sums.size());
    EXPECT_NEAR(sums[n], scenario["recall@20"].get<double>() * scenario["users"].get<double>(),
                1e-4);
  }
  EXPECT_NEAR(pooled, result.metrics["recall@20"].get<double>(), 1e-6);
  EXPECT_NEAR(macro, result.metrics["macro_recall@20"].get<double>(), 1e-6);
}

TEST_F(FewShotCells, MakeScenariosAndVectorsOnceForAllRows) {
  few_shot_cells().run(task("itempop"));
  const std::filesystem::path made = dir_->file("out") + "/scenarios";
  ASSERT_TRUE(std::filesystem::exists(made));
  const auto folder = std::filesystem::directory_iterator(made)->path();
  const auto written = std::filesystem::last_write_time(folder / "scenarios.json");

  const CellResult popular = few_shot_cells().run(task("itempop"));

  EXPECT_EQ(std::filesystem::last_write_time(folder / "scenarios.json"), written);
  EXPECT_EQ(popular.metrics["below_itempop"], 0.0);
  EXPECT_FALSE(popular.metrics.contains("recall@20/0"));
}

TEST_F(FewShotCells, SayWhichScenariosToRemoveWhenTheyAreDamaged) {
  CellTask damaged = task("itempop");
  damaged.shared = dir_->file("damaged");
  few_shot_cells().run(damaged);
  const auto folder = std::filesystem::directory_iterator(damaged.shared + "/scenarios")->path();
  std::filesystem::resize_file(folder / "scenarios.json", 7);

  std::string message;
  try {
    few_shot_cells().run(damaged);
  } catch (const Error& error) {
    message = with_remedy(error, damaged.shared).what();
  }

  EXPECT_THAT(message, HasSubstr("remove " + folder.string() + " and run again"));
}

TEST_F(FewShotCells, SplitScenariosAtRandomWithoutAMetaTestSet) {
  CellTask alone = task("itempop");
  alone.data.erase("meta-test");
  alone.settings = {{"min_items", 10}, {"min_users", 20}, {"vectors_dim", 8}, {"train_share", 0.5}};

  const CellResult result = few_shot_cells().run(alone);

  EXPECT_EQ(result.more["scenarios"].size(), 3U);
}

TEST_F(FewShotCells, RefuseATraceOfAScenarioThatIsNotThere) {
  CellTask wrong = task("itempop");
  wrong.settings["trace"] = "no such";
  EXPECT_THROW(few_shot_cells().run(wrong), Error);
}

TEST(FewShotPlan, GivesAModelThePairsOptionsThatItHas) {
  const ExperimentPlan plan = load_plan("s2meta-table3");
  const auto has = [](const OptionValues& values, const std::string& name) {
    return std::any_of(values.begin(), values.end(),
                       [&](const auto& value) { return value.first == name; });
  };
  for (const PlanModel& model : plan.models) {
    const OptionValues values = model_options(model, plan.pairs.front());
    EXPECT_EQ(has(values, "network"), model.model == "s2meta") << model.label;
  }
}

TEST(LearningPlots, HaveALineForEachSeriesAndLayer) {
  const Json learning = Json::parse(R"({"scenario":"x","steps":[
    {"loss":1.5,"stop_probability":0.1,"recall@20":0.2,
     "input_gates":{"a.weight":0.5,"a.bias":0.4},"forget_gates":{"a.weight":0.9,"a.bias":0.8}},
    {"loss":1.0,"stop_probability":0.3,
     "input_gates":{"a.weight":0.6,"a.bias":0.3},"forget_gates":{"a.weight":0.7,"a.bias":0.6}}]})");

  const Json plots = learning_plots(learning);

  ASSERT_EQ(plots.size(), 5U);
  EXPECT_EQ(plots[0]["title"], "Learning of x");
  EXPECT_EQ(plots[0]["lines"].size(), 3U);
  EXPECT_EQ(plots[0]["lines"][0]["points"].dump(), "[[0,1.5],[1,1.0]]");
  EXPECT_EQ(plots[0]["lines"][2]["points"].dump(), "[[0,0.2]]");
  EXPECT_EQ(plots[1]["lines"][0]["label"], "a.weight");
  EXPECT_EQ(plots[4]["lines"][0]["points"].dump(), "[[0,0.8],[1,0.6]]");
}

TEST(LearningPlots, LeaveOutWhatAModelDoesNotHaveAndRefuseOtherDocuments) {
  const Json only_loss = learning_plots(Json::parse(R"({"steps":[{"loss":1.0}]})"));
  ASSERT_EQ(only_loss.size(), 1U);
  EXPECT_EQ(only_loss[0]["y"], "training loss");
  EXPECT_EQ(learning_plots(Json::parse(R"({"steps":[]})")).size(), 0U);
  EXPECT_THROW(learning_plots(Json::parse(R"({"steps":3})")), Error);
  EXPECT_THROW(learning_plots(Json::parse(R"({"steps":[3]})")), Error);
  EXPECT_THROW(learning_plots(Json::parse("{}")), Error);
}

}  // namespace
}  // namespace kindling
