#include "kindling/eval/report_adaptation.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

TEST(ReportAdaptation, ShowsLossStopProbabilityAndGatesOverTheSteps) {
  const testing::TempDir dir;
  dir.write("adaptation.json", R"({"model":"s2meta","scenario":"tea","support":64,"candidates":120,
    "adaptation":{"steps":[
      {"loss":1.5,"stop_probability":0.1,"input_gates":{"a.weight":0.5},"forget_gates":{"a.weight":0.9}},
      {"loss":1.0,"stop_probability":0.3,"input_gates":{"a.weight":0.6},"forget_gates":{"a.weight":0.7}}]}})");

  const auto report = read_adaptation(dir.path());

  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->title, "s2meta adapted to tea");
  ASSERT_EQ(report->sweeps.size(), 3U);
  ASSERT_EQ(report->sweeps[0].lines.size(), 2U);
  EXPECT_EQ(report->sweeps[0].lines[1].label, "stop probability");
  EXPECT_EQ(report->sweeps[0].lines[1].points[1].x, 1.0);
  EXPECT_EQ(report->sweeps[0].lines[1].points[1].mean, 0.3);
}

TEST(ReportAdaptation, IsNothingWithoutARecordAndRefusesABrokenOne) {
  const testing::TempDir dir;
  EXPECT_FALSE(read_adaptation(dir.path()).has_value());
  dir.write("adaptation.json", R"({"model":"s2meta","scenario":"tea"})");
  EXPECT_THROW(read_adaptation(dir.path()), Error);
}

}  // namespace
}  // namespace kindling
