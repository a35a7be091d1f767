// Rows of an experiment paired query by query: by ranks, or by the metrics of every user where a
// user has several right answers, scenario by scenario.
#include <filesystem>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment.h"
#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/report.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;

// Two rows of two seeds over three scenarios of 1, 2 and 3 users, as if they had been run.
class ScenarioRows : public ::testing::Test {
 protected:
  void SetUp() override {
    plan_ = parse_plan(R"({"name":"x","title":"X","kind":"few-shot","seeds":2,
      "metrics":["recall@20","macro_recall@20","steps"],
      "data":[{"name":"a","format":"synthetic"}],
      "pairs":[{"name":"p","title":"P","data":{"meta-train":"a"}}],
      "models":[{"label":"cmf","title":"CMF","model":"libmf","role":"ours"},
                {"label":"neumf","title":"NeuMF","model":"neumf"}],
      "analyses":[{"kind":"against","settings":{"metric":"macro_recall@20"}}]})",
                       "x.json");
    prepared_.sets["a"] = {"data/a", {{"fingerprint", "a"}}};
    run_.out = dir_.path();
    cells_ = plan_cells(plan_, prepared_, run_);
    for (const char* part : {"cells", "ranks"}) {
      std::filesystem::create_directories(dir_.file(part));
    }
    // They differ in the third scenario only, of which CMF gets all users right.
    for (const PlannedCell& cell : cells_) {
      const bool first = cell.model->label == "cmf";
      write_cell(cell, first ? std::vector<float>{0, 0.5F, 0.5F, 1, 1, 1}
                             : std::vector<float>{0, 0.5F, 0.5F, 0, 0, 0});
    }
  }

  void write_cell(const PlannedCell& cell, const std::vector<float>& recalls) const {
    const Json document = {
        {"identity", cell.identity},
        {"metrics",
         {{"recall@20", mean_of(recalls)}, {"macro_recall@20", macro_of(recalls)}, {"steps", 3.0}}},
        {"more", {{"queries", recalls.size()}}}};
    write_file(cell.path(run_.out), document.dump());
    write_safetensors(cell.ranks_path(run_.out),
                      {tensor_view("scenarios", std::span(kScenarios)),
                       tensor_view("recall@20", std::span(recalls))},
                      {{"queries", "the same"}});
  }
  static double mean_of(const std::vector<float>& all) {
    double sum = 0.0;
    for (const float one : all) sum += static_cast<double>(one);
    return sum / static_cast<double>(all.size());
  }
  static double macro_of(const std::vector<float>& all) {
    return (mean_of({all[0]}) + mean_of({all[1], all[2]}) + mean_of({all[3], all[4], all[5]})) / 3;
  }

  Json document() const { return experiment_document(plan_, prepared_, cells_, run_); }

  inline static const std::vector<float> kScenarios{0, 1, 1, 2, 2, 2};
  testing::TempDir dir_;
  ExperimentPlan plan_;
  PreparedData prepared_;
  ExperimentRun run_;
  std::vector<PlannedCell> cells_;
};

TEST_F(ScenarioRows, AreComparedByUserAndByScenarioWithScenariosDrawn) {
  const Json comparisons = document()["comparisons"];

  ASSERT_EQ(comparisons.size(), 2U);  // not by steps, which no query has
  for (const Json& one : comparisons) EXPECT_EQ(one["drawn"], "scenarios") << one;
  EXPECT_EQ(comparisons[0]["metric"], "recall@20");
  EXPECT_NEAR(comparisons[0]["difference"].get<double>(), 3.0 / 6.0, 1e-9);
  EXPECT_EQ(comparisons[1]["metric"], "macro_recall@20");
  EXPECT_NEAR(comparisons[1]["difference"].get<double>(), 1.0 / 3.0, 1e-9);
  // Of three scenarios one makes the difference: other scenarios might not.
  EXPECT_GT(comparisons[1]["p_value"].get<double>(), 0.05);
}

TEST_F(ScenarioRows, SayInTheReportWhatWasDrawn) {
  const Json whole = document();
  EXPECT_THAT(whole["analyses"][0]["title"].get<std::string>(), HasSubstr("over scenarios"));
  EXPECT_EQ(whole["analyses"][0]["rows"].size(), 1U);
  const testing::TempDir dir;
  write_file(dir.file("x.json"), whole.dump());

  const ReportTable table = read_run(dir.path()).tables.at(0);

  EXPECT_THAT(table.note, HasSubstr("bootstrap over scenarios and seeds, p ≥ 0.05"));
  EXPECT_EQ(table.rows.at(1).p_values.count("macro_recall@20"), 1U);
  EXPECT_EQ(table.rows.at(1).p_values.count("steps"), 0U);
}

TEST_F(ScenarioRows, AreNotPairedWithThoseOfOtherUnits) {
  for (const PlannedCell& cell : cells_) {
    if (cell.model->label != "neumf") continue;
    const std::vector<float> ranks(kScenarios.size(), 30.0F);
    write_safetensors(
        cell.ranks_path(run_.out),
        {tensor_view("users", std::span(kScenarios)), tensor_view("ranks", std::span(ranks))},
        {{"queries", "the same"}});
  }

  EXPECT_EQ(document()["comparisons"].size(), 0U);
}

}  // namespace
}  // namespace kindling
