// The page on A4 paper: tools/check_pages.py measures it, where Chromium is.
#include <gtest/gtest.h>

#include "kindling/base/file.h"
#include "kindling/eval/report.h"
#include "tests/support/check_pages.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

// Eleven metrics with deviations and published numbers, as of RecGURU's table 2.
ReportTable wide_table() {
  ReportTable table{.title = "Clothing → Sports", .note = "", .metrics = {}, .rows = {}};
  table.metrics = {"hr@5",          "hr@10",      "hr@20",           "ndcg@5",
                   "ndcg@20",       "ndcg@10",    "full:hr@10",      "full:ndcg@10",
                   "uniform:hr@10", "warm:hr@10", "validation_hr@10"};
  for (const char* label : {"SAS as in RecGURU's code, not causal", "gru4rec_official_of_theirs"}) {
    ReportRow row{.label = label, .note = "first 2048 of 9024 queries", .values = {}};
    for (const std::string& metric : table.metrics) {
      row.values[metric] = {0.1234, 0.1432, 0.1345};
      row.published[metric] = 0.207;
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Five items and the next one, which the printed page used to cut off.
ReportCase long_case() {
  const CaseItem item{"i", "Epson WorkForce WF-3620 Direct All-in-One Colour Inkjet Printer"};
  const std::vector<CaseItem> history(5, item);
  return {.user = "A1RL4RC6XKYQ9U",
          .history = history,
          .recommended = {item},
          .next = {item},
          .place = "Office → Industrial, ZESRec-G",
          .neighbours = {{"AFA2BRTMJT8O3", history, {item}}},
          .rank = 2.0};
}

TEST(ReportPrint, FitsElevenMetricsAndSixItemsOnA4) {
  RunReport run;
  run.title = "On paper";
  run.tables = {wide_table()};
  run.cases = {long_case()};
  run.commands = {
      "kindling experiment recguru-table2 --data ../data/of/a/rather/long/path/that/does/"
      "not/break --out build/recguru-table2 --jobs 2 --only '*.recguru.*'"};
  const testing::TempDir dir;
  write_file(dir.file("page.html"), render_html(run));

  const testing::Outcome outcome = testing::check_pages("--print", dir.file("page.html"));

  if (outcome.code == testing::kNoChromium) GTEST_SKIP() << "no Chromium to print with";
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
}

}  // namespace
}  // namespace kindling
