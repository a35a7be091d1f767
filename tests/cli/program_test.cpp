// What every verb promises: help, exit codes, JSON alone on stdout, no stack traces.
#include <fmt/format.h>
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

constexpr int kDone = 0;
constexpr int kUserMistake = 2;

const std::vector<std::string> kVerbs = {"import",   "inspect",   "embed",  "train",
                                         "evaluate", "recommend", "models", "experiment",
                                         "report",   "scenarios", "adapt"};

TEST(Program, ListsEveryVerb) {
  const Outcome outcome = run_kindling({"--help"});

  EXPECT_EQ(outcome.code, kDone);
  for (const auto& verb : kVerbs) EXPECT_THAT(outcome.out, HasSubstr(verb));
}

TEST(Program, SaysItsVersion) {
  const Outcome outcome = run_kindling({"--version"});

  EXPECT_EQ(outcome.code, kDone);
  EXPECT_THAT(outcome.out, HasSubstr("0.1"));
}

TEST(Program, HelpsWithEveryVerb) {
  for (const auto& verb : kVerbs) {
    const Outcome outcome = run_kindling({verb, "--help"});

    EXPECT_EQ(outcome.code, kDone) << verb;
    for (const char* flag : {"--quiet", "--json", "--threads"}) {
      EXPECT_THAT(outcome.out, HasSubstr(flag)) << verb;
    }
  }
}

TEST(Program, NeedsAVerb) { EXPECT_EQ(run_kindling({}).code, kUserMistake); }

TEST(Program, NamesTheVerbThatWasMeant) {
  const Outcome outcome = run_kindling({"trainn", "sasrec", "--out", "x"});

  EXPECT_EQ(outcome.code, kUserMistake);
  EXPECT_EQ(outcome.err, "kindling: there is no command 'trainn'\n  hint: did you mean train?\n");
}

// --out is missing only because it is mistyped.
TEST(Program, NamesTheOptionThatWasMeant) {
  const Outcome outcome = run_kindling({"train", "sasrec", "--oot=x"});

  EXPECT_EQ(outcome.code, kUserMistake);
  EXPECT_EQ(outcome.err,
            "kindling: train: there is no option '--oot'\n  hint: did you mean --out?\n");
}

TEST(Program, SaysWhichOptionIsMissingOrWrong) {
  EXPECT_THAT(run_kindling({"train", "sasrec"}).err,
              HasSubstr("kindling: train: --out is required\n  hint: kindling train --help"));
  EXPECT_THAT(run_kindling({"models", "--threads", "99999"}).err, HasSubstr("99999"));
  EXPECT_THAT(run_kindling({}).err, HasSubstr("no command is given"));
}

TEST(Program, RefusesAnUnknownOptionOfEveryVerb) {
  for (const auto& verb : kVerbs) {
    const Outcome outcome = run_kindling({verb, "--no-such-option"});

    EXPECT_EQ(outcome.code, kUserMistake) << verb;
    EXPECT_EQ(outcome.out, "") << verb;
    EXPECT_NE(outcome.err, "") << verb;
  }
}

TEST(Program, RefusesANegativeNumberOfThreads) {
  EXPECT_EQ(run_kindling({"models", "--threads", "-1"}).code, kUserMistake);
}

TEST(Program, NamesAMissingFile) {
  const TempDir dir;
  const std::string absent = dir.file("absent");
  const std::string out = dir.file("out");
  const std::vector<std::vector<std::string>> calls = {
      {"import", "csv", absent + ".csv", "--out", out},
      {"import", "recbole", absent + ".inter", "--out", out},
      {"inspect", absent},
      {"embed", absent, "--encoder", "hash"},
      {"train", "zesrec", "--source", absent, "--vectors", "hash", "--out", out},
      {"evaluate", "random", "--target", absent, "--protocol", "time-split"},
      {"recommend", absent, "--items", absent, "--history", "1"},
      {"report", absent}};
  for (const auto& call : calls) {
    const Outcome outcome = run_kindling(call);

    EXPECT_EQ(outcome.code, kUserMistake) << call[0] << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(absent)) << call[0];
    EXPECT_THAT(outcome.err, Not(HasSubstr("terminate"))) << call[0];
    EXPECT_FALSE(std::filesystem::exists(out)) << call[0];
  }
}

TEST(Program, SuggestsTheNearestModel) {
  const Outcome outcome = run_kindling({"models", "--describe", "zesrek"});

  EXPECT_EQ(outcome.code, kUserMistake);
  EXPECT_THAT(outcome.err, HasSubstr("zesrec"));
}

TEST(Program, SaysThatAFewShotModelNeedsScenarios) {
  const Outcome outcome =
      run_kindling({"train", "s2meta", "--source", "nowhere", "--out", "/tmp/never-made"});

  EXPECT_EQ(outcome.code, kUserMistake);
  EXPECT_THAT(outcome.err, HasSubstr("--scenarios"));
}

TEST(Program, RefusesNegativeSeedsAndCounts) {
  const Outcome seed = run_kindling({"train", "pop", "--seed", "-1", "--out", "/tmp/never-made"});
  EXPECT_EQ(seed.code, kUserMistake);
  EXPECT_THAT(seed.err, HasSubstr("--seed"));
  for (const char* number : {"99999999999999999999", "010", "1e3"}) {
    const Outcome odd =
        run_kindling({"train", "pop", "--seed", number, "--out", "/tmp/never-made"});
    EXPECT_EQ(odd.code, kUserMistake) << number;
    EXPECT_THAT(odd.err, HasSubstr(number));
  }
  EXPECT_EQ(run_kindling({"experiment", "smoke", "--minutes", "nan"}).code, kUserMistake);
  const Outcome count = run_kindling({"recommend", "pop", "--k", "-5"});
  EXPECT_EQ(count.code, kUserMistake);
  EXPECT_THAT(count.err, HasSubstr("--k"));
}

TEST(Program, SaysWhenItsOutputCannotBeWritten) {
  for (const char* verb : {"--version", "models --json"}) {
    const std::string call = fmt::format("{} {} > /dev/full", KINDLING_PROGRAM, verb);
    const Outcome outcome = testing::Process({"/bin/sh", "-c", call}).wait();

    EXPECT_EQ(outcome.code, 1) << verb;
    EXPECT_THAT(outcome.err, HasSubstr("stdout")) << verb;
  }
}

TEST(Program, PrintsOneJsonDocumentOfModels) {
  const Outcome outcome = run_kindling({"models", "--json"});

  ASSERT_EQ(outcome.code, kDone) << outcome.err;
  const Json models = parse_json(outcome.out, "stdout").at("models");
  std::vector<std::string> names;
  for (const Json& model : models) names.push_back(model.at("name"));
  EXPECT_THAT(names, ::testing::IsSupersetOf({"zesrec", "pop", "random", "recency", "embknn"}));
}

TEST(Program, DescribesEveryModel) {
  const Json models = parse_json(run_kindling({"models", "--json"}).out, "stdout").at("models");
  for (const Json& model : models) {
    const Outcome outcome =
        run_kindling({"models", "--describe", model.at("name").get<std::string>(), "--json"});

    ASSERT_EQ(outcome.code, kDone) << outcome.err;
    EXPECT_TRUE(parse_json(outcome.out, "stdout").at("options").is_array());
  }
}

}  // namespace
}  // namespace kindling
