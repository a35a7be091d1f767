// What an experiment finds in its directory: cells and data of an earlier run, damaged or not, and
// other processes.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/eval/experiment.h"
#include "kindling/eval/experiment_lock.h"
#include "kindling/eval/experiment_results.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using testing::TempDir;

// Two rows that need no training on a small world.
ExperimentPlan quick_plan(bool with_vectors = false) {
  Json plan = Json::parse(R"({"name":"x","seeds":1,"metrics":["ndcg@20"],
    "data":[{"name":"a","format":"synthetic","options":{"users":30,"items":20}}],
    "pairs":[{"name":"p","target":"a","protocol":"leave-last-out"}],
    "models":[{"label":"r","model":"random"},{"label":"o","model":"pop"}]})");
  if (with_vectors) {
    plan["encoders"] = {{{"name", "h"}, {"encoder", "hash"}, {"options", {{"dim", 8}}}}};
    plan["models"] = {{{"label", "k"}, {"model", "embknn"}}};
  }
  return parse_plan(plan.dump(), "x.json");
}

class ExperimentOut : public ::testing::Test {
 protected:
  ExperimentOut() {
    run_.out = dir_.file("out");
    run_.data = dir_.path();
  }
  Json go(const ExperimentPlan& plan) const { return run_experiment(plan, run_); }

  // The one file of a folder of OUT with this end.
  std::string file_of(const char* folder, const std::string& end) const {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(run_.out) / folder)) {
      if (entry.path().string().ends_with(end)) return entry.path().string();
    }
    ADD_FAILURE() << "nothing ends with " << end;
    return {};
  }

  void expect_refused(const ExperimentPlan& plan, const std::string& path,
                      const std::string& hint) const {
    try {
      go(plan);
      ADD_FAILURE() << "taken: " << read_file(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kCorrupt) << error.what();
      EXPECT_THAT(error.place(), HasSubstr(path));
      EXPECT_THAT(error.hint(), HasSubstr(hint));
    }
  }

  // Cells of the plan as the next run plans them, its data being there.
  std::vector<PlannedCell> cells(const ExperimentPlan& plan) const {
    const PreparedData prepared = prepare_data(plan, {.folder = run_.data, .out = run_.out});
    return plan_cells(plan, prepared, run_);
  }

  TempDir dir_;
  ExperimentRun run_;
};

TEST_F(ExperimentOut, KeepsFinishedCells) {
  const ExperimentPlan plan = quick_plan();
  const Json first = go(plan);
  EXPECT_EQ(first["finished"], 2);
  EXPECT_TRUE(fs::is_empty(run_.out + "/work")) << "locks and checkpoints are gone";

  const Json second = go(plan);

  EXPECT_EQ(second["cells"], first["cells"]);
  EXPECT_EQ(second["cell_seconds"], first["cell_seconds"]) << "nothing is run again";
}

TEST_F(ExperimentOut, RefusesACellOfAnotherIdentity) {
  const ExperimentPlan plan = quick_plan();
  go(plan);
  const auto planned = cells(plan);
  fs::copy_file(planned[1].path(run_.out), planned[0].path(run_.out),
                fs::copy_options::overwrite_existing);

  expect_refused(plan, planned[0].path(run_.out), "remove the file and run again");
}

TEST_F(ExperimentOut, RefusesACellWithMembersOfAnotherType) {
  const ExperimentPlan plan = quick_plan();
  go(plan);
  const std::string path = cells(plan)[0].path(run_.out);
  const Json good = read_json(path);
  const auto damage = [&](const char* pointer, const Json& value) {
    Json document = good;
    document[Json::json_pointer(pointer)] = value;
    write_file(path, document.dump());
    expect_refused(plan, path, "remove the file and run again");
  };
  damage("/seconds", "long");
  damage("/metrics", {1, 2});
  damage("/metrics/ndcg@20", "high");
  damage("/more", "nothing");
  damage("/more/plots", "none");
  damage("/more/plots", {{{"title", 3}}});
  damage("/more/cases", {1});
  damage("/more/history", {{"epoch", 1}});
  damage("/more/interactions", "all");
  damage("/more/validation", {{"loss", "low"}});
  damage("/identity/seed", 7);

  write_file(path, good.dump(4));  // the same, written in another way
  EXPECT_EQ(go(plan)["finished"], 2);
}

TEST_F(ExperimentOut, RefusesDamagedFactsOfData) {
  const ExperimentPlan plan = quick_plan();
  go(plan);
  const std::string facts = file_of("data", ".facts.json");
  for (const char* text : {"{}", "[]", "", R"({"fingerprint": 3})"}) {
    write_file(facts, text);
    expect_refused(plan, facts, "remove " + facts.substr(0, facts.find(".facts")));
  }

  fs::remove_all(facts.substr(0, facts.find(".facts")));
  EXPECT_EQ(go(plan)["finished"], 2) << "the hint helps";
}

TEST_F(ExperimentOut, RefusesDamagedFactsOfVectors) {
  const ExperimentPlan plan = quick_plan(true);
  EXPECT_EQ(go(plan)["finished"], 1);
  const std::string facts = file_of("data", ".safetensors.facts.json");
  write_file(facts, "[]");

  expect_refused(plan, facts, "remove " + facts.substr(0, facts.find(".facts")));
}

TEST_F(ExperimentOut, SaysWhichFolderToRemoveWhenADataSetIsDamaged) {
  const ExperimentPlan plan = quick_plan(true);
  go(plan);
  const std::string events = file_of("data", "event_items.bin");
  const std::string folder = fs::path(events).parent_path().string();
  fs::resize_file(events, 4);
  fs::remove(file_of("data", ".safetensors.facts.json"));  // vectors are made anew

  expect_refused(plan, events, "remove " + folder + " and run again");

  fs::remove_all(folder);
  EXPECT_EQ(go(plan)["finished"], 1) << "the hint helps";
}

TEST_F(ExperimentOut, LeavesACellThatAnotherProcessRuns) {
  const ExperimentPlan plan = quick_plan();
  go(plan);
  const auto planned = cells(plan);
  for (const PlannedCell& cell : planned) fs::remove(cell.path(run_.out));
  {
    const auto lock = FileLock::try_take(planned[0].lock_path());

    const Json document = go(plan);

    EXPECT_EQ(document["finished"], 1);
    EXPECT_TRUE(document["failed"].empty()) << document["failed"];
    EXPECT_FALSE(fs::exists(planned[0].path(run_.out)));
  }
  EXPECT_EQ(go(plan)["finished"], 2);
}

TEST_F(ExperimentOut, DoesNotRepeatCellsBesideAnotherThatDoes) {
  const ExperimentPlan plan = quick_plan();
  go(plan);
  run_.again = 1;
  {
    const auto lock = FileLock::try_take(run_.out + "/again.lock");
    try {
      go(plan);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 2);
      EXPECT_THAT(error.what(), HasSubstr("another process is working in"));
    }
  }
  EXPECT_EQ(go(plan)["again"][0]["same"], true);
}

TEST(FileLock, IsHeldByOneUntilItEnds) {
  const TempDir dir;
  {
    const auto lock = FileLock::try_take(dir.file("lock"));
    EXPECT_TRUE(lock.has_value());
    EXPECT_FALSE(FileLock::try_take(dir.file("lock")).has_value());
  }
  const FileLock waited = FileLock::wait(dir.file("lock"));
  EXPECT_FALSE(FileLock::try_take(dir.file("lock")).has_value());
  EXPECT_THROW(FileLock::try_take(dir.file("none/lock")), Error);
}

}  // namespace
}  // namespace kindling
