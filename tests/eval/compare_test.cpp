#include "kindling/eval/compare.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/eval/saved_queries.h"
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

TEST(CompareSeeds, OfOneSeedAndUserIsThePlainComparison) {
  const std::vector<double> a{0.1, 0.5, 0.2, 0.9};
  const std::vector<double> b{0.2, 0.4, 0.3, 0.5};
  const std::vector<std::uint32_t> users{4, 7, 1, 0};

  const Comparison plain = compare_paired(a, b, Rng(5));
  const Comparison same = compare_seeds({a}, {b}, users, Rng(5));

  EXPECT_DOUBLE_EQ(plain.low, same.low);
  EXPECT_DOUBLE_EQ(plain.p_value, same.p_value);
  EXPECT_THROW(compare_seeds({}, {b}, {}, Rng(5)), Error);
  EXPECT_THROW(compare_seeds({a}, {b, {0.1}}, {}, Rng(5)), Error);
  EXPECT_THROW(compare_seeds({a}, {b}, std::span(users).first(3), Rng(5)), Error);
}

double width(const Comparison& result) { return result.high - result.low; }

// Four queries that a user answers alike say no more than one.
TEST(CompareSeeds, QueriesOfAUserAreDrawnTogether) {
  Rng rng(1);
  std::vector<double> a, once;
  std::vector<std::uint32_t> users;
  for (std::uint32_t user = 0; user < 100; ++user) {
    once.push_back(rng.normal());
    for (int k = 0; k < 4; ++k) {
      a.push_back(once.back());
      users.push_back(user);
    }
  }
  const std::vector<double> zeros(400, 0.0);

  const double clustered = width(compare_seeds({a}, {zeros}, users, Rng(2)));

  EXPECT_NEAR(clustered / width(compare_paired(once, std::span(zeros).first(100), Rng(2))), 1, 0.1);
  EXPECT_NEAR(clustered / width(compare_paired(a, zeros, Rng(2))), 2, 0.3);
}

// The mean of six draws of six values has the deviation of the values over √6: by the sample's
// formula .267 of it, .244 by what a plain draw gives.
TEST(CompareSeeds, FewUnitsAreSpreadAsASampleIs) {
  std::vector<double> a;
  std::vector<std::uint32_t> scenarios;
  for (std::uint32_t n = 0; n < 6; ++n) {
    a.insert(a.end(), 10, 0.4 * n);
    scenarios.insert(scenarios.end(), 10, n);
  }
  const double deviation = mean_sd(std::vector<double>{0.0, 0.4, 0.8, 1.2, 1.6, 2.0}).sd;

  const Comparison result =
      compare_seeds({a}, {std::vector<double>(60, 0.0)}, scenarios, Rng(4), 20'000);

  EXPECT_NEAR(result.difference, 1.0, 1e-12);
  EXPECT_NEAR(width(result) / (2 * 1.96 * deviation / std::sqrt(6.0)), 1.0, 0.04);
}

// Three seeds of each side that differ by more than the users do: the difference of two means of
// three draws has the standard deviation √(2/3) of one.
TEST(CompareSeeds, SeedsAreDrawnToo) {
  const auto seeds = [](std::initializer_list<double> means) {
    SeedValues all;
    for (const double mean : means) all.emplace_back(200, mean);
    return all;
  };
  const SeedValues a = seeds({0.1, 0.2, 0.3});  // sample deviation 0.1
  const SeedValues b = seeds({0.0, 0.1, 0.2});

  const Comparison result = compare_seeds(a, b, {}, Rng(3), 20'000);

  EXPECT_NEAR(result.difference, 0.1, 1e-12);
  EXPECT_GT(result.p_value, 0.1);
  EXPECT_NEAR(width(result), 2 * 1.96 * 0.1 * std::sqrt(2.0 / 3.0), 0.03);
  EXPECT_LT(compare_seeds(a, seeds({-1.0, -0.9, -0.8}), {}, Rng(3)).p_value, 0.01);
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
  SavedComparison same(result, shop, folder.file("queries.tsv"), "ndcg@10");
  same.add(result);
  EXPECT_DOUBLE_EQ(same.result(Rng(1)).difference, 0.0);
  EXPECT_EQ(same.result(Rng(1)).pairs, result.queries.size());
}

// The difference is that of the means which the table shows.
TEST(CompareSeeds, AMeanOverUsersCountsEveryUserOnce) {
  const std::vector<double> a{1.0, 1.0, 1.0, 0.0};
  const std::vector<double> b{0.0, 0.0, 0.0, 1.0};
  const std::vector<std::uint32_t> users{4, 4, 4, 9};

  EXPECT_DOUBLE_EQ(compare_seeds({a}, {b}, users, Rng(2)).difference, 0.5);
  const Comparison over_users = compare_seeds({a}, {b}, users, Rng(2), 2000, MeanOver::kUnits);
  EXPECT_DOUBLE_EQ(over_users.difference, 0.0);
  // Both draws are the first user: 1, spread by √2 as of two users.
  EXPECT_DOUBLE_EQ(over_users.high, std::sqrt(2.0));
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
