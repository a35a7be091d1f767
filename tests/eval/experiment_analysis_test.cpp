// What an experiment computes from its finished cells: where oracles overtake, and what is chosen
// without looking at the target.
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment.h"
#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/experiment_results.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::TempDir;

// Two seeds of a zero-shot line and of an oracle that is swept over 10, 100 and 1000 interactions.
Json swept_plan() {
  return Json::parse(R"({"name":"x","seeds":2,"metrics":["ndcg@20"],
    "data":[{"name":"a","format":"synthetic"},{"name":"b","format":"synthetic"}],
    "pairs":[{"name":"p","title":"A → B","source":"a","target":"b","protocol":"leave-last-out"}],
    "encoders":[{"name":"h","title":"hash","encoder":"hash"}],
    "models":[{"label":"o","title":"oracle","model":"pop","role":"oracle","kind":"incremental"},
              {"label":"z","title":"zero-shot","model":"zesrec","role":"ours","swept":false}],
    "sweep":{"setting":"interactions","title":"interactions","values":[10,100,1000]},
    "analyses":[{"kind":"overtake","settings":{"metric":"ndcg@20"}}]})");
}

class Analysis : public ::testing::Test {
 protected:
  // Cells of `file` with ndcg@20 from `value`, as if they had been run.
  template <class Value>
  Json run(const Json& file, const Value& value) {
    plan_ = parse_plan(file.dump(), "x.json");
    PreparedData prepared;
    for (const PlanData& data : plan_.data) {
      prepared.sets[data.name] = {"data/" + data.name, {{"fingerprint", data.name}}};
      prepared.vectors["h " + data.name] = {"h-1", "v" + data.name};
    }
    ExperimentRun run;
    run.out = dir_.path();
    cells_ = plan_cells(plan_, prepared, run);
    for (const PlannedCell& cell : cells_) {
      if (std::isnan(value(cell))) continue;  // not run yet
      Json document = {{"identity", cell.identity},
                       {"metrics", {{"ndcg@20", value(cell)}}},
                       {"more", Json::object()}};
      // A set holds a little more than was asked for: its last user is kept whole.
      if (cell.step) document["more"]["interactions"] = plan_.sweep.values[*cell.step] + 2;
      if (cell.model->model == "zesrec") {
        document["more"]["validation"] = {{"loss", losses_[cell.model->label]}};
      }
      std::filesystem::create_directories(dir_.file("cells"));
      write_file(cell.path(dir_.path()), document.dump());
    }
    return experiment_document(plan_, prepared, cells_, run);
  }

  TempDir dir_;
  ExperimentPlan plan_;
  std::vector<PlannedCell> cells_;
  std::map<std::string, double> losses_;
};

TEST_F(Analysis, SaysHowManyInteractionsAnOracleNeeds) {
  // The oracle scores 0, 0.2, 0.4; the line lies at 0.1 for seed 0 and at 0.3 for seed 1.
  const Json document = run(swept_plan(), [](const PlannedCell& cell) {
    if (!cell.step) return cell.seed == 0 ? 0.1 : 0.3;
    return 0.2 * static_cast<double>(*cell.step);
  });

  const Json entry = document["analyses"][0]["values"][0];
  EXPECT_THAT(entry["values"].get<std::vector<double>>(),
              ElementsAre(DoubleNear(12 + 45, 1e-9), DoubleNear(102 + 450, 1e-9)));  // half way
  EXPECT_EQ(entry["text"], document["analyses"][0]["rows"][0].back());
  EXPECT_THAT(entry["text"].get<std::string>(), MatchesRegex("30[45] ± 350"));
}

TEST_F(Analysis, SaysAtMostWhenTheSmallestSetIsEnough) {
  const Json document =
      run(swept_plan(), [](const PlannedCell& cell) { return cell.step ? 0.5 : 0.1; });

  EXPECT_EQ(document["analyses"][0]["values"][0]["text"], "at most 12");
}

TEST_F(Analysis, SaysMoreThanWhenNothingIsEnough) {
  const Json document =
      run(swept_plan(), [](const PlannedCell& cell) { return cell.step ? 0.05 : 0.1; });

  EXPECT_EQ(document["analyses"][0]["values"][0]["text"], "more than 1002");
}

TEST_F(Analysis, NamesEachSeedWhenOneNeverOvertakes) {
  const Json document = run(swept_plan(), [](const PlannedCell& cell) {
    if (!cell.step) return cell.seed == 0 ? 0.1 : 0.9;
    return 0.2 * static_cast<double>(*cell.step);
  });

  EXPECT_EQ(document["analyses"][0]["values"][0]["text"], "57, > 1002");
  EXPECT_TRUE(document["analyses"][0]["values"][0]["mean"].is_null());
}

TEST_F(Analysis, HoldsASeedToTheLineOfTheSameSeed) {
  // Of the line only seed 1 is finished; it lies at 0.3.
  const Json document = run(swept_plan(), [](const PlannedCell& cell) {
    if (!cell.step) return cell.seed == 0 ? std::nan("") : 0.3;
    return (cell.seed == 0 ? 0.1 : 0.2) * static_cast<double>(*cell.step);
  });

  const Json entry = document["analyses"][0]["values"][0];
  EXPECT_EQ(entry["by_seed"].size(), 1U);
  EXPECT_EQ(entry["by_seed"][0]["seed"], 1);
  EXPECT_THAT(entry["values"].get<std::vector<double>>(), ElementsAre(DoubleNear(102 + 450, 1e-9)));
}

TEST_F(Analysis, HoldsEverySeedToALineWithoutSeeds) {
  Json plan = swept_plan();
  plan["models"][1]["seeded"] = false;
  const Json document = run(plan, [](const PlannedCell& cell) {
    return cell.step ? 0.2 * static_cast<double>(*cell.step) : 0.3;
  });

  EXPECT_EQ(document["analyses"][0]["values"][0]["by_seed"].size(), 2U);
}

TEST_F(Analysis, SaysNothingOfASweepThatIsNotFinished) {
  const Json document = run(swept_plan(), [](const PlannedCell& cell) {
    return cell.step && *cell.step == 0 ? std::nan("") : 0.5;
  });

  EXPECT_TRUE(document["analyses"][0]["values"].empty());
}

TEST_F(Analysis, PlacesASweptRowAtWhatWasLearnt) {
  const Json document = run(swept_plan(), [](const PlannedCell&) { return 0.1; });

  for (const Json& cell : document["cells"]) {
    if (cell.contains("step")) {
      EXPECT_EQ(cell["x"], cell["step"].get<double>() + 2);
    }
  }
}

// Two candidates: one has the better loss on its source, the other is better on the held-out
// domain, and on the target.
TEST_F(Analysis, ChoosesWithoutLookingAtTheTarget) {
  Json file = Json::parse(R"({"name":"x","seeds":1,"metrics":["ndcg@20"],
    "data":[{"name":"a","format":"synthetic"},{"name":"b","format":"synthetic"},
            {"name":"c","format":"synthetic"}],
    "pairs":[{"name":"target","title":"A → B","source":"a","target":"b","protocol":"leave-last-out"},
             {"name":"held","title":"A → C","source":"a","target":"c","protocol":"leave-last-out"}],
    "encoders":[{"name":"h","title":"hash","encoder":"hash"}],
    "models":[{"label":"fits","title":"fits","model":"zesrec","role":"ours"},
              {"label":"moves","title":"moves","model":"zesrec","role":"ours","set":{"dim":8}}],
    "analyses":[{"kind":"selection","settings":{"held_out":{"target":["held"]}}}]})");
  losses_ = {{"fits", 1.0}, {"moves", 2.0}};

  const Json document = run(file, [](const PlannedCell& cell) {
    if (cell.model->label == "fits") return 0.2;
    return cell.pair->name == "held" ? 0.3 : 0.4;
  });

  const Json& values = document["analyses"][0]["values"];
  ASSERT_EQ(values.size(), 2U);
  EXPECT_EQ(values[0]["by"], "source's validation users");
  EXPECT_EQ(values[0]["model"], "fits");
  EXPECT_EQ(values[1]["by"], "held-out source domain");
  EXPECT_EQ(values[1]["model"], "moves");
  EXPECT_EQ(values[0]["best"], "moves");
  EXPECT_EQ(values[0]["mean"], 0.2);
}

// Ours ranks every target first, the other row, which reads no vectors, tenth.
TEST_F(Analysis, SetsOursAgainstEveryOtherRowOfTheTable) {
  const Json file = Json::parse(R"({"name":"x","seeds":2,"metrics":["ndcg@20"],
    "data":[{"name":"a","format":"synthetic"},{"name":"b","format":"synthetic"}],
    "pairs":[{"name":"p","title":"A → B","source":"a","target":"b","protocol":"leave-last-out"}],
    "encoders":[{"name":"h","title":"hash","encoder":"hash"}],
    "models":[{"label":"o","title":"counts","model":"pop","seeded":false},
              {"label":"z","title":"zero-shot","model":"zesrec","role":"ours"}]})");
  run(file, [](const PlannedCell&) { return 0.1; });
  std::filesystem::create_directories(dir_.file("ranks"));
  for (const PlannedCell& cell : cells_) {
    const std::vector<float> ranks(30, cell.model->label == "z" ? 1.0F : 10.0F);
    write_safetensors(cell.ranks_path(dir_.path()), {tensor_view("ranks", std::span(ranks))},
                      {{"queries", "the same"}});
  }

  const Json table = compare_ours(plan_, FinishedCells(cells_, dir_.path()), {{"metric", "hr@5"}});

  ASSERT_EQ(table["values"].size(), 1U);
  EXPECT_EQ(table["values"][0]["against"], "o");
  EXPECT_EQ(table["values"][0]["verdict"], "better");
  EXPECT_NEAR(table["values"][0]["difference"].get<double>(), 1.0, 1e-12);

  const FinishedCells cells(cells_, dir_.path());
  const Json turned = compare_ours(plan_, cells, {{"metric", "hr@5"}, {"of", {"o"}}});
  ASSERT_EQ(turned["values"].size(), 1U);
  EXPECT_EQ(turned["values"][0]["model"], "o");
  EXPECT_EQ(turned["values"][0]["verdict"], "worse");
  EXPECT_TRUE(
      compare_ours(plan_, cells, {{"metric", "hr@5"}, {"beside", {"z"}}})["values"].empty());
}

TEST(ExperimentText, HasARowForEveryStepOfASweep) {
  Json document = Json::parse(R"({"title":"t","metrics":["hr@10"],"cells":[],"analyses":[],
    "pairs":[{"name":"p","title":"A → B","stands_for":""}],"missing":[],"failed":[],
    "finished":4,"planned":4,"cell_seconds":0})");
  const auto add = [&](double step, double x, double mean) {
    document["cells"].push_back({{"data", "p"},
                                 {"title", "m"},
                                 {"encoder", ""},
                                 {"metric", "hr@10"},
                                 {"mean", mean},
                                 {"seeds", 1},
                                 {"published", nullptr},
                                 {"step", step},
                                 {"x", x}});
  };
  add(0.5, 0.5, 0.1);
  add(0.75, 0.75, 0.2);
  add(5000, 4321.5, 0.3);
  add(10000, 4321.5, 0.4);  // the data has no more of them

  const std::string text = experiment_text(document);

  EXPECT_THAT(text, HasSubstr("m · 0.5   0.1000\n"));
  EXPECT_THAT(text, HasSubstr("m · 0.75  0.2000\n"));
  EXPECT_THAT(text, HasSubstr("m · 4322  0.3000\n"));
  EXPECT_THAT(text, HasSubstr("m · 4322  0.4000\n"));
}

}  // namespace
}  // namespace kindling
