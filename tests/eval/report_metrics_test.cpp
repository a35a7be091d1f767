#include "kindling/eval/report_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/metrics.h"

namespace kindling {
namespace {

using ::testing::MatchesRegex;
using ::testing::Not;

TEST(MetricTitle, WritesAcronymsInCapitals) {
  EXPECT_EQ(metric_title("ndcg@20"), "NDCG@20");
  EXPECT_EQ(metric_title("recall@10"), "Recall@10");
  EXPECT_EQ(metric_title("hit@10"), "HR@10");
  EXPECT_EQ(metric_title("mrr"), "MRR");
}

TEST(MetricTitle, SaysBehindTheNameWhatWasMeasured) {
  EXPECT_EQ(metric_title("macro_recall@20"), "Recall@20 (macro)");
  EXPECT_EQ(metric_title("recall@20/4"), "Recall@20 (step 4)");
  EXPECT_EQ(metric_title("macro_recall@20/4"), "Recall@20 (macro, step 4)");
  EXPECT_EQ(metric_title("full:hr@10"), "HR@10 (all items)");
  EXPECT_EQ(metric_title("warm:hr@10"), "HR@10 (warm items)");
  EXPECT_EQ(metric_title("validation_hr@10"), "HR@10 (validation)");
  EXPECT_EQ(metric_title("below_itempop"), "Scenarios below ItemPop");
}

TEST(MetricTitle, LeavesAnotherNameAsItIs) {
  EXPECT_EQ(metric_title("cold item"), "Cold item");
  EXPECT_EQ(metric_title("history 3-4"), "History 3-4");
  EXPECT_EQ(metric_title(""), "");
}

TEST(MetricTitle, IsReadableForEveryMetricOfTheBuiltInExperiments) {
  for (const std::string& name : plan_names()) {
    for (const std::string& metric : load_plan(name).metrics) {
      EXPECT_THAT(metric_title(metric), Not(MatchesRegex(".*[_:/].*"))) << name;
    }
  }
}

TEST(MetricDirection, IsLargerForEveryFunctionOfARank) {
  for (const std::string& metric : MetricTable({10, 20}).names()) {
    EXPECT_EQ(metric_direction(metric), MetricDirection::kLarger) << metric;
  }
  for (const char* metric :
       {"macro_recall@20", "recall@20/4", "full:ndcg@10", "validation_hr@10"}) {
    EXPECT_EQ(metric_direction(metric), MetricDirection::kLarger) << metric;
  }
}

TEST(MetricDirection, IsSmallerForSharesBelowABaselineAndForTimes) {
  EXPECT_EQ(metric_direction("below_itempop"), MetricDirection::kSmaller);
  EXPECT_EQ(metric_direction("below_unadapted"), MetricDirection::kSmaller);
  EXPECT_EQ(metric_direction("adapt_seconds"), MetricDirection::kSmaller);
}

TEST(MetricDirection, IsNoneForCountsAndUnknownNames) {
  EXPECT_EQ(metric_direction("steps"), MetricDirection::kNone);
  EXPECT_EQ(metric_direction("users"), MetricDirection::kNone);
  EXPECT_EQ(metric_direction("cold item"), MetricDirection::kNone);
}

TEST(MetricDirection, DecidesWhichValueIsBetter) {
  EXPECT_TRUE(is_better("ndcg@20", 0.3, 0.2));
  EXPECT_FALSE(is_better("ndcg@20", 0.2, 0.2));
  EXPECT_TRUE(is_better("below_itempop", 0.2, 0.3));
  EXPECT_FALSE(is_better("steps", 3.0, 2.0));
  EXPECT_FALSE(is_better("steps", 2.0, 3.0));
}

}  // namespace
}  // namespace kindling
