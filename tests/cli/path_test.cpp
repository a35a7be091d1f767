// The main path on a small made-up shop, run as users run it: import, inspect, embed, train,
// evaluate, recommend, report; and what is left when a run is killed.
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

// Users of one taste read items of one topic. Ids of users and items start with `prefix`.
void write_shop(const TempDir& dir, const std::string& prefix, int users, int items, int length) {
  const char* topics[] = {"river boat water", "engine road wheel", "forest tree leaf"};
  std::string item_rows = "item_id:token\ttitle:token_seq\tcategories:token_seq\n";
  for (int i = 0; i < items; ++i) {
    item_rows += prefix + "i" + std::to_string(i) + "\t" + topics[i % 3] + " " + prefix +
                 std::to_string(i) + "\tThings\n";
  }
  std::string events = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
  for (int u = 0; u < users; ++u) {
    for (int t = 0; t < length; ++t) {
      const int item = (u % 3) + 3 * ((u * 7 + t * 5) % (items / 3));
      events += prefix + "u" + std::to_string(u) + "\t" + prefix + "i" + std::to_string(item) +
                "\t5\t" + std::to_string(1000 * t + u) + "\n";
    }
  }
  dir.write(prefix + ".item", item_rows);
  dir.write(prefix + ".inter", events);
}

Outcome import_shop(const TempDir& dir, const std::string& prefix, bool force = false) {
  std::vector<std::string> call = {
      "import",         "recbole", dir.file(prefix + ".inter"), dir.file(prefix + ".item"), "--out",
      dir.file(prefix), "--json"};
  if (force) call.emplace_back("--force");
  return run_kindling(call);
}

Json done(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return parse_json(outcome.out, "stdout");
}

// Two domains with vectors, and a model of the first: made once for all tests of this file.
class Path : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    write_shop(*dir_, "old", 60, 45, 12);
    write_shop(*dir_, "new", 45, 36, 8);
    for (const char* domain : {"old", "new"}) {
      done(import_shop(*dir_, domain));
      const Outcome embedded =
          run_kindling({"embed", at(domain), "--encoder", "hash", "--name", "hash"});
      EXPECT_EQ(embedded.code, 0) << embedded.err;
    }
    const Outcome trained = train(at("model"), {});
    EXPECT_EQ(trained.code, 0) << trained.err;
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static std::string at(const std::string& name) { return dir_->file(name); }
  static Outcome train(const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> call = {"train",   "zesrec",    "--source", at("old"),    "--target",
                                     at("new"), "--vectors", "hash",     "--protocol", "time-split",
                                     "--set",   "dim=8",     "--set",    "epochs=2",   "--seed",
                                     "3",       "--out",     out,        "--json"};
    call.insert(call.end(), more.begin(), more.end());
    return run_kindling(call);
  }
  static Outcome evaluate(const std::string& model, const std::vector<std::string>& more = {}) {
    std::vector<std::string> call = {"evaluate",   model,        "--target",  at("new"),
                                     "--protocol", "time-split", "--vectors", "hash",
                                     "--k",        "10,20",      "--json"};
    call.insert(call.end(), more.begin(), more.end());
    return run_kindling(call);
  }

  static TempDir* dir_;
};
TempDir* Path::dir_ = nullptr;

// What comes before the last week is learnt; a day of it and all of it may be asked for.
TEST_F(Path, TrainsForTheLastWeek) {
  const TempDir dir;
  std::string events = "user_id:token\titem_id:token\ttimestamp:float\n";
  for (int user = 0; user < 20; ++user) {
    for (int day = 0; day < 12; ++day) {
      events += fmt::format("u{}\ti{}\t{}\n", user, (user + 3 * day) % 30, 86400 * day + user);
    }
  }
  dir.write("news.inter", events);
  done(run_kindling(
      {"import", "recbole", dir.file("news.inter"), "--out", dir.file("news"), "--json"}));
  const Json model =
      done(run_kindling({"train", "itemknn", "--target", dir.file("news"), "--protocol",
                         "mind-week", "--out", dir.file("model"), "--json"}));
  EXPECT_EQ(model["data"]["events"], 20 * 5);

  const auto asked = [&](const char* protocol) {
    return run_kindling({"evaluate", dir.file("model"), "--target", dir.file("news"), "--protocol",
                         protocol, "--json"});
  };
  EXPECT_EQ(done(asked("mind-day"))["queries"], 20);
  EXPECT_EQ(done(asked("mind-week"))["queries"], 20 * 7);
  const Outcome refused = asked("time-split");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("mind-week"));
}

TEST_F(Path, ImportCountsWhatItRead) {
  const TempDir dir;
  write_shop(dir, "a", 4, 6, 3);

  const Json summary = done(import_shop(dir, "a"));

  EXPECT_EQ(summary.at("users"), 4);
  EXPECT_EQ(summary.at("has_times"), true);
}

TEST_F(Path, ImportKeepsAnExistingDatasetUnlessForced) {
  const Outcome refused = import_shop(*dir_, "old");

  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--force"));
}

TEST_F(Path, InspectFindsNothingShared) {
  const Json found = done(run_kindling({"inspect", at("new"), "--against", at("old"), "--json"}));

  EXPECT_EQ(found.at("against").at("shared_users"), 0);
  EXPECT_EQ(found.at("against").at("shared_items"), 0);
}

TEST_F(Path, EvaluatesATrainedModelAndABaseline) {
  for (const std::string& model :
       {at("model"), std::string("random"), std::string("embknn"), std::string("pop")}) {
    const Json result = done(evaluate(model));

    EXPECT_EQ(result.at("protocol"), "time-split") << model;
    EXPECT_GT(result.at("queries"), 0) << model;
    for (const char* metric : {"ndcg@20", "recall@20", "ndcg@10", "recall@10"}) {
      const double value = result.at("metrics").at(metric);
      EXPECT_GE(value, 0.0) << model;
      EXPECT_LE(value, 1.0) << model;
    }
  }
}

TEST_F(Path, TheSameSeedGivesTheSameResult) {
  ASSERT_EQ(train(at("again"), {}).code, 0);

  EXPECT_EQ(done(evaluate(at("again"))).at("metrics"), done(evaluate(at("model"))).at("metrics"));
}

TEST_F(Path, TrainsOnVectorsOfSixteenBits) {
  for (const char* domain : {"old", "new"}) {
    const Json made = done(run_kindling(
        {"embed", at(domain), "--encoder", "hash", "--name", "short", "--dtype", "f16", "--json"}));
    EXPECT_EQ(made.at("dtype"), "f16");
    EXPECT_LT(std::filesystem::file_size(at(domain) + "/vectors/short.safetensors"),
              0.6 * std::filesystem::file_size(at(domain) + "/vectors/hash.safetensors"));
  }
  done(run_kindling({"train", "zesrec", "--source", at("old"), "--vectors", "short", "--set",
                     "dim=8", "--set", "epochs=1", "--out", at("short"), "--json"}));

  const Json result =
      done(run_kindling({"evaluate", at("short"), "--target", at("new"), "--vectors", "short",
                         "--protocol", "time-split", "--json"}));

  EXPECT_GT(result.at("queries"), 0);
  EXPECT_EQ(result.at("vectors").at("encoder"), "hash");
}

TEST_F(Path, ADummyPerSessionTrainsEvaluatesAndRecommends) {
  done(train(at("sessions"), {"--set", "dummy_per=session", "--set", "sessions=day"}));

  EXPECT_GT(done(evaluate(at("sessions"))).at("queries"), 0);
  const Json list = done(run_kindling({"recommend", at("sessions"), "--items", at("new"),
                                       "--vectors", "hash", "--history", "", "--json"}));
  EXPECT_EQ(list.at("items").size(), 10U);
  EXPECT_EQ(train(at("refused"), {"--set", "dummy_per=item"}).code, 2);
  EXPECT_EQ(train(at("refused"), {"--set", "dummy_per=session", "--set", "sessions=none"}).code, 2);
}

TEST_F(Path, RecommendsAlsoForAnEmptyHistory) {
  for (const char* history : {"newi0,newi3", ""}) {
    const Json answer =
        done(run_kindling({"recommend", at("model"), "--items", at("new"), "--vectors", "hash",
                           "--history", history, "--k", "5", "--json"}));

    EXPECT_EQ(answer.at("items").size(), 5U) << history;
  }
}

TEST_F(Path, RefusesAnItemThatTheCatalogueDoesNotHave) {
  const Outcome outcome = run_kindling({"recommend", at("model"), "--items", at("new"), "--vectors",
                                        "hash", "--history", "no-such-item", "--k", "5"});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no-such-item"));
}

TEST_F(Path, RefusesWrongOptionsAndLeavesNothing) {
  for (const char* setting : {"dim=-1", "dim=abc", "dimension=8", "dim"}) {
    const Outcome outcome = train(at("refused"), {"--set", setting});

    EXPECT_EQ(outcome.code, 2) << setting << ": " << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(at("refused"))) << setting;
  }
}

TEST_F(Path, RefusesADamagedModel) {
  std::filesystem::copy(at("model"), at("damaged"), std::filesystem::copy_options::recursive);
  const std::string weights = at("damaged") + "/model.safetensors";
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();

  const Outcome outcome = evaluate(at("damaged"));

  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("model.safetensors"));
}

TEST_F(Path, ReportsWhatEvaluateWrote) {
  const TempDir run;
  run.write("random.json", evaluate("random").out);

  const Json answer = done(run_kindling({"report", run.path(), "--json"}));

  EXPECT_EQ(answer.at("tables"), 1);
  EXPECT_TRUE(std::filesystem::exists(run.file("report.html")));
}

// A dataset directory is absent, the old one, or complete; a second try succeeds.
TEST(KilledImport, LeavesTheOldOrTheNewDataset) {
  const TempDir dir;
  write_shop(dir, "big", 3000, 900, 40);
  const std::vector<std::string> call = {
      "import",        "recbole", dir.file("big.inter"), dir.file("big.item"), "--out",
      dir.file("big"), "--force"};
  for (const int delay : {5, 60, 120, 240, 400}) {
    start_kindling(call).kill_after(std::chrono::milliseconds(delay));

    if (std::filesystem::exists(dir.file("big"))) {
      EXPECT_EQ(run_kindling({"inspect", dir.file("big"), "--json"}).code, 0) << delay << " ms";
    }
  }
  EXPECT_EQ(run_kindling(call).code, 0);
}

TEST_F(Path, KilledTrainingLeavesNoModelAndResumes) {
  const std::string out = at("killed");
  std::vector<std::string> call = {"train",   "zesrec",     "--source", at("old"),    "--target",
                                   at("new"), "--vectors",  "hash",     "--set",      "dim=8",
                                   "--set",   "epochs=200", "--set",    "patience=0", "--out",
                                   out,       "--resume"};
  start_kindling(call).kill_after(std::chrono::milliseconds(1500));
  if (std::filesystem::exists(out)) {
    EXPECT_EQ(evaluate(out).code, 0) << "a model directory that is there must be complete";
    return;
  }

  call[11] = "epochs=3";
  // Other options than the checkpoint's: refused or started over, but never a broken model.
  const Outcome outcome = run_kindling(call);
  if (outcome.code == 0) {
    EXPECT_EQ(evaluate(out).code, 0);
  } else {
    EXPECT_EQ(outcome.code, 2) << outcome.err;
  }
}

}  // namespace
}  // namespace kindling
