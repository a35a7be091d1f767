// Two domains with common users, run as users run it: thin the overlap, draw lists, train on both
// train parts, evaluate among the lists.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/json.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::run_kindling;
using testing::TempDir;

// 60 users, the last 20 of whom are this domain's alone; 45 items of three topics.
void write_domain(const TempDir& dir, const std::string& name) {
  std::string rows;
  for (int u = 0; u < 60; ++u) {
    rows += (u < 40 ? "u" : name) + std::to_string(u);
    for (int t = 0; t < 6; ++t) {
      rows += (t == 0 ? "\t" : " ") + name + std::to_string(u % 3 + 3 * ((u * 7 + t * 4) % 15));
    }
    rows += "\n";
  }
  dir.write(name + ".tsv", rows);
}

Json done(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return parse_json(outcome.out, "stdout");
}

class TwoDomains : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    for (const char* name : {"a", "b"}) {
      write_domain(*dir_, name);
      done(run_kindling(
          {"import", "sequences", at(std::string(name) + ".tsv"), "--out", at(name), "--json"}));
    }
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }
  static std::string at(const std::string& name) { return dir_->file(name); }

  static TempDir* dir_;
};

TempDir* TwoDomains::dir_ = nullptr;

TEST_F(TwoDomains, OverlapKeepsTheShareThatIsAskedFor) {
  const Json thin = done(run_kindling({"overlap", at("a"), at("b"), "--keep", "0.25", "--out-a",
                                       at("a25"), "--out-b", at("b25"), "--json"}));

  EXPECT_EQ(thin["shared_before"], 40);
  EXPECT_EQ(thin["shared"], 10);
  EXPECT_EQ(thin["first"]["users"].get<int>() + thin["second"]["users"].get<int>(), 40 + 40 + 10);
}

TEST_F(TwoDomains, ListsFromAFileGiveTheSameResultAsListsThatAreDrawn) {
  done(run_kindling(
      {"candidates", at("b"), "--draw", "popularity:20", "--out", at("b.candidates"), "--json"}));
  const auto evaluate = [&](const std::string& candidates) {
    return done(run_kindling({"evaluate", "pop", "--target", at("b"), "--protocol", "leave-two-out",
                              "--candidates", candidates, "--json"}));
  };

  const Json drawn = evaluate("popularity:20");
  const Json read = evaluate(at("b.candidates"));

  EXPECT_EQ(drawn["metrics"], read["metrics"]);
  EXPECT_EQ(drawn["candidates"], 21);
  EXPECT_EQ(drawn["flags"]["sampled_candidates"], true);
  EXPECT_TRUE(drawn["metrics_among"].contains("uniform:20"));
  EXPECT_TRUE(drawn["metrics_among"].contains("full"));
  EXPECT_TRUE(drawn["metrics"].contains("mrr@5"));
}

TEST_F(TwoDomains, TrainsOnBothTrainPartsAndKeepsSharedUsers) {
  const Json trained = done(run_kindling(
      {"train", "cmf", "--source", at("a"), "--target", at("b"), "--protocol", "leave-two-out",
       "--candidates", "popularity:20", "--set", "epochs=3", "--out", at("cmf"), "--json"}));

  EXPECT_EQ(trained["data"]["users"], 60);
  EXPECT_EQ(trained["data"]["events"], 60 * 4);
  EXPECT_EQ(trained["data"]["target"]["events"], 60 * 4);
  EXPECT_EQ(trained["data"]["shared_users"], 40);
  EXPECT_TRUE(trained["metrics"].contains("validation_hr@10"));
  const Json result = done(run_kindling({"evaluate", at("cmf"), "--target", at("b"), "--protocol",
                                         "leave-two-out", "--candidates", "uniform:20", "--json"}));
  EXPECT_EQ(result["queries"], 60);
}

// README's commands, small: what was trained is evaluated, asked for items and drawn.
TEST_F(TwoDomains, AModelThatWasValidatedIsLoadedAgain) {
  const std::vector<std::string> small = {"dim=8",
                                          "heads=1",
                                          "layers=1",
                                          "hidden=8",
                                          "pretrain_steps=4",
                                          "adversarial_steps=2",
                                          "finetune_steps=6",
                                          "evaluate_every=2"};
  for (const char* model : {"recguru", "autorec", "seqrec"}) {
    std::vector<std::string> call = {"train",        model,           "--target", at("b"),
                                     "--protocol",   "leave-two-out", "--out",    at(model),
                                     "--candidates", "popularity:20", "--json"};
    if (std::string(model) == "recguru") call.insert(call.end(), {"--source", at("a")});
    for (const std::string& setting : small) call.insert(call.end(), {"--set", setting});
    const Json trained = done(run_kindling(call));
    EXPECT_TRUE(trained["metrics"].contains("validation_hr@10"));

    const Json result =
        done(run_kindling({"evaluate", at(model), "--target", at("b"), "--protocol",
                           "leave-two-out", "--candidates", "popularity:20", "--json"}));
    EXPECT_EQ(result["queries"], 60);
    EXPECT_EQ(run_kindling({"recommend", at(model), "--items", at("b"), "--k", "3"}).code, 0);
    EXPECT_EQ(run_kindling({"report", at(model), "--out", at("page.html")}).code, 0);
  }
}

TEST_F(TwoDomains, KeepsOrRemovesTheSharedUsersAsAsked) {
  const auto learnt = [&](const std::string& removed) {
    const Json trained = done(
        run_kindling({"train", "cmf", "--source", at("a"), "--target", at("b"), "--remove-overlap",
                      removed, "--set", "epochs=1", "--out", at("removed"), "--force", "--json"}));
    EXPECT_EQ(trained["data"]["removed_from_source"], removed == "auto" ? "both" : removed);
    return trained["data"]["users"].get<int>();
  };

  EXPECT_EQ(learnt("auto"), 20);
  EXPECT_EQ(learnt("users"), 20);
  EXPECT_EQ(learnt("items"), 60);
  EXPECT_EQ(learnt("none"), 60);
}

TEST_F(TwoDomains, EvaluatesTheFirstQueriesOrWithoutRepeats) {
  const auto asked = [&](const std::vector<std::string>& more) {
    std::vector<std::string> call = {"evaluate",     "pop",        "--target",
                                     at("b"),        "--protocol", "leave-two-out",
                                     "--candidates", "uniform:20", "--json"};
    call.insert(call.end(), more.begin(), more.end());
    return done(run_kindling(call));
  };

  const Json first = asked({"--max-queries", "7"});
  EXPECT_EQ(first["queries"], 7);
  EXPECT_EQ(first["queries_in_all"], 60);
  EXPECT_EQ(asked({"--collapse", "runs"})["flags"]["collapse"], "runs");
  const Outcome shown = run_kindling({"evaluate", "pop", "--target", at("b"), "--protocol",
                                      "leave-last-out", "--max-queries", "7"});
  EXPECT_THAT(shown.out, HasSubstr("the first 7 of 60 queries"));
}

// The released settings of RecGURU, its leak included, reach the model.
TEST_F(TwoDomains, TheReleasedProfileLeavesTestItemsOutOfTheNegatives) {
  std::vector<std::string> call = {"train",        "autorec",       "--target", at("b"),
                                   "--protocol",   "leave-two-out", "--out",    at("released"),
                                   "--candidates", "uniform:5",     "--json"};
  for (const char* setting : {"profile=released", "dim=8", "heads=1", "layers=1", "hidden=8",
                              "batch_size=16", "pretrain_steps=2", "finetune_steps=2"}) {
    call.insert(call.end(), {"--set", setting});
  }

  const Json trained = done(run_kindling(call));

  EXPECT_EQ(trained["details"]["options"]["negatives_exclude"], "training+test");
}

TEST_F(TwoDomains, OverlapWritesBothDomainsOrNeither) {
  const Outcome taken = run_kindling(
      {"overlap", at("a"), at("b"), "--keep", "0.5", "--out-a", at("half"), "--out-b", at("b")});
  EXPECT_EQ(taken.code, 2);
  EXPECT_FALSE(std::filesystem::exists(at("half")));

  const Outcome twice = run_kindling(
      {"overlap", at("a"), at("b"), "--keep", "0.5", "--out-a", at("half"), "--out-b", at("half")});
  EXPECT_EQ(twice.code, 2);
  EXPECT_FALSE(std::filesystem::exists(at("half")));
}

// The same rows with the items numbered otherwise: as many items, each another one.
TEST_F(TwoDomains, RefusesAModelOfIdsOnADatasetWithOthers) {
  done(run_kindling({"import", "sequences", at("b.tsv"), "--item-order", "lexicographic", "--out",
                     at("b_sorted"), "--json"}));
  done(run_kindling({"train", "pop", "--target", at("b"), "--protocol", "leave-last-out", "--out",
                     at("pop2"), "--json"}));

  const Outcome evaluated = run_kindling(
      {"evaluate", at("pop2"), "--target", at("b_sorted"), "--protocol", "leave-last-out"});
  const Outcome listed = run_kindling({"recommend", at("pop2"), "--items", at("b_sorted")});

  for (const Outcome& outcome : {evaluated, listed}) {
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("other"));
  }
  EXPECT_EQ(run_kindling({"recommend", at("pop2"), "--items", at("b")}).code, 0);
}

TEST_F(TwoDomains, RefusesAModelThatHasSeenTheTestEvents) {
  done(run_kindling({"train", "pop", "--target", at("b"), "--protocol", "leave-last-out", "--out",
                     at("pop"), "--json"}));

  const Outcome outcome =
      run_kindling({"evaluate", at("pop"), "--target", at("b"), "--protocol", "leave-two-out"});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("leave-last-out"));
}

TEST_F(TwoDomains, SaysThatBothDomainsAreTheSame) {
  const auto call = [&](const char* source, const char* out) {
    return std::vector<std::string>{"train",        "cmf",           "--source",   at(source),
                                    "--target",     at("b"),         "--protocol", "leave-two-out",
                                    "--candidates", "popularity:20", "--set",      "epochs=1",
                                    "--out",        at(out)};
  };

  EXPECT_THAT(run_kindling(call("b", "same")).err, HasSubstr("hold the same events"));
  EXPECT_THAT(run_kindling(call("a", "others")).err, Not(HasSubstr("hold the same events")));
}

TEST_F(TwoDomains, ImportNamesADatasetAfterItsDirectory) {
  const std::string out = at("named") + "/";
  done(run_kindling({"import", "sequences", at("a.tsv"), "--out", out, "--json"}));

  EXPECT_EQ(done(run_kindling({"inspect", out, "--json"}))["name"], "named");
}

TEST_F(TwoDomains, MistakesEndWithTwoAndALine) {
  const auto mistake = [&](const std::vector<std::string>& call, const char* said) {
    const Outcome outcome = run_kindling(call);
    EXPECT_EQ(outcome.code, 2) << call[0];
    EXPECT_THAT(outcome.err, HasSubstr(said));
  };
  const std::string pair = "leave-two-out";
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--candidates",
           "popularity:500"},
          "no room for 500 negatives");
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--candidates", "best"},
          "popularity:N");
  mistake({"candidates", at("b"), "--draw", "full", "--out", at("x")}, "draws no lists");
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--collapse", "all"},
          "--collapse");
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--max-queries", "-1"},
          "--max-queries");
  mistake({"train", "pop", "--target", at("b"), "--remove-overlap", "users", "--out", at("x")},
          "--remove-overlap");
  mistake({"train", "cmf", "--source", at("a"), "--target", at("b"), "--remove-overlap", "all",
           "--out", at("x")},
          "--remove-overlap");
  for (const char* option : {"--candidates", "--collapse"}) {
    mistake({"train", "gru4rec", "--target", at("b"), option, "off", "--out", at("x")},
            "under leave-last-out");
  }
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--compare-by", "hr@5"},
          "--compare");
  EXPECT_THAT(
      run_kindling({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--vectors", "x"})
          .err,
      HasSubstr("pop reads no item vectors"));
  mistake({"train", "zesrec", "--source", at("a"), "--protocol", "time-split", "--out", at("x")},
          "--target");
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", "leave-last-out",
           "--candidate-seed", "4"},
          "--candidate-seed: no lists are drawn");
  mistake({"embed", at("a"), "--vectors", "x.npy", "--set", "dim=4"}, "--vectors");
  mistake({"embed", at("a"), "--encoder", "hash", "--space", "x"}, "--vectors");
  mistake({"embed", at("a"), "--encoder", "hash", "--set", "pooling=mean"},
          "hash reads no 'pooling'");
  mistake({"embed", at("a"), "--encoder", "hash", "--fit-on", at("b")}, "nothing is fitted");
  mistake({"embed", at("a"), "--encoder", "lsa", "--cache", at("x")}, "lsa is not cached");
  mistake({"experiment", "--list", "smoke"}, "--list");
  mistake({"embed", at("a"), "--encoder", "hash", "--dtype", "f64"}, "--dtype");
  mistake({"train", "autorec", "--target", at("b"), "--set", "negatives_exclude=test", "--out",
           at("x")},
          "negatives_exclude");
  mistake({"overlap", at("a"), at("b"), "--keep", "2", "--out-a", at("x"), "--out-b", at("y")},
          "0 to 1");
  done(run_kindling(
      {"candidates", at("a"), "--draw", "uniform:5", "--out", at("a.candidates"), "--json"}));
  mistake({"evaluate", "pop", "--target", at("b"), "--protocol", pair, "--candidates",
           at("a.candidates")},
          "another dataset");
  mistake({"train", "cmf", "--target", at("b"), "--protocol", pair, "--out", at("z")}, "--source");
}

}  // namespace
}  // namespace kindling
