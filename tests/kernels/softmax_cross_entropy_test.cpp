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
  std::vector<float> states, items;
  std::vector<std::int64_t> targets;

  Example(std::size_t n, std::size_t j, std::size_t d, double width = 1.0)
      : rows(n), classes(j), dim(d), states(n * d), items(j * d), targets(n) {
    Rng rng(5);
    for (float& value : states) value = static_cast<float>(rng.uniform(-width, width));
    for (float& value : items) value = static_cast<float>(rng.uniform(-1.0, 1.0));
    for (auto& target : targets) target = static_cast<std::int64_t>(rng.below(j));
  }
  SoftmaxProblem problem() const {
    return {states.data(), items.data(), targets.data(), rows, classes, dim};
  }
};

void expect_equal_to_reference(const Example& example, std::size_t block_bytes, double tolerance) {
  std::vector<float> du(example.states.size()), dv(example.items.size(), 9.0F);
  std::vector<float> slow_du(du.size()), slow_dv(dv.size());

  const double loss = softmax_cross_entropy(example.problem(), du.data(), dv.data(), block_bytes);
  const double slow =
      softmax_cross_entropy_reference(example.problem(), slow_du.data(), slow_dv.data());

  EXPECT_NEAR(loss, slow, 1e-6 * (1.0 + std::fabs(slow)));
  for (std::size_t i = 0; i < du.size(); ++i) EXPECT_NEAR(du[i], slow_du[i], tolerance);
  for (std::size_t i = 0; i < dv.size(); ++i) EXPECT_NEAR(dv[i], slow_dv[i], tolerance);
}

TEST(SoftmaxCrossEntropy, AgreesWithTheReference) {
  expect_equal_to_reference(Example(13, 101, 8), std::size_t{1} << 20, 2e-6);
}

TEST(SoftmaxCrossEntropy, DoesNotDependOnTheBlocks) {
  expect_equal_to_reference(Example(13, 101, 8), 101 * 4 * 3, 2e-6);
}

TEST(SoftmaxCrossEntropy, TakesOneRowWhenTheBudgetIsTooSmall) {
  expect_equal_to_reference(Example(3, 40, 4), 1, 2e-6);
}

TEST(SoftmaxCrossEntropy, SurvivesLogitsOfAThousand) {
  Example example(2, 2, 1);
  example.states = {1000.0F, -1000.0F};
  example.items = {1.0F, -1.0F};
  example.targets = {0, 0};
  std::vector<float> du(2), dv(2);

  const double loss = softmax_cross_entropy(example.problem(), du.data(), dv.data());

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

  EXPECT_NEAR(softmax_cross_entropy(example.problem(), nullptr, nullptr), std::log(50.0), 1e-6);
}

TEST(SoftmaxCrossEntropy, OfNoRowsIsZeroWithZeroGradients) {
  const Example example(0, 4, 2);
  std::vector<float> dv(8, 7.0F);

  EXPECT_EQ(softmax_cross_entropy(example.problem(), nullptr, dv.data()), 0.0);
  EXPECT_EQ(dv, std::vector<float>(8, 0.0F));
}

TEST(SoftmaxCrossEntropy, RefusesATargetThatIsNoItem) {
  Example example(2, 4, 2);
  example.targets[1] = 4;
  EXPECT_THROW(softmax_cross_entropy(example.problem(), nullptr, nullptr), Error);
  example.targets[1] = -1;
  EXPECT_THROW(softmax_cross_entropy(example.problem(), nullptr, nullptr), Error);
}

TEST(SoftmaxCrossEntropy, ReferenceGradientsMatchFiniteDifferences) {
  Example example(3, 6, 4);
  std::vector<float> du(12), dv(24);
  softmax_cross_entropy_reference(example.problem(), du.data(), dv.data());

  const auto expect_matches = [&](std::vector<float>& values, const std::vector<float>& gradient) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float kept = values[i];
      values[i] = kept + 1e-2F;
      const double above = softmax_cross_entropy_reference(example.problem(), nullptr, nullptr);
      values[i] = kept - 1e-2F;
      const double below = softmax_cross_entropy_reference(example.problem(), nullptr, nullptr);
      values[i] = kept;
      EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) / 2e-2, 1e-4);
    }
  };
  expect_matches(example.states, du);
  expect_matches(example.items, dv);
}

}  // namespace
}  // namespace kindling::kernels
