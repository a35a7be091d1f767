// Which values of a table get ★ or ≈, and what its note says of the comparisons.
#include "kindling/eval/report_marks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kindling {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ReportRow row(const char* label, const std::map<std::string, double>& means,
              const std::map<std::string, double>& p_values = {}) {
  ReportRow one{.label = label, .note = "", .values = {}};
  for (const auto& [metric, mean] : means) one.values[metric] = {mean};
  one.p_values = p_values;
  return one;
}

ReportTable table(std::vector<std::string> metrics, std::vector<ReportRow> rows) {
  return {.title = "T", .note = "", .metrics = std::move(metrics), .rows = std::move(rows)};
}

TEST(ReportMarks, MarkTheSmallestWhereSmallerIsBetter) {
  const ReportTable one = table({"below_itempop"}, {row("worse", {{"below_itempop", 0.6}}),
                                                    row("better", {{"below_itempop", 0.1}})});

  EXPECT_EQ(mark_of(one, one.rows[0], "below_itempop"), Mark::kNone);
  EXPECT_EQ(mark_of(one, one.rows[1], "below_itempop"), Mark::kBest);
  EXPECT_THAT(marks_note(one), HasSubstr("↓ smaller is better"));
}

TEST(ReportMarks, MarkNothingWhereNoValueIsBetter) {
  const ReportTable one = table({"steps", "users"}, {row("few", {{"steps", 2}, {"users", 50}}),
                                                     row("many", {{"steps", 9}, {"users", 80}})});

  for (const ReportRow& each : one.rows) {
    EXPECT_EQ(mark_of(one, each, "steps"), Mark::kNone);
    EXPECT_EQ(mark_of(one, each, "users"), Mark::kNone);
  }
  EXPECT_EQ(marks_note(one), "");
}

TEST(ReportMarks, MarkNoBestOfASingleRow) {
  const ReportTable one = table({"ndcg@20"}, {row("alone", {{"ndcg@20", 0.2}}), row("open", {})});

  EXPECT_EQ(mark_of(one, one.rows[0], "ndcg@20"), Mark::kNone);
  EXPECT_EQ(marks_note(one), "");
}

TEST(ReportMarks, GiveSlicesTheDirectionOfTheirMetric) {
  ReportTable one =
      table({"cold item"}, {row("a", {{"cold item", 0.1}}), row("b", {{"cold item", 0.2}})});
  EXPECT_EQ(mark_of(one, one.rows[1], "cold item"), Mark::kNone);

  one.slice_metric = "ndcg@20";

  EXPECT_EQ(mark_of(one, one.rows[1], "cold item"), Mark::kBest);
}

TEST(ReportMarks, SayNothingOfAComparisonThatWasNotMade) {
  const ReportTable one =
      table({"ndcg@20"}, {row("a", {{"ndcg@20", 0.1}}), row("b", {{"ndcg@20", 0.2}})});

  EXPECT_EQ(marks_note(one), "★ best; rows were not compared query by query.");
}

TEST(ReportMarks, SayWhatWasComparedWhenAllWas) {
  const ReportTable one = table(
      {"ndcg@20"}, {row("a", {{"ndcg@20", 0.1}}, {{"ndcg@20", 0.4}}), row("b", {{"ndcg@20", 0.2}}),
                    row("c", {{"ndcg@20", 0.0}}, {{"ndcg@20", 0.001}}), row("open", {})});

  EXPECT_EQ(mark_of(one, one.rows[0], "ndcg@20"), Mark::kNotApart);
  EXPECT_EQ(mark_of(one, one.rows[2], "ndcg@20"), Mark::kNone);
  EXPECT_THAT(marks_note(one),
              AllOf(HasSubstr("≈ not told apart"), Not(HasSubstr("not compared"))));
}

TEST(ReportMarks, NameTheRowsThatWereNotCompared) {
  const ReportTable one =
      table({"hr@10", "ndcg@10"},
            {row("best", {{"hr@10", 0.5}, {"ndcg@10", 0.4}}),
             row("near", {{"hr@10", 0.4}, {"ndcg@10", 0.3}}, {{"hr@10", 0.2}, {"ndcg@10", 0.2}}),
             row("lost", {{"hr@10", 0.3}, {"ndcg@10", 0.2}}),
             row("half", {{"hr@10", 0.2}, {"ndcg@10", 0.1}}, {{"hr@10", 0.01}})});

  EXPECT_THAT(marks_note(one), HasSubstr("Rows not compared: lost, half (NDCG@10)."));
}

TEST(ReportMarks, NameTheColumnsThatWereNotCompared) {
  const ReportTable one =
      table({"hr@10", "full:hr@10", "steps"},
            {row("best", {{"hr@10", 0.5}, {"full:hr@10", 0.4}, {"steps", 1}}),
             row("near", {{"hr@10", 0.4}, {"full:hr@10", 0.3}, {"steps", 2}}, {{"hr@10", 0.2}})});

  EXPECT_THAT(marks_note(one), HasSubstr("Columns not compared: HR@10 (all items)."));
  EXPECT_THAT(marks_note(one), Not(HasSubstr("Rows not compared")));
}

}  // namespace
}  // namespace kindling
