#include "kindling/kernels/shared_negatives.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

std::vector<float> random_scores(const SharedShape& shape, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> scores(shape.rows * shape.columns);
  for (float& score : scores) score = static_cast<float>(1.5 * rng.normal());
  return scores;
}

// The gradient that `loss` leaves in the scores, against differences of the plain version.
template <class Loss, class Reference>
void expect_gradient(const SharedShape& shape, const Loss& loss, const Reference& reference) {
  const std::vector<float> scores = random_scores(shape, 5);
  std::vector<float> gradient = scores;

  const double value = loss(gradient.data());

  EXPECT_NEAR(value, reference(scores.data()), 1e-5 * std::fabs(value));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    std::vector<float> moved = scores;
    moved[i] += 1e-2F;
    const double above = reference(moved.data());
    moved[i] = scores[i] - 1e-2F;
    const double below = reference(moved.data());
    EXPECT_NEAR(gradient[i], (above - below) / 2e-2, 2e-4) << i;
  }
}

TEST(BprMax, IsTheLogOfTwoForEqualScores) {
  std::vector<float> scores(2 * 5, 0.0F);

  EXPECT_NEAR(bpr_max(scores.data(), {2, 5}, {}), std::log(2.0), 1e-6);  // σ(0) = 1/2
}

TEST(BprMax, HasTheGradientOfItsLossWithAndWithoutElu) {
  const SharedShape shape{3, 21};
  for (const float elu : {0.0F, 0.5F}) {
    const BprMaxOptions options{elu, 1.0F};
    expect_gradient(
        shape, [&](float* s) { return bpr_max(s, shape, options); },
        [&](const float* s) { return bpr_max_reference(s, shape, options); });
  }
}

TEST(BprMax, TakesTargetsAnywhere) {
  const SharedShape shape{3, 21};
  const std::vector<std::uint32_t> places{20, 4, 0};
  const SharedShape moved{3, 21, places.data()};
  const std::vector<float> scores = random_scores(shape, 5);
  std::vector<float> swapped = scores;  // the same with each row's target in its place
  for (std::size_t r = 0; r < 3; ++r) std::swap(swapped[r * 21 + r], swapped[r * 21 + places[r]]);

  EXPECT_NEAR(bpr_max_reference(scores.data(), shape, {}),
              bpr_max_reference(swapped.data(), moved, {}), 1e-9);
  expect_gradient(
      moved, [&](float* s) { return bpr_max(s, moved, {.elu = 0.0F}); },
      [&](const float* s) { return bpr_max_reference(s, moved, {.elu = 0.0F}); });
}

TEST(BprMax, SurvivesLargeScores) {
  std::vector<float> scores = {80.0F, -80.0F, 0.0F, -80.0F, 80.0F, 1.0F};

  EXPECT_TRUE(std::isfinite(bpr_max(scores.data(), {2, 3}, {})));
  for (const float gradient : scores) EXPECT_TRUE(std::isfinite(gradient));
}

TEST(SharedNegatives, AddsUpItsColumns) {
  const std::vector<float> scores{1, 2, 3, 40, 50, 60};
  std::vector<float> sums(3, -1.0F);

  column_sums(scores.data(), {.rows = 2, .columns = 3}, sums.data());

  EXPECT_EQ(sums, (std::vector<float>{41, 52, 63}));
}

}  // namespace
}  // namespace kindling::kernels
