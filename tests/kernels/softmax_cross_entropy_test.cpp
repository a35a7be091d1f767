#include "kindling/kernels/softmax_cross_entropy.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

struct Example {
  std::size_t rows, classes, dim;
  std::vector<float> states, items, bias;
  std::vector<std::int64_t> targets;

  Example(std::size_t n, std::size_t j, std::size_t d, double width = 1.0)
      : rows(n), classes(j), dim(d), states(n * d), items(j * d), bias(j), targets(n) {
    Rng rng(5);
    for (float& value : states) value = static_cast<float>(rng.uniform(-width, width));
    for (float& value : items) value = static_cast<float>(rng.uniform(-1.0, 1.0));
    for (float& value : bias) value = static_cast<float>(rng.uniform(-1.0, 1.0));
    for (auto& target : targets) target = static_cast<std::int64_t>(rng.below(j));
  }
  SoftmaxProblem problem() const {
    return {states.data(), items.data(), targets.data(), rows, classes, dim};
  }
  SoftmaxProblem biased() const {
    SoftmaxProblem all = problem();
    all.bias = bias.data();
    return all;
  }
};

void expect_near(const std::vector<float>& values, const std::vector<float>& wanted,
                 double tolerance) {
  ASSERT_EQ(values.size(), wanted.size());
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], wanted[i], tolerance);
}

void expect_equal_to_reference(const SoftmaxProblem& problem, std::size_t block_bytes,
                               double tolerance) {
  std::vector<float> du(problem.rows * problem.dim, 9.0F), dv(problem.classes * problem.dim, 9.0F);
  std::vector<float> db(problem.classes, 9.0F);
  std::vector<float> slow_du(du.size()), slow_dv(dv.size()), slow_db(db.size());

  const double loss =
      softmax_cross_entropy(problem, {du.data(), dv.data(), db.data()}, block_bytes);
  const double slow =
      softmax_cross_entropy_reference(problem, {slow_du.data(), slow_dv.data(), slow_db.data()});

  EXPECT_NEAR(loss, slow, 1e-6 * (1.0 + std::fabs(slow)));
  expect_near(du, slow_du, tolerance);
  expect_near(dv, slow_dv, tolerance);
  expect_near(db, slow_db, tolerance);
}

TEST(SoftmaxCrossEntropy, AgreesWithTheReference) {
  expect_equal_to_reference(Example(13, 101, 8).problem(), std::size_t{1} << 20, 2e-6);
  expect_equal_to_reference(Example(13, 101, 8).biased(), std::size_t{1} << 20, 2e-6);
  expect_equal_to_reference(Example(70, 1000, 33).biased(), std::size_t{1} << 20, 2e-5);
}

TEST(SoftmaxCrossEntropy, DoesNotDependOnTheBlocks) {
  expect_equal_to_reference(Example(13, 101, 8).biased(), 109 * 4 * 3, 2e-6);
}

TEST(SoftmaxCrossEntropy, TakesOneRowWhenTheBudgetIsTooSmall) {
  expect_equal_to_reference(Example(3, 40, 4).problem(), 1, 2e-6);
}

TEST(SoftmaxCrossEntropy, SurvivesLogitsOfAThousand) {
  Example example(2, 2, 1);
  example.states = {1000.0F, -1000.0F};
  example.items = {1.0F, -1.0F};
  example.targets = {0, 0};
  std::vector<float> du(2), dv(2);

  const double loss = softmax_cross_entropy(example.problem(), {du.data(), dv.data()});

  // Logits (1000, -1000) and (-1000, 1000) with the first class wanted: 0 and 2000.
  EXPECT_FLOAT_EQ(static_cast<float>(loss), 2000.0F);
  EXPECT_FLOAT_EQ(du[0], 0.0F);
  EXPECT_FLOAT_EQ(du[1], -2.0F);
  EXPECT_FLOAT_EQ(dv[0], 1000.0F);
  EXPECT_FLOAT_EQ(dv[1], -1000.0F);
}

TEST(SoftmaxCrossEntropy, OfEqualLogitsIsTheLogOfTheirNumber) {
  Example example(1, 50, 3);
  example.states.assign(3, 0.0F);

  EXPECT_NEAR(softmax_cross_entropy(example.problem(), {}), std::log(50.0), 1e-6);
}

TEST(SoftmaxCrossEntropy, GivesOnlyTheGradientsThatAreWanted) {
  const Example example(13, 101, 8);
  std::vector<float> du(13 * 8), dv(101 * 8), db(101), one(13 * 8), two(101 * 8), three(101);
  const SoftmaxProblem problem = example.biased();
  const double loss = softmax_cross_entropy(problem, {du.data(), dv.data(), db.data()});

  EXPECT_EQ(softmax_cross_entropy(problem, {}), loss);
  EXPECT_EQ(softmax_cross_entropy(problem, {.states = one.data()}), loss);
  EXPECT_EQ(softmax_cross_entropy(problem, {.items = two.data()}), loss);
  EXPECT_EQ(softmax_cross_entropy(problem, {.bias = three.data()}), loss);
  EXPECT_EQ(one, du);
  EXPECT_EQ(two, dv);
  EXPECT_EQ(three, db);
}

TEST(SoftmaxCrossEntropy, OfNoRowsIsZeroWithZeroGradients) {
  const Example example(0, 4, 2);
  std::vector<float> dv(8, 7.0F);

  EXPECT_EQ(softmax_cross_entropy(example.problem(), {nullptr, dv.data()}), 0.0);
  EXPECT_EQ(dv, std::vector<float>(8, 0.0F));
}

TEST(SoftmaxCrossEntropy, RefusesATargetThatIsNoItem) {
  Example example(2, 4, 2);
  example.targets[1] = 4;
  EXPECT_THROW(softmax_cross_entropy(example.problem(), {}), Error);
  example.targets[1] = -1;
  EXPECT_THROW(softmax_cross_entropy(example.problem(), {}), Error);
}

TEST(SoftmaxCrossEntropy, ReferenceGradientsMatchFiniteDifferences) {
  Example example(3, 6, 4);
  std::vector<float> du(12), dv(24), db(6);
  softmax_cross_entropy_reference(example.biased(), {du.data(), dv.data(), db.data()});

  const auto expect_matches = [&](std::vector<float>& values, const std::vector<float>& gradient) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float kept = values[i];
      values[i] = kept + 1e-2F;
      const double above = softmax_cross_entropy_reference(example.biased(), {});
      values[i] = kept - 1e-2F;
      const double below = softmax_cross_entropy_reference(example.biased(), {});
      values[i] = kept;
      EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) / 2e-2, 1e-4);
    }
  };
  expect_matches(example.states, du);
  expect_matches(example.items, dv);
  expect_matches(example.bias, db);
}

}  // namespace
}  // namespace kindling::kernels
