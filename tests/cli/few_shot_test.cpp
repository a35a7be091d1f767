// Scenarios from import to recommendation, as users run them, and what users get wrong.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/json.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::run_kindling;
using testing::TempDir;

// Users u0 … u59 choose items of their parity; the first 40 are in the source, all in the
// scenarios.
void write_shop(const TempDir& dir, const std::string& name, int scenarios, int users,
                const std::string& prefix) {
  std::string events = "user,item\n";
  std::string items = "item,title,categories\n";
  for (int s = 0; s < scenarios; ++s) {
    for (int j = 0; j < 8; ++j) {
      const std::string id = prefix + std::to_string(s) + "x" + std::to_string(j);
      items += id + ",Title " + id + ",Root|" + prefix + " " + std::to_string(s) + "\n";
    }
    for (int u = 0; u < users; ++u) {
      for (const int n : {u % 2, u % 2 + 2 * (u % 4)}) {
        events += "u" + std::to_string(u) + "," + prefix + std::to_string(s) + "x" +
                  std::to_string(n) + "\n";
      }
    }
  }
  dir.write(name + "/events.csv", events);
  dir.write(name + "/items.csv", items);
  const Outcome outcome =
      run_kindling({"import", "csv", dir.file(name + "/events.csv"), dir.file(name + "/items.csv"),
                    "--collapse", "off", "--out", dir.file(name + "-data"), "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
}

class FewShotProgram : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    write_shop(*dir_, "source", 2, 40, "s");
    write_shop(*dir_, "train", 4, 60, "t");
    write_shop(*dir_, "test", 2, 60, "e");
    const Outcome built = run_kindling(
        {"scenarios", "--source", dir_->file("source-data"), "--meta-train",
         dir_->file("train-data"), "--meta-test", dir_->file("test-data"), "--min-items", "4",
         "--min-users", "10", "--min-pairs", "10", "--out", scenarios(), "--json", "--quiet"});
    ASSERT_EQ(built.code, 0) << built.err;
    EXPECT_EQ(parse_json(built.out, "stdout")["meta_test"]["scenarios"], 2);
    const Outcome trained = run_kindling({"train", "emcdr", "--scenarios", scenarios(),
                                          "--vector-set", "dim=8", "--vector-set", "epochs=5",
                                          "--set", "grid=false", "--out", model(), "--quiet"});
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  static void TearDownTestSuite() { delete dir_; }

  static std::string scenarios() { return dir_->file("scenarios"); }
  static std::string model() { return dir_->file("model"); }

  static Outcome adapt(const std::string& content, std::vector<std::string> more = {}) {
    const std::string file = dir_->write("support.csv", content);
    std::vector<std::string> call = {"adapt",  model(), "--scenario",          file,
                                     "--json", "--out", dir_->file("adapted"), "--force"};
    call.insert(call.end(), more.begin(), more.end());
    return run_kindling(call);
  }
  static void expect_refused(const std::string& content, const std::string& reason) {
    const Outcome outcome = adapt(content);
    EXPECT_EQ(outcome.code, 2) << content;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(reason));
  }

  static TempDir* dir_;
};

TempDir* FewShotProgram::dir_ = nullptr;

TEST_F(FewShotProgram, EvaluatesByNameOverSeedsAndByDirectory) {
  const Outcome by_name =
      run_kindling({"evaluate", "itempop", "--scenarios", scenarios(), "--vector-set", "dim=8",
                    "--vector-set", "epochs=5", "--seeds", "2", "--k", "2,4", "--json"});
  ASSERT_EQ(by_name.code, 0) << by_name.err;
  const Json document = parse_json(by_name.out, "stdout");
  EXPECT_TRUE(document["metrics"].contains("recall@2"));
  EXPECT_EQ(document["metrics_sd"]["recall@2"], 0.0);
  EXPECT_EQ(document["frozen_vectors"]["options"]["dim"], 8);

  const Outcome by_directory =
      run_kindling({"evaluate", model(), "--scenarios", scenarios(), "--ties", "mean", "--json"});
  ASSERT_EQ(by_directory.code, 0) << by_directory.err;
  EXPECT_EQ(parse_json(by_directory.out, "stdout")["model"], "emcdr");
}

TEST_F(FewShotProgram, ComparesEvaluationsUserByUser) {
  const std::string users = dir_->file("itempop.tsv");
  const std::vector<std::string> call = {"evaluate", "itempop", "--scenarios", scenarios(),
                                         "--k",      "2",       "--json"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), call.begin(), call.end());
    return run_kindling(more);
  };
  ASSERT_EQ(with({"--per-query", users}).code, 0);

  const Outcome same = with({"--compare", users, "--compare-by", "macro_recall@2"});
  ASSERT_EQ(same.code, 0) << same.err;
  const Json comparison = parse_json(same.out, "stdout")["comparison"];
  EXPECT_EQ(comparison["difference"], 0.0);
  EXPECT_EQ(comparison["p_value"], 1.0);
  EXPECT_EQ(comparison["against"], users);

  const Outcome absent = with({"--compare", users, "--compare-by", "recall@50"});
  EXPECT_EQ(absent.code, 2);
  EXPECT_THAT(absent.err, HasSubstr("it has recall@2, ndcg@2, hr@2"));
}

TEST_F(FewShotProgram, RefusesOptionsThatMeanNothingToIt) {
  for (const char* option : {"--mask-seen", "--mean-over-users", "--released-candidates"}) {
    const Outcome outcome =
        run_kindling({"evaluate", "itempop", "--scenarios", scenarios(), option});
    EXPECT_EQ(outcome.code, 2) << option;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(option), HasSubstr("--scenarios")));
  }
  const Outcome trained = run_kindling({"train", "s2meta", "--scenarios", scenarios(), "--source",
                                        dir_->file("source-data"), "--out", dir_->file("never")});
  EXPECT_EQ(trained.code, 2);
  EXPECT_THAT(trained.err, HasSubstr("--source"));
  const Outcome alone = run_kindling({"evaluate", "pop", "--target", dir_->file("source-data"),
                                      "--protocol", "leave-last-out", "--ties", "mean"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--scenarios"));
  dir_->write("never.ckpt/state.json", "another model's");
  const Outcome foreign = run_kindling(
      {"train", "itempop", "--scenarios", scenarios(), "--resume", "--out", dir_->file("never")});
  EXPECT_EQ(foreign.code, 2);
  EXPECT_THAT(foreign.err, HasSubstr("the checkpoint is of an unknown model, not of itempop"));
  EXPECT_TRUE(std::filesystem::exists(dir_->file("never.ckpt/state.json")));
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--vectors", "als"}, {"--vector-set", "dim=4"}}) {
    std::vector<std::string> call = {"evaluate", model(), "--scenarios", scenarios()};
    call.insert(call.end(), more.begin(), more.end());
    EXPECT_EQ(run_kindling(call).code, 2) << more[0];
  }
  const Outcome misspelt = run_kindling({"evaluate", "itempopp", "--scenarios", scenarios()});
  EXPECT_EQ(misspelt.code, 2);
  EXPECT_THAT(misspelt.err, HasSubstr("did you mean itempop?"));
  const Outcome seeds =
      run_kindling({"evaluate", model(), "--scenarios", scenarios(), "--seeds", "2"});
  EXPECT_EQ(seeds.code, 2);
  EXPECT_THAT(seeds.err, HasSubstr("a trained model has one seed"));
}

TEST_F(FewShotProgram, AdaptsToAFileAndRecommendsFromTheResult) {
  const Outcome adapted =
      adapt("user,item\nu0,e0x0\nu1,e0x1\nu2,e0x4\nu0,e0x0\nu3,e0x7\nstranger,e0x1\nu4,nothing\n");
  ASSERT_EQ(adapted.code, 0) << adapted.err;
  const Json document = parse_json(adapted.out, "stdout");
  EXPECT_EQ(document["support"], 4);
  EXPECT_EQ(document["left_out"]["repeated"], 1);
  EXPECT_EQ(document["left_out"]["unknown_users"], 1);
  EXPECT_EQ(document["left_out"]["unknown_items"], 1);
  EXPECT_LT(document["seconds"], 2.0);

  const Outcome list =
      run_kindling({"recommend", dir_->file("adapted"), "--user", "u0", "--k", "10", "--json"});
  ASSERT_EQ(list.code, 0) << list.err;
  const Json items = parse_json(list.out, "stdout")["items"];
  EXPECT_EQ(items.size(), 3U);  // four candidates without the one that u0 has
  EXPECT_EQ(items[0]["title"].get<std::string>().substr(0, 5), "Title");
  EXPECT_EQ(run_kindling({"recommend", dir_->file("adapted"), "--user", "nobody"}).code, 2);
}

TEST_F(FewShotProgram, UniversalVectorsComeFromAModelOfTextVectors) {
  const std::string world = scenarios() + "/world";
  const std::string model = dir_->file("zesrec");
  ASSERT_EQ(run_kindling({"embed", world, "--encoder", "hash", "--set", "dim=16", "-q"}).code, 0);
  ASSERT_EQ(run_kindling({"train", "zesrec", "--source", world, "--vectors", "hash", "--set",
                          "dim=8", "--set", "epochs=1", "--out", model, "-q"})
                .code,
            0);

  const Outcome outcome = run_kindling({"train", "s2meta", "--scenarios", scenarios(), "--vectors",
                                        "universal", "--vector-set", "model=" + model, "--set",
                                        "tasks=4", "--out", dir_->file("universal"), "--quiet"});

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Outcome evaluated = run_kindling(
      {"evaluate", dir_->file("universal"), "--scenarios", scenarios(), "--k", "2", "--json"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const Json recipe = parse_json(evaluated.out, "stdout")["frozen_vectors"]["options"];
  EXPECT_EQ(recipe["method"], "universal");

  // Users and items that the scenarios do not have: a dataset of their own.
  dir_->write("new/events.csv", "user,item\nn0,old\nn1,old\nn1,z0\nn2,z1\n");
  dir_->write("new/items.csv", "item,title\nold,Title t0x1\nz0,Title s0x0\nz1,Title e1x2\n");
  const std::string fresh = dir_->file("new-data");
  const auto import = [&](const std::string& out) {
    ASSERT_EQ(
        run_kindling({"import", "csv", dir_->file("new/events.csv"), dir_->file("new/items.csv"),
                      "--min-user-length", "0", "--out", out, "-q"})
            .code,
        0);
  };
  import(fresh);
  ASSERT_EQ(run_kindling({"embed", fresh, "--encoder", "hash", "--set", "dim=16", "-q"}).code, 0);
  const std::string pairs = dir_->write("new.csv", "user,item\nn0,z0\nn1,z1\nn2,z0\nu0,z1\n");
  const auto adapt_to = [&](const std::string& learner, std::vector<std::string> more) {
    more.insert(more.begin(), {"adapt", learner, "--scenario", pairs, "--world", fresh, "--json",
                               "--force", "--out", dir_->file("new-shop")});
    return run_kindling(more);
  };

  const Outcome adapted = adapt_to(dir_->file("universal"), {});
  ASSERT_EQ(adapted.code, 0) << adapted.err;
  const Json document = parse_json(adapted.out, "stdout");
  EXPECT_EQ(document["support"], 3);
  EXPECT_EQ(document["left_out"]["unknown_users"], 1);  // u0 is of the scenarios, not of new-data
  EXPECT_EQ(
      run_kindling({"recommend", dir_->file("new-shop"), "--user", "n2", "--k", "1", "-q"}).code,
      0);

  const Outcome learnt = adapt_to(FewShotProgram::model(), {});
  EXPECT_EQ(learnt.code, 2);
  EXPECT_THAT(learnt.err, HasSubstr("bpr vectors, which only those of its scenarios have"));
  const Outcome moved = adapt_to(dir_->file("universal"), {"--universal", model + "-gone"});
  EXPECT_EQ(moved.code, 2) << moved.err;
  const Outcome nowhere = adapt("user,item\nu0,e0x0\nu1,e0x1\n", {"--universal", model});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("--universal: has a meaning with --world only"));
}

TEST_F(FewShotProgram, AMetaLearnerWritesTheRecordOfItsSteps) {
  const std::string learner = dir_->file("s2meta");
  const Outcome trained =
      run_kindling({"train", "s2meta", "--scenarios", scenarios(), "--vector-set", "dim=8",
                    "--vector-set", "epochs=5", "--set", "tasks=20", "--out", learner, "--quiet"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string file = dir_->write("pairs.csv", "user,item\nu0,e0x0\nu1,e0x1\nu2,e0x4\n");

  const Outcome adapted = run_kindling(
      {"adapt", learner, "--scenario", file, "--json", "--out", dir_->file("campaign"), "--quiet"});

  ASSERT_EQ(adapted.code, 0) << adapted.err;
  const Json document = parse_json(adapted.out, "stdout");
  EXPECT_LT(document["seconds"], 2.0);
  const Json& step = document["adaptation"]["steps"][0];
  EXPECT_GT(step["loss"], 0.0);
  EXPECT_GT(step["stop_probability"], 0.0);
  EXPECT_EQ(step["input_gates"].size(), 8U);
  EXPECT_EQ(step["forget_gates"].size(), 8U);
  EXPECT_EQ(run_kindling({"recommend", dir_->file("campaign"), "--user", "u5", "--json"}).code, 0);
}

TEST_F(FewShotProgram, RecommendRefusesWhatAnAdaptedModelDoesNotRead) {
  ASSERT_EQ(adapt("user,item\nu0,e0x0\nu1,e0x1\nu2,e0x4\n").code, 0);

  for (const auto& [flag, value] :
       {std::pair("--history", "e0x0"), std::pair("--items", "somewhere")}) {
    const Outcome outcome =
        run_kindling({"recommend", dir_->file("adapted"), "--user", "u0", flag, value});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr(std::string(flag) + ": has no meaning beside --user"));
  }
  EXPECT_EQ(run_kindling({"recommend", dir_->file("adapted"), "--user", "u0", "--k", "0"}).code, 2);
}

TEST_F(FewShotProgram, AUserWhoHasAllCandidatesGetsNoneOrAllOfThem) {
  const Outcome adapted = adapt("user,item\nu0,e0x0\nu0,e0x1\nu0,e0x4\n");
  ASSERT_EQ(adapted.code, 0) << adapted.err;
  const auto count = [&](std::vector<std::string> more) {
    std::vector<std::string> call = {"recommend", dir_->file("adapted"), "--user", "u0", "--json"};
    call.insert(call.end(), more.begin(), more.end());
    const Outcome list = run_kindling(call);
    EXPECT_EQ(list.code, 0) << list.err;
    return parse_json(list.out, "stdout")["items"].size();
  };
  EXPECT_EQ(count({}), 0U);
  EXPECT_EQ(count({"--keep-seen"}), 3U);
}

TEST_F(FewShotProgram, RefusesASourceWithoutSharedUsers) {
  dir_->write("foreign/events.csv", "user,item\nx1,s0x0\nx2,s0x1\nx3,s0x2\n");
  ASSERT_EQ(run_kindling({"import", "csv", dir_->file("foreign/events.csv"), "--collapse", "off",
                          "--min-user-length", "0", "--out", dir_->file("foreign-data"), "--quiet"})
                .code,
            0);
  const Outcome outcome = run_kindling(
      {"scenarios", "--source", dir_->file("foreign-data"), "--meta-train",
       dir_->file("train-data"), "--meta-test", dir_->file("test-data"), "--min-items", "4",
       "--min-users", "10", "--min-pairs", "10", "--out", dir_->file("unshared")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("shared with the source"));
}

TEST_F(FewShotProgram, TakesMoreCandidatesFromAFile) {
  dir_->write("items.txt", "e0x0\ne0x1\ne0x4\n\nunknown\n");
  const Outcome outcome =
      adapt("user,item\nu0,e0x0\nu2,e0x0\n", {"--candidates", dir_->file("items.txt")});

  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(parse_json(outcome.out, "stdout")["candidates"], 3);
}

TEST_F(FewShotProgram, RefusesWhatCannotBeLearntFrom) {
  expect_refused("user,item\nu0,e0x0\n", "1 usable interactions");
  expect_refused("user,item\nu0,e0x0\nu2,e0x0\n", "all interactions are of one item");
  expect_refused("user,item\nx,e0x0\ny,e0x1\nz,e0x2\n", "3 pairs of unknown users");
  expect_refused("user,item\nu0,a\nu1,b\nu2,c\n", "3 of unknown items");
  expect_refused("name,thing\nu0,e0x0\nu1,e0x1\n", "no column");
  expect_refused("", "is empty");
}

TEST_F(FewShotProgram, ReadsASupportFileAsItsHintsSay) {
  const std::string broken = "user;item\nu0;e0x0\nu1\nu2;e0x4\n";
  const Outcome refused = adapt(broken, {"--separator", ";"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--bad-rows skip"));

  const Outcome skipped = adapt(broken, {"--separator", ";", "--bad-rows", "skip"});
  ASSERT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_EQ(parse_json(skipped.out, "stdout")["left_out"]["unreadable_rows"], 1);

  const std::string quoted = "user,item\nu0,e0x0\nu2,e0x4\n\"u4,e0x0\n";
  EXPECT_THAT(adapt(quoted).err, HasSubstr("--quotes no"));
  EXPECT_EQ(adapt(quoted, {"--quotes", "no"}).code, 0);
  EXPECT_EQ(adapt(quoted, {"--quotes", "maybe"}).code, 2);
}

TEST_F(FewShotProgram, SaysWhichKindOfModelADirectoryHolds) {
  const Outcome recommended = run_kindling({"recommend", model(), "--user", "u0"});
  EXPECT_EQ(recommended.code, 2);
  EXPECT_THAT(recommended.err, HasSubstr("expected an adapted recommender"));
  ASSERT_EQ(adapt("user,item\nu0,e0x0\nu2,e0x4\n").code, 0);
  const Outcome again = run_kindling({"adapt", dir_->file("adapted"), "--scenario",
                                      dir_->file("support.csv"), "--out", dir_->file("twice")});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("holds an adapted recommender, expected a few-shot model"));
  const Outcome evaluated = run_kindling(
      {"evaluate", model(), "--target", dir_->file("test-data"), "--protocol", "leave-last-out"});
  EXPECT_EQ(evaluated.code, 2);
  EXPECT_THAT(evaluated.err, HasSubstr("few-shot model"));
  EXPECT_EQ(run_kindling({"evaluate", "itempop"}).code, 2);
}

TEST_F(FewShotProgram, RefusesBoundsThatLeaveNoScenario) {
  const Outcome outcome =
      run_kindling({"scenarios", "--source", dir_->file("source-data"), "--meta-train",
                    dir_->file("train-data"), "--min-items", "500", "--out", dir_->file("none")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("min_items 500"));
  EXPECT_EQ(
      run_kindling({"scenarios", "--meta-train", dir_->file("absent"), "--out", dir_->file("none")})
          .code,
      2);
}

}  // namespace
}  // namespace kindling
