#include "kindling/eval/report.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/eval/report_plot.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;
using testing::kind_of;
using ::testing::Not;

std::string write_result(const testing::TempDir& dir, const std::string& name, double ndcg) {
  write_file(dir.file(name),
             R"({"model":"zesrec","target":"films","protocol":"time-split","queries":3,)"
             R"("candidates":9,"metrics":{"ndcg@20":)" +
                 std::to_string(ndcg) + R"(},"slices":{},"seconds":0.1})");
  return name;
}

RunReport small_run() {
  RunReport run;
  run.title = "A run";
  run.tables.push_back({.title = "Zero-shot",
                        .note = "",
                        .metrics = {"ndcg@20"},
                        .rows = {{"ZESRec", "", RowKind::kOurs, {{"ndcg@20", {0.10, 0.20}}}},
                                 {"Random", "", RowKind::kBaseline, {{"ndcg@20", {0.05}}}}},
                        .bars = false});
  return run;
}

TEST(EscapeHtml, MakesMarkupHarmless) {
  EXPECT_EQ(escape_html("<b a='1' c=\"2\">&"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;");
  EXPECT_EQ(escape_html(std::string("a\x01z")), "a\xEF\xBF\xBDz");
  EXPECT_EQ(escape_html("\xFF\xFE"), "[text that is not UTF-8]");
}

TEST(Report, MarksTheBestValueOfAColumn) {
  const std::string html = render_html(small_run());

  EXPECT_THAT(html, HasSubstr("<td class=\"best\">0.1500 <span class=\"sd\">± 0.0707</span></td>"));
  EXPECT_THAT(html, HasSubstr("<td>0.0500</td>"));
}

TEST(Report, RefersToNothingOnTheNetwork) {
  RunReport run = small_run();
  run.tables[0].bars = true;
  run.curves.push_back({"seed 1", {{1, 5.0, 5.1, 0.1}, {2, 4.0, 4.2, 0.2}}});

  const std::string html = render_html(run);

  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

// Every text that data can bring: title, summary, fact, row, metric, curve, user, item, command.
TEST(Report, EscapesWhateverComesFromData) {
  const std::string hostile = "<img src=x onerror=alert(1)>'\"`touch pwned`";
  RunReport run;
  run.title = run.summary = hostile;
  run.facts.emplace_back(hostile, hostile);
  run.tables.push_back({.title = hostile,
                        .note = hostile,
                        .metrics = {hostile},
                        .rows = {{hostile, hostile, RowKind::kOurs, {{hostile, {0.5}}}}},
                        .bars = true});
  run.curves.push_back({hostile, {{1, 2.0, 2.0, 0.1}, {2, 1.0, 1.0, 0.2}}});
  run.cases.push_back({hostile, {{hostile, hostile}}, {{hostile, hostile}}, {{hostile, hostile}}});
  run.commands.push_back(hostile);

  const std::string html = render_html(run);

  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, HasSubstr("&lt;img src=x onerror=alert(1)&gt;"));
  EXPECT_FALSE(std::filesystem::exists("pwned"));
}

TEST(Report, TakesTextColourFromThePage) {
  const std::string svg = bars_svg("bars", {{"ZESRec", {0.1, 0.01}, RowKind::kOurs}});

  EXPECT_THAT(svg, HasSubstr("currentColor"));
  EXPECT_THAT(svg, HasSubstr("ZESRec"));
  EXPECT_THAT(svg, Not(HasSubstr("black")));
  EXPECT_THAT(svg, Not(HasSubstr("rgb(1,1,1)")));
}

TEST(Report, DrawsBarsWhenEveryValueIsZero) {
  EXPECT_THAT(bars_svg("bars", {{"Random", {0.0, {}}, RowKind::kBaseline}}), HasSubstr("</svg>"));
}

TEST(Report, SaysWhatToInstallWhenThePlotterIsMissing) {
  try {
    run_plotter("no-such-plotter", "plot x\n");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
    EXPECT_THAT(error.hint(), HasSubstr("gnuplot"));
  }
}

TEST(Report, PassesOnWhatAFailingPlotterSays) {
  EXPECT_EQ(kind_of([] { run_plotter("gnuplot", "no such command\n"); }), Kind::kInternal);
}

TEST(ReadRun, GathersTheSeedsOfARow) {
  const testing::TempDir dir;
  write_result(dir, "a.json", 0.1);
  write_result(dir, "b.json", 0.3);
  write_file(dir.file("curve.jsonl"), "{\"epoch\":1,\"train_loss\":2.5,\"validation_loss\":2.6}\n");
  write_file(
      dir.file("run.json"),
      R"({"title":"T","tables":[{"title":"t","metrics":["ndcg@20"],"rows":[{"label":"ZESRec",)"
      R"("kind":"ours","results":["a.json","b.json"]}]}],)"
      R"("curves":[{"label":"seed 1","history":"curve.jsonl"}]})");

  const RunReport run = read_run(dir.path());

  EXPECT_THAT(run.tables.at(0).rows.at(0).values.at("ndcg@20"), ::testing::ElementsAre(0.1, 0.3));
  EXPECT_EQ(run.tables.at(0).rows.at(0).kind, RowKind::kOurs);
  EXPECT_DOUBLE_EQ(run.curves.at(0).points.at(0).train_loss, 2.5);
}

TEST(JoinRuns, NamesEachPartsRun) {
  RunReport other = small_run();
  other.title = "Another";
  other.curves.push_back({.label = "seed 1", .points = {}, .group = ""});

  const RunReport both = join_runs({small_run(), other});

  ASSERT_EQ(both.tables.size(), 2U);
  EXPECT_EQ(both.tables[0].title, "A run: Zero-shot");
  EXPECT_EQ(both.tables[1].title, "Another: Zero-shot");
  EXPECT_EQ(both.curves.at(0).group, "Another");
  EXPECT_EQ(join_runs({other}).title, "Another");
}

TEST(ReadRun, SaysWhenOnlyTheFirstQueriesWereAsked) {
  const testing::TempDir dir;
  dir.write("part.json",
            R"({"model":"pop","target":"films","protocol":"leave-two-out","queries":3,)"
            R"("queries_in_all":9,"candidates":9,"metrics":{"hr@10":0.5},"slices":{},)"
            R"("seconds":0.1})");

  const RunReport run = read_run(dir.path());

  ASSERT_EQ(run.tables.size(), 1U);
  EXPECT_EQ(run.tables[0].rows[0].note, "first 3 of 9 queries");
}

TEST(ReadRun, TakesSlicesAsColumns) {
  const testing::TempDir dir;
  write_file(dir.file("a.json"),
             R"({"metrics":{},"slices":{"cold item":{"queries":2,"metrics":{"ndcg@20":0.25}}}})");
  write_file(
      dir.file("run.json"),
      R"({"title":"T","tables":[{"title":"t","metrics":["cold item"],"slice_metric":"ndcg@20",)"
      R"("rows":[{"label":"ZESRec","results":["a.json"]}]}]})");

  const RunReport run = read_run(dir.path());

  EXPECT_THAT(run.tables.at(0).rows.at(0).values.at("cold item"), ::testing::ElementsAre(0.25));
}

TEST(ReadRun, FindsResultsWithoutATableOfContents) {
  const testing::TempDir dir;
  write_result(dir, "a.json", 0.1);
  write_result(dir, "b.json", 0.3);
  write_file(dir.file("other.json"), R"({"unrelated": true})");

  const RunReport run = read_run(dir.path());

  ASSERT_EQ(run.tables.size(), 1U);
  EXPECT_EQ(run.tables[0].rows.at(0).label, "zesrec on films");
  EXPECT_EQ(run.tables[0].rows.at(0).values.at("ndcg@20").size(), 2U);
}

TEST(ReadRun, RefusesAPathOutsideTheDirectory) {
  const testing::TempDir dir;
  write_file(dir.file("run.json"), R"({"title":"T","cases":"../../etc/passwd"})");

  EXPECT_EQ(kind_of([&] { read_run(dir.path()); }), Kind::kBadInput);
}

TEST(ReadRun, RefusesAMetricThatIsNotANumber) {
  const testing::TempDir dir;
  write_file(dir.file("a.json"),
             R"({"model":"m","target":"t","protocol":"p","metrics":{"ndcg@20":"high"}})");

  EXPECT_EQ(kind_of([&] { read_run(dir.path()); }), Kind::kBadInput);
}

TEST(ReadRun, RefusesAnEmptyDirectory) {
  const testing::TempDir dir;

  EXPECT_EQ(kind_of([&] { read_run(dir.path()); }), Kind::kBadInput);
  EXPECT_EQ(kind_of([&] { read_run(dir.path() + "/absent"); }), Kind::kNotFound);
}

}  // namespace
}  // namespace kindling
