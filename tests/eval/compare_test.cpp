#include "kindling/eval/compare.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "tests/eval/scorers.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::FunctionScorer;
using testing::random_dataset;
using testing::TempDir;

TEST(MeanSd, UsesTheSampleFormula) {
  const std::vector<double> values{1.0, 2.0, 3.0, 4.0};
  EXPECT_DOUBLE_EQ(mean_sd(values).mean, 2.5);
  EXPECT_DOUBLE_EQ(mean_sd(values).sd, std::sqrt(5.0 / 3.0));
  EXPECT_DOUBLE_EQ(mean_sd(std::vector<double>{7.0}).sd, 0.0);
}

TEST(ComparePaired, FindsAClearDifference) {
  std::vector<double> a;
  std::vector<double> b;
  Rng rng(1);
  for (int i = 0; i < 500; ++i) {
    b.push_back(rng.normal());
    a.push_back(b.back() + 0.2 + 0.1 * rng.normal());
  }

  const Comparison result = compare_paired(a, b, Rng(2));

  EXPECT_NEAR(result.difference, 0.2, 0.02);
  EXPECT_LT(result.low, result.difference);
  EXPECT_GT(result.high, result.difference);
  EXPECT_LT(result.p_value, 0.01);
  EXPECT_GT(compare_paired(b, a, Rng(2)).p_value, 0.0);
}

TEST(ComparePaired, FindsNothingBetweenEqualResults) {
  const std::vector<double> a(50, 0.3);
  EXPECT_DOUBLE_EQ(compare_paired(a, a, Rng(1)).p_value, 1.0);
}

TEST(ComparePaired, IsDeterministicAndRefusesUnequalLengths) {
  const std::vector<double> a{0.1, 0.5, 0.2, 0.9};
  const std::vector<double> b{0.2, 0.4, 0.3, 0.5};
  EXPECT_DOUBLE_EQ(compare_paired(a, b, Rng(5)).high, compare_paired(a, b, Rng(5)).high);
  EXPECT_THROW(compare_paired(a, std::span(b).first(3), Rng(5)), Error);
}

TEST(SavedQueries, ComeBackAndCompareWithThemselves) {
  const TempDir folder;
  const Dataset shop = random_dataset(40, 25, 1);
  const FunctionScorer scorer([](auto, ItemId item) { return static_cast<float>(item % 7); });
  EvaluationOptions options;
  options.protocol = "leave-last-out";
  const Evaluation result = evaluate(scorer, {&shop, nullptr}, make_split(shop, options), options);

  save_queries(result, shop, folder.file("queries.tsv"));

  const auto saved = load_queries(folder.file("queries.tsv"));
  ASSERT_EQ(saved.size(), result.queries.size());
  EXPECT_EQ(saved[3].ranks, result.queries[3].ranks);
  const Comparison same =
      compare_with_saved(result, shop, folder.file("queries.tsv"), "ndcg@10", Rng(1));
  EXPECT_DOUBLE_EQ(same.difference, 0.0);
}

TEST(SavedQueries, RefuseDamagedFiles) {
  const TempDir folder;
  const std::string header = "user\tposition\titem\trank\trank_unseen\n";
  for (const char* line : {"u\t1\ti\t0.5\t1", "u\t-1\ti\t1\t1", "u\t1\ti\tnan\t1", "u\t1\ti\t1"}) {
    const std::string path = folder.write("queries.tsv", header + line + "\n");
    EXPECT_THROW(load_queries(path), Error) << line;
  }
  EXPECT_THROW(load_queries(folder.write("empty.tsv", "")), Error);
}

}  // namespace
}  // namespace kindling
