// kindling experiment as users run it: caching, interruption, what is missing, full disks.
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;
using testing::Outcome;
using testing::run_kindling;
using testing::start_kindling;
using testing::TempDir;

namespace fs = std::filesystem;

Outcome run_smoke(const TempDir& dir, std::vector<std::string> more = {}) {
  std::vector<std::string> call = {"experiment", "smoke", "--out", dir.file("out"), "--json"};
  call.insert(call.end(), more.begin(), more.end());
  return run_kindling(call);
}

std::size_t cells_in(const TempDir& dir) {
  std::size_t count = 0;
  if (!fs::exists(dir.file("out/cells"))) return 0;
  for (const auto& entry : fs::directory_iterator(dir.file("out/cells"))) {
    count += entry.path().extension() == ".json" ? 1 : 0;
  }
  return count;
}

TEST(Experiment, PrintsMeansBesideThePublishedNumbers) {
  const TempDir dir;

  const Outcome outcome = run_smoke(dir, {"--jobs", "2"});

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json document = parse_json(outcome.out, "stdout");
  EXPECT_EQ(document["name"], "smoke");
  EXPECT_EQ(document["finished"], document["planned"]);
  for (const Json& cell : document["cells"]) {
    for (const char* member : {"data", "model", "metric", "mean", "sd", "seeds", "published"}) {
      EXPECT_TRUE(cell.contains(member)) << member;
    }
  }
}

TEST(Experiment, ComparesRowsByEveryMetricOfTheTable) {
  const TempDir dir;

  const Json document = parse_json(run_smoke(dir).out, "stdout");

  std::set<std::string> metrics;
  for (const Json& one : document["comparisons"]) metrics.insert(one["metric"]);
  EXPECT_EQ(metrics, (std::set<std::string>{"ndcg@20", "recall@20"}));
}

TEST(Experiment, GivesTheSameNumbersWithAnyNumberOfJobs) {
  const TempDir one;
  const TempDir two;

  const Json first = parse_json(run_smoke(one, {"--jobs", "1"}).out, "stdout");
  const Json second = parse_json(run_smoke(two, {"--jobs", "3"}).out, "stdout");

  EXPECT_EQ(first["cells"], second["cells"]);
}

TEST(Experiment, RunsNoFinishedCellAgain) {
  const TempDir dir;
  ASSERT_EQ(run_smoke(dir).code, 0);
  const auto before = fs::last_write_time(dir.file("out/cells"));

  const Outcome again = run_smoke(dir);

  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr(", 0 to run"));
  EXPECT_EQ(fs::last_write_time(dir.file("out/cells")), before);
}

TEST(Experiment, RunsOnlyTheCellsThatAreAskedFor) {
  const TempDir dir;

  const Outcome last = run_smoke(dir, {"--only", "*.zesrec-g.1"});

  ASSERT_EQ(last.code, 0) << last.err;
  const Json document = parse_json(last.out, "stdout");
  EXPECT_EQ(document["finished"], cells_in(dir));
  EXPECT_LT(document["finished"], document["planned"]);
  for (const Json& cell : document["cells"]) {
    EXPECT_EQ(cell["model"], "zesrec-g");
    EXPECT_EQ(cell["seed_of"], Json({1}));
  }
  const Outcome first = run_smoke(dir, {"--only", "*.zesrec-g.0,*.pop.*"});
  for (const Json& cell : parse_json(first.out, "stdout")["cells"]) {
    if (cell["model"] != "zesrec-g") continue;
    EXPECT_EQ(cell["seed_of"], Json({0, 1}));
  }
}

TEST(Experiment, SaysWhichCellsThereAreWhenNoneFits) {
  const TempDir dir;

  const Outcome outcome = run_smoke(dir, {"--only", "*.zesrek.*"});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no cell of the experiment fits \"*.zesrek.*\""));
  EXPECT_THAT(outcome.err, HasSubstr("a cell is named like "));
  EXPECT_EQ(cells_in(dir), 0U);
}

TEST(Experiment, GivesTheSameNumbersAgain) {
  const TempDir dir;
  ASSERT_EQ(run_smoke(dir).code, 0);

  const Outcome again = run_smoke(dir, {"--again", "3"});

  ASSERT_EQ(again.code, 0) << again.err;
  const Json repeated = parse_json(again.out, "stdout")["again"];
  ASSERT_EQ(repeated.size(), 3U);
  for (const Json& cell : repeated) EXPECT_EQ(cell["same"], true) << cell.dump();
  EXPECT_FALSE(fs::exists(dir.file("out/again")));
}

TEST(Experiment, SaysWhichNumbersDoNotComeOutAgain) {
  const TempDir dir;
  ASSERT_EQ(run_smoke(dir).code, 0);
  std::set<std::string> paths;
  for (const auto& entry : fs::directory_iterator(dir.file("out/cells"))) {
    paths.insert(entry.path().string());
  }
  Json cell = read_json(*paths.begin());
  const std::string metric = cell["metrics"].begin().key();
  cell["metrics"][metric] = 0.123;
  write_file(*paths.begin(), cell.dump());

  const Outcome again = run_smoke(dir, {"--again", "1"});

  EXPECT_EQ(again.code, 3);  // a result that fails its own check
  EXPECT_EQ(parse_json(again.out, "stdout")["again"][0]["differs"], Json({metric}));
  EXPECT_EQ(read_json(*paths.begin())["metrics"][metric], 0.123);  // OUT stays
  EXPECT_EQ(run_smoke(TempDir(), {"--again", "1"}).code, 2);       // nothing to repeat
}

TEST(Experiment, GoesOnAfterItWasKilled) {
  const TempDir dir;
  const TempDir whole;
  for (const int milliseconds : {60, 150, 250, 350}) {
    start_kindling({"experiment", "smoke", "--out", dir.file("out"), "--json", "--jobs", "2"})
        .kill_after(std::chrono::milliseconds(milliseconds));
  }

  const Outcome outcome = run_smoke(dir);

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json document = parse_json(outcome.out, "stdout");
  EXPECT_EQ(document["cells"], parse_json(run_smoke(whole).out, "stdout")["cells"]);
}

TEST(Experiment, StartsACellAgainWhoseCheckpointIsOfNoUse) {
  const TempDir dir;
  const Json first = parse_json(run_smoke(dir).out, "stdout");
  for (const auto& entry : fs::directory_iterator(dir.file("out/cells"))) {
    const fs::path folder = fs::path(dir.file("out/work")) / entry.path().stem() / "checkpoint";
    fs::create_directories(folder);
    write_file((folder / "checkpoint.safetensors").string(), "of no use");
  }
  fs::remove_all(dir.file("out/cells"));

  const Outcome outcome = run_smoke(dir);

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("zesrec-g.0 starts again, its checkpoint is of no use: "));
  EXPECT_EQ(parse_json(outcome.out, "stdout")["cells"], first["cells"]);
}

TEST(Experiment, StartsNoCellWhenTheTimeIsUp) {
  const TempDir dir;

  const Outcome outcome = run_smoke(dir, {"--minutes", "0.0000001"});

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(parse_json(outcome.out, "stdout")["finished"], 0);
}

TEST(Experiment, SaysWhatDataIsMissingAndLeavesItOut) {
  const TempDir dir;
  fs::create_directories(dir.file("empty"));

  const Outcome outcome = run_kindling({"experiment", "zesrec-day0", "--data", dir.file("empty"),
                                        "--out", dir.file("out"), "--json"});

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("amazon2018_office is not there"));
  EXPECT_TRUE(parse_json(outcome.out, "stdout")["cells"].empty());
}

TEST(Experiment, ListsAndChecksAllOfThem) {
  EXPECT_THAT(run_kindling({"experiment", "--list"}).out, HasSubstr("smoke"));
  EXPECT_EQ(run_kindling({"experiment", "--check", "--data", "/nowhere"}).code, 0);
}

TEST(Experiment, RefusesAnUnknownNameAndADamagedFile) {
  const TempDir dir;
  dir.write("bad.json", R"({"name": "bad", "models": [)");

  const Outcome unknown = run_kindling({"experiment", "smoky", "--out", dir.file("out")});
  const Outcome damaged =
      run_kindling({"experiment", "--file", dir.file("bad.json"), "--out", dir.file("out")});

  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean smoke?"));
  EXPECT_EQ(damaged.code, 2);
  EXPECT_THAT(damaged.err, HasSubstr("bad.json"));
  EXPECT_FALSE(fs::exists(dir.file("out")));
}

TEST(Experiment, KeepsFinishedCellsWhenOneCannotBeWritten) {
  const TempDir dir;
  ASSERT_EQ(run_smoke(dir, {"--seeds", "1"}).code, 0);
  const std::size_t finished = cells_in(dir);
  ASSERT_GT(finished, 0U);

  // No file may grow: what a full disk does to every write. `cat` may write, so the words are seen.
  const Outcome full =
      testing::Process({"/bin/sh", "-c",
                        "(ulimit -f 0; \"$0\" experiment smoke --out \"$1\" --json "
                        "2>&1 >/dev/null; echo code $?) | cat",
                        KINDLING_PROGRAM, dir.file("out")})
          .wait();
  EXPECT_THAT(full.out, HasSubstr("cannot write"));
  EXPECT_THAT(full.out, HasSubstr("finished cells are kept"));
  EXPECT_THAT(full.out, HasSubstr("code 1"));
  EXPECT_EQ(cells_in(dir), finished);

  const Outcome again = run_smoke(dir);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_GT(cells_in(dir), finished);
}

TEST(Experiment, NamesTheDataWhoseOptionIsUnknown) {
  const TempDir dir;
  dir.write("x.json",
            R"({"name":"x","data":[{"name":"a","format":"synthetic","options":{"userz":3}}],
    "pairs":[{"name":"p","title":"A","target":"a","protocol":"leave-last-out"}],
    "models":[{"label":"r","title":"Random","model":"random"}]})");

  const Outcome outcome =
      run_kindling({"experiment", "--file", dir.file("x.json"), "--out", dir.file("out")});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("data a: unknown option 'userz'"));
}

TEST(Experiment, NamesADamagedCell) {
  const TempDir dir;
  ASSERT_EQ(run_smoke(dir).code, 0);
  const auto first = fs::directory_iterator(dir.file("out/cells"))->path();
  write_file(first.string(), "{\"metrics\": 3}");

  const Outcome outcome = run_smoke(dir);

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr(first.filename().string()));
}

}  // namespace
}  // namespace kindling
