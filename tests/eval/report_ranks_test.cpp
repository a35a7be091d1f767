// What an experiment says when the ranks of finished cells are gone: rows that look told apart
// would be rows that nobody compared.
#include <filesystem>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment.h"
#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/report.h"
#include "tests/support/logged.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::logged;
using ::testing::Not;

constexpr std::size_t kQueries = 30;

// Two rows of two seeds, as if they had been run.
class LostRanks : public ::testing::Test {
 protected:
  void SetUp() override {
    plan_ = parse_plan(R"({"name":"x","title":"X","seeds":2,"metrics":["ndcg@20"],
      "data":[{"name":"a","format":"synthetic"},{"name":"b","format":"synthetic"}],
      "pairs":[{"name":"p","title":"A → B","source":"a","target":"b","protocol":"leave-last-out"}],
      "models":[{"label":"pop","title":"Pop","model":"pop"},
                {"label":"random","title":"Random","model":"random"}]})",
                       "x.json");
    for (const PlanData& data : plan_.data) {
      prepared_.sets[data.name] = {"data/" + data.name, {{"fingerprint", data.name}}};
    }
    run_.out = dir_.path();
    cells_ = plan_cells(plan_, prepared_, run_);
    for (const char* part : {"cells", "ranks"})
      std::filesystem::create_directories(dir_.file(part));
    for (const PlannedCell& cell : cells_) {
      const bool first = cell.model->label == "pop";
      const Json document = {{"identity", cell.identity},
                             {"metrics", {{"ndcg@20", first ? 1.0 : 0.5}}},
                             {"more", {{"queries", kQueries}}}};
      write_file(cell.path(run_.out), document.dump());
      const std::vector<float> ranks(kQueries, first ? 1.0F : 3.0F);
      write_safetensors(cell.ranks_path(run_.out), {tensor_view("ranks", std::span(ranks))},
                        {{"queries", "the same"}});
    }
  }

  std::string warning() {
    return logged([&] { document_ = experiment_document(plan_, prepared_, cells_, run_); });
  }
  // Of the table that the document becomes.
  std::string note() const {
    const testing::TempDir dir;
    write_file(dir.file("x.json"), document_.dump());
    return read_run(dir.path()).tables.at(0).note;
  }
  void lose(const std::string& label) {
    for (const PlannedCell& cell : cells_) {
      if (cell.model->label == label) std::filesystem::remove(cell.ranks_path(run_.out));
    }
  }

  testing::TempDir dir_;
  ExperimentPlan plan_;
  PreparedData prepared_;
  ExperimentRun run_;
  std::vector<PlannedCell> cells_;
  Json document_;
};

TEST_F(LostRanks, AreNoMatterWhenNoneIsLost) {
  EXPECT_EQ(warning(), "");

  EXPECT_EQ(document_["comparisons"].size(), 1U);
  EXPECT_TRUE(document_["without_ranks"].empty());
  EXPECT_THAT(note(), AllOf(HasSubstr("≈ not told apart"), Not(HasSubstr("not compared"))));
}

TEST_F(LostRanks, AreWarnedOfWithWhatToDo) {
  lose("random");

  EXPECT_THAT(warning(),
              AllOf(HasSubstr("2 finished cells"), HasSubstr("have lost their ranks"),
                    HasSubstr("remove the cell files and run again"), HasSubstr("cells/")));
  EXPECT_EQ(document_["comparisons"].size(), 0U);
  EXPECT_EQ(document_["without_ranks"].size(), 2U);
  for (const Json& path : document_["without_ranks"]) {
    EXPECT_TRUE(std::filesystem::exists(dir_.file(path.get<std::string>()))) << path;
  }
}

TEST_F(LostRanks, SayWhatToRemoveWhenTheyAreDamaged) {
  write_file(cells_[0].ranks_path(run_.out), "no tensors");

  try {
    experiment_document(plan_, prepared_, cells_, run_);
    FAIL() << "damaged ranks were read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kCorrupt);
    EXPECT_EQ(error.place(), cells_[0].ranks_path(run_.out));
    EXPECT_THAT(error.hint(), HasSubstr(cells_[0].path(run_.out)));
  }
}

TEST_F(LostRanks, ChangeTheNoteOfTheTable) {
  lose("random");
  warning();

  EXPECT_EQ(note(), "★ best; rows were not compared query by query.");
}

// Case studies count no queries and write no ranks.
TEST_F(LostRanks, AreNotThoseOfCellsThatWriteNone) {
  for (const PlannedCell& cell : cells_) {
    Json document = read_cell(cell, run_.out);
    document["more"] = Json::object();
    write_file(cell.path(run_.out), document.dump());
  }
  lose("random");
  lose("pop");

  EXPECT_EQ(warning(), "");
  EXPECT_TRUE(document_["without_ranks"].empty());
}

}  // namespace
}  // namespace kindling
