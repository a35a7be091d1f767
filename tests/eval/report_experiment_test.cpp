// The page of an experiment: what of its document is shown, and where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/json.h"
#include "kindling/eval/report.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempDir;

Json cell(const char* model, double mean, double step = 0.0) {
  Json one = {{"data", "p"},
              {"model", model},
              {"metric", "ndcg@20"},
              {"mean", mean},
              {"sd", 0.01},
              {"seeds", 2},
              {"published", nullptr},
              {"encoder", ""},
              {"title", model},
              {"role", "ours"},
              {"values", {mean - 0.01, mean + 0.01}}};
  if (step > 0.0) one["step"] = step;
  return one;
}

Json small_document() {
  return {{"kindling_experiment", 1},
          {"name", "x"},
          {"title", "A table"},
          {"metrics", {"ndcg@20"}},
          {"pairs", {{{"name", "p"}, {"title", "One → Two"}, {"stands_for", "paper"}}}},
          {"finished", 2},
          {"planned", 3},
          {"cells", {cell("good", 0.4), cell("near", 0.39), cell("poor", 0.1)}}};
}

std::string page_of(const TempDir& dir) { return render_html(read_run(dir.path())); }

TEST(ReportExperiment, MarksTheBestAndWhatIsNotToldApart) {
  const TempDir dir;
  Json document = small_document();
  document["cells"][0]["published"] = 0.3;
  document["comparisons"] = {
      {{"data", "p"}, {"encoder", ""}, {"metric", "ndcg@20"}, {"model", "near"}, {"p_value", 0.4}},
      {{"data", "p"},
       {"encoder", ""},
       {"metric", "ndcg@20"},
       {"model", "poor"},
       {"p_value", 0.001}}};
  dir.write("x.json", document.dump());

  const RunReport report = read_run(dir.path());
  const std::string page = render_html(report);

  ASSERT_EQ(report.tables.size(), 1U);
  EXPECT_EQ(report.tables[0].rows[1].p_values.at("ndcg@20"), 0.4);
  EXPECT_THAT(page, HasSubstr("<td class=\"best\">0.4000"));
  EXPECT_THAT(page, HasSubstr("<td class=\"close\">0.3900"));
  EXPECT_THAT(page, HasSubstr("<td>0.1000"));
  EXPECT_THAT(page, HasSubstr("paper 0.300 (+0.100)"));
  EXPECT_THAT(page, HasSubstr("which is other data"));
  EXPECT_THAT(page, HasSubstr("2 of 3 cells"));
}

// As of s2meta-table3: the star stood at the worst share and at the most steps.
TEST(ReportExperiment, MarksTheSmallestShareBelowABaselineAndNoCount) {
  const TempDir dir;
  Json document = small_document();
  document["metrics"] = {"below_itempop", "steps"};
  document["cells"] = {cell("good", 0.1), cell("poor", 0.6)};
  for (Json& one : document["cells"]) one["metric"] = "below_itempop";
  for (const double steps : {3.0, 9.0}) {
    document["cells"].push_back(cell(steps < 5.0 ? "good" : "poor", steps));
    document["cells"].back()["metric"] = "steps";
  }
  dir.write("x.json", document.dump());

  const std::string page = page_of(dir);

  EXPECT_THAT(page, HasSubstr("Scenarios below ItemPop\u00a0↓</th>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"best\">0.1000"));
  EXPECT_THAT(page, HasSubstr("<td>0.6000"));
  EXPECT_THAT(page, HasSubstr("<td>3.0000"));
  EXPECT_THAT(page, HasSubstr("<td>9.0000"));
  EXPECT_THAT(page, Not(HasSubstr("≈ not told apart")));
}

// Where no row of a pair reads vectors, the comparisons still name the plan's encoders.
TEST(ReportExperiment, FindsComparisonsOfRowsWithoutVectors) {
  const TempDir dir;
  Json document = small_document();
  document["comparisons"] = {{{"data", "p"},
                              {"encoder", "hash"},
                              {"metric", "ndcg@20"},
                              {"model", "near"},
                              {"p_value", 0.4}}};
  dir.write("x.json", document.dump());

  EXPECT_THAT(page_of(dir), HasSubstr("<td class=\"close\">0.3900"));
}

TEST(ReportExperiment, SaysWhatToDoWithADamagedDocument) {
  const TempDir dir;
  dir.write("x.json", small_document().dump().substr(0, 200));

  try {
    page_of(dir);
    FAIL() << "a damaged document was read";
  } catch (const Error& error) {
    EXPECT_THAT(error.place(), HasSubstr("x.json"));
    EXPECT_THAT(error.hint(), HasSubstr("writes an experiment's anew"));
  }
}

TEST(ReportExperiment, SaysHowManyCellsLostTheirRanks) {
  const TempDir dir;
  Json document = small_document();
  document["without_ranks"] = {"cells/a.json", "cells/b.json"};
  dir.write("x.json", document.dump());

  EXPECT_THAT(page_of(dir), HasSubstr("2 of 3 cells, 2 without their ranks"));
}

TEST(ReportExperiment, SaysWhenOnlyTheFirstQueriesWereAsked) {
  const TempDir dir;
  Json document = small_document();
  dir.write("x.json", document.dump());
  EXPECT_THAT(page_of(dir), Not(HasSubstr("The first")));

  document["cells"][1]["queries"] = 2048;
  document["cells"][1]["queries_in_all"] = 9024;
  dir.write("x.json", document.dump());
  EXPECT_THAT(page_of(dir), HasSubstr("The first 2048 of 9024 queries."));
}

TEST(ReportExperiment, DrawsASweepWithLevelLines) {
  const TempDir dir;
  Json document = small_document();
  document["sweep"] = {{"setting", "interactions"}, {"title", "interactions"}, {"values", {5, 90}}};
  document["cells"] = {cell("oracle", 0.1, 5), cell("oracle", 0.3, 90), cell("zero-shot", 0.2)};
  dir.write("x.json", document.dump());

  const RunReport report = read_run(dir.path());

  ASSERT_EQ(report.sweeps.size(), 1U);
  ASSERT_EQ(report.sweeps[0].lines.size(), 2U);
  EXPECT_EQ(report.sweeps[0].lines[0].points.size(), 2U);
  EXPECT_EQ(report.sweeps[0].lines[1].level, 0.2);
  const std::string page = render_html(report);
  EXPECT_THAT(page, HasSubstr("aria-label=\"NDCG@20 over interactions\""));
  EXPECT_THAT(page, HasSubstr("zero-shot"));
}

TEST(ReportExperiment, ShowsCasesAsRowsOfEscapedTitles) {
  const TempDir dir;
  Json document = small_document();
  const Json item = {{"id", "i"}, {"title", "<b>Saw</b>"}};
  document["cases"] = {
      {{"user", "u"},
       {"data", "One → Two"},
       {"model", "ZESRec"},
       {"history", {item}},
       {"next", {item}},
       {"recommended", {{{"id", "j"}, {"title", "Drill"}}, item}},
       {"rank", 2.0},
       {"neighbours", {{{"user", "v"}, {"history", {item, item}}, {"next", Json::array()}}}}}};
  dir.write("x.json", document.dump());

  const std::string page = page_of(dir);

  EXPECT_THAT(page, HasSubstr("Near source user v"));
  EXPECT_THAT(page, HasSubstr("The model has the next item at rank 2; its first is “Drill”."));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;Saw"));
  EXPECT_THAT(page, Not(HasSubstr("<b>Saw")));
}

TEST(ReportExperiment, ShowsCountsWithoutDecimalsAndCurvesUnderTheirPair) {
  const TempDir dir;
  Json document = small_document();
  document["cells"] = {cell("good", 1091.0)};
  document["curves"] = {{{"data", "p"},
                         {"model", "good"},
                         {"title", "good"},
                         {"encoder", ""},
                         {"points",
                          {{{"epoch", 1}, {"train_loss", 20.0}, {"validation_loss", 25.0}},
                           {{"epoch", 2}, {"train_loss", 10.0}, {"validation_loss", 20.0}}}}}};
  dir.write("x.json", document.dump());

  const std::string page = page_of(dir);

  EXPECT_THAT(page, HasSubstr(">1091 <"));
  EXPECT_THAT(page, HasSubstr("<h3>One → Two</h3>"));
  EXPECT_THAT(page, Not(HasSubstr("1.5</text>"))) << "half an epoch on the axis";
}

// A hit rate is measured every few epochs: what is between is no gap in its line.
TEST(ReportExperiment, DrawsTheHitRateOfTwoDomainsAsOneLine) {
  const TempDir dir;
  Json document = small_document();
  Json points = Json::array();
  for (int epoch = 1; epoch <= 6; ++epoch) {
    points.push_back({{"epoch", epoch}, {"train_loss", 2.0 / epoch}});
    if (epoch % 2 == 0) points.back()["validation_hr@10"] = 0.1 * epoch;
  }
  document["curves"] = {
      {{"data", "p"}, {"model", "a"}, {"title", "A"}, {"encoder", ""}, {"points", points}}};
  dir.write("x.json", document.dump());

  const std::string page = page_of(dir);

  EXPECT_THAT(page, Not(HasSubstr("NDCG@20 of the validation users")));
  const std::size_t caption = page.find("HR@10 of the validation users</figcaption>");
  ASSERT_NE(caption, std::string::npos);
  const std::size_t figure = page.rfind("<figure>", caption);
  const std::string drawn = page.substr(figure, caption - figure);
  // One path of three corners: to the first, and lines to the second and the third.
  EXPECT_THAT(drawn, ::testing::ContainsRegex("d='M[0-9.]+,[0-9.]+ L[0-9.]+,[0-9.]+ "
                                              "L[0-9.]+,[0-9.]+ *'"));
}

TEST(ReportExperiment, PutsSeveralExperimentsOnOnePage) {
  const TempDir dir;
  dir.write("x.json", small_document().dump());
  Json other = small_document();
  other["name"] = "y";
  other["notes"] = {"A remark."};
  dir.write("y.json", other.dump());
  dir.write("notes.json", "[1, 2]");

  const RunReport report = read_run(dir.path());

  EXPECT_EQ(report.title, "2 experiments");
  ASSERT_EQ(report.tables.size(), 2U);
  EXPECT_EQ(report.tables[1].title, "y: One → Two");
  EXPECT_THAT(render_html(report), HasSubstr("<td>A remark.</td>"));
}

TEST(ReportExperiment, TakesTheFileOfOneExperiment) {
  const TempDir dir;
  dir.write("x.json", small_document().dump());
  dir.write("y.json", small_document().dump());
  dir.write("notes.json", "[1, 2]");

  EXPECT_EQ(read_run(dir.file("x.json")).title, "A table");
  EXPECT_THROW(read_run(dir.file("notes.json")), Error);
  EXPECT_THROW(read_run(dir.file("z.json")), Error);
}

void expect_refused(const Json& document, Kind kind, const std::string& words) {
  const TempDir dir;
  dir.write("x.json", document.dump());
  try {
    read_run(dir.path());
    FAIL() << document.dump();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), HasSubstr(words));
  }
}

TEST(ReportExperiment, NamesTheFileOfADamagedDocument) {
  Json document = small_document();
  document["cells"][0].erase("values");

  expect_refused(document, Kind::kBadInput, "x.json");
}

TEST(ReportExperiment, RefusesADocumentWithoutMetrics) {
  Json document = small_document();
  document["metrics"] = Json::array();

  expect_refused(document, Kind::kCorrupt, "x.json: metrics is empty");
}

TEST(ReportExperiment, ShowsACellWithoutValuesAsEmpty) {
  const TempDir dir;
  Json document = small_document();
  document["cells"][0]["values"] = Json::array();
  dir.write("x.json", document.dump());

  EXPECT_THAT(page_of(dir), HasSubstr("near"));
}

}  // namespace
}  // namespace kindling
