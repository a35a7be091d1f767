#include "kindling/eval/metrics.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

TEST(Metrics, FollowTheirFormulas) {
  EXPECT_DOUBLE_EQ(recall_at(20, 20), 1.0);
  EXPECT_DOUBLE_EQ(recall_at(20.5, 20), 0.0);
  EXPECT_DOUBLE_EQ(hit_at(1, 1), 1.0);
  EXPECT_DOUBLE_EQ(ndcg_at(1, 20), 1.0);
  EXPECT_DOUBLE_EQ(ndcg_at(3, 20), 0.5);  // 1 / log2(4)
  EXPECT_DOUBLE_EQ(ndcg_at(2.5, 20), 1.0 / std::log2(3.5));
  EXPECT_DOUBLE_EQ(ndcg_at(21, 20), 0.0);
  EXPECT_DOUBLE_EQ(reciprocal_rank(4), 0.25);
}

TEST(Metrics, KnowTheRandomExpectation) {
  // specs/zesrec.md section 7: Pantry with 10,000 items 0.0020 / 0.0007.
  EXPECT_DOUBLE_EQ(random_recall_at(20, 10000), 0.002);
  EXPECT_NEAR(random_ndcg_at(20, 10000), 7.0403 / 10000, 1e-8);
  // Fewer items than k: everything is found.
  EXPECT_DOUBLE_EQ(random_recall_at(20, 5), 1.0);
}

TEST(MetricTable, AveragesOverQueries) {
  MetricTable table({1, 10});
  table.add(1);
  table.add(3);
  table.add(11);
  table.add(7);

  const Json metrics = table.to_json();

  EXPECT_DOUBLE_EQ(metrics["recall@1"], 0.25);
  EXPECT_DOUBLE_EQ(metrics["hr@10"], 0.75);
  EXPECT_DOUBLE_EQ(metrics["ndcg@10"], (1.0 + 0.5 + 1.0 / 3.0) / 4.0);  // log2(8) = 3
  EXPECT_DOUBLE_EQ(metrics["mrr"], (1.0 + 1.0 / 3 + 1.0 / 11 + 1.0 / 7) / 4.0);
  EXPECT_EQ(table.queries(), 4U);
}

TEST(MetricTable, WeighsQueries) {
  MetricTable table({1});
  table.add(1, 1.0);  // one user with one query
  table.add(2, 0.5);  // another with two
  table.add(2, 0.5);

  EXPECT_DOUBLE_EQ(table.to_json()["recall@1"], 0.5);
}

TEST(MetricTable, RefusesWhatIsNoCutoffAndNoRank) {
  EXPECT_THROW(MetricTable({0}), Error);
  MetricTable table({10});
  EXPECT_THROW(table.add(0.5), Error);
  EXPECT_THROW(table.add(std::nan("")), Error);
}

TEST(MetricValue, ReadsNames) {
  EXPECT_DOUBLE_EQ(metric_value("ndcg@20", 3), 0.5);
  EXPECT_DOUBLE_EQ(metric_value("hr@2", 3), 0.0);
  EXPECT_DOUBLE_EQ(metric_value("mrr", 2), 0.5);
  EXPECT_DOUBLE_EQ(metric_value("mrr@5", 4), 0.25);
  EXPECT_DOUBLE_EQ(metric_value("mrr@5", 5.5), 0.0);
  EXPECT_THROW(metric_value("ndcg", 1), Error);
  EXPECT_THROW(metric_value("auc@10", 1), Error);
}

}  // namespace
}  // namespace kindling
