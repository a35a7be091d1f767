#include "kindling/models/dense.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/baselines/conet_towers.h"
#include "kindling/models/baselines/neumf_net.h"
#include "kindling/models/grid_search.h"

namespace kindling {
namespace {

Matrix normal_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Rng rng(seed);
  Matrix values(rows, cols);
  for (std::size_t i = 0; i < rows * cols; ++i) {
    values.data()[i] = static_cast<float>(rng.normal());
  }
  return values;
}

// Half the sum of squares of relu(x Wᵀ + b): its gradient by the output is the output.
double half_squares(const Dense& layer, const Matrix& x) {
  Matrix y = layer.forward(x);
  relu_in_place(y);
  double sum = 0.0;
  for (std::size_t i = 0; i < y.rows() * y.cols(); ++i) {
    sum += 0.5 * static_cast<double>(y.data()[i]) * y.data()[i];
  }
  return sum;
}

TEST(Dense, GradientsAreThoseOfDifferences) {
  Rng rng(3);
  Dense layer(4, 3);
  layer.init_uniform(rng);
  Matrix x = normal_matrix(5, 4, 8);
  Matrix y = layer.forward(x);
  relu_in_place(y);
  Matrix dy = y;
  relu_backward_in_place(y, dy);

  const Matrix dx = layer.backward(x, dy);

  constexpr float kStep = 1e-3F;
  const auto difference = [&](float& value) {
    const float before = value;
    value = before + kStep;
    const double up = half_squares(layer, x);
    value = before - kStep;
    const double down = half_squares(layer, x);
    value = before;
    return (up - down) / (2.0 * kStep);
  };
  for (std::size_t i = 0; i < layer.weight.value.size(); ++i) {
    EXPECT_NEAR(layer.weight.gradient[i], difference(layer.weight.value[i]), 5e-3);
  }
  for (std::size_t i = 0; i < layer.bias.value.size(); ++i) {
    EXPECT_NEAR(layer.bias.gradient[i], difference(layer.bias.value[i]), 5e-3);
  }
  EXPECT_NEAR(dx(2, 1), difference(x(2, 1)), 5e-3);
}

TEST(Tunable, AdamsFirstStepIsTheRateAgainstTheSign) {
  Tunable one(2);
  one.gradient = {0.5F, -3.0F};
  one.adam({.rate = 0.1F}, 1);

  EXPECT_NEAR(one.value[0], -0.1F, 1e-5);
  EXPECT_NEAR(one.value[1], 0.1F, 1e-5);
  EXPECT_EQ(one.gradient[0], 0.0F);
}

double log_loss(const neumf::Net& net, const neumf::Batch& batch, neumf::Half half) {
  neumf::Net::Trace trace;
  const auto logits = net.logits({}, batch.users, batch.items, half, trace);
  double loss = 0.0;
  for (std::size_t r = 0; r < logits.size(); ++r) {
    const double x = logits[r];
    loss += std::log1p(std::exp(-std::fabs(x))) + std::max(x, 0.0) - x * batch.labels[r];
  }
  return loss / static_cast<double>(logits.size());
}

// One SGD step of a small rate moves every parameter by -rate * gradient.
TEST(NeumfNet, StepsAgainstTheGradientOfItsLogLoss) {
  const neumf::Batch batch{{0, 1, 0, 2}, {3, 0, 1, 3}, {1.0F, 0.0F, 0.0F, 1.0F}};
  for (const auto half : {neumf::Half::kFactors, neumf::Half::kTower, neumf::Half::kBoth}) {
    Rng rng(4);
    neumf::Net net(3, 4, 0);
    net.init(rng);
    ModelState before;
    net.append_state(before);
    for (NamedTensor& tensor : before) {
      for (float& value : tensor.values) value += static_cast<float>(0.2 * rng.normal());
    }
    net.load(before);
    constexpr float kRate = 0.01F;
    net.learn({}, batch, half, kRate, false, 1);
    ModelState after;
    net.append_state(after);

    for (std::size_t t = 0; t < before.size(); ++t) {
      for (std::size_t i = 0; i < before[t].values.size(); i += 7) {
        constexpr float kStep = 2e-3F;
        ModelState moved = before;
        moved[t].values[i] += kStep;
        net.load(moved);
        const double up = log_loss(net, batch, half);
        moved[t].values[i] -= 2.0F * kStep;
        net.load(moved);
        const double gradient = (up - log_loss(net, batch, half)) / (2.0 * kStep);
        EXPECT_NEAR((before[t].values[i] - after[t].values[i]) / kRate, gradient, 3e-3)
            << before[t].name << " " << i;
      }
    }
  }
}

TEST(ConetTowers, GradientsAreThoseOfDifferences) {
  Rng rng(6);
  conet::Towers towers(4, 6, 2, rng);
  const Matrix t = normal_matrix(3, 4, 1);
  const Matrix s = normal_matrix(3, 4, 2);
  const std::vector<float> t_labels = {1.0F, 0.0F, 1.0F};
  const std::vector<float> s_labels = {0.0F, 0.0F, 1.0F};
  const auto loss = [&] {
    conet::Towers copy = towers;
    return copy.gradient(t, s, t_labels, s_labels, 0.01);
  };
  towers.gradient(t, s, t_labels, s_labels, 0.01);

  for (Tunable* one : towers.parameters()) {
    for (std::size_t i = 0; i < one->value.size(); ++i) {
      constexpr float kStep = 1e-3F;
      const float before = one->value[i];
      one->value[i] = before + kStep;
      const double up = loss();
      one->value[i] = before - kStep;
      const double down = loss();
      one->value[i] = before;
      EXPECT_NEAR(one->gradient[i], (up - down) / (2.0 * kStep), 3e-3);
    }
  }
}

TEST(GridSearch, TriesEveryCombinationAndKeepsTheFirstBest) {
  const std::vector<GridAxis> axes = {{"a", {"1", "2"}}, {"b", {"x", "y", "z"}}};
  const auto grid = all_combinations(axes);
  ASSERT_EQ(grid.size(), 6U);
  EXPECT_EQ(grid[1], (OptionValues{{"a", "1"}, {"b", "y"}}));

  const GridResult result = search_grid(
      grid, [](const OptionValues& values) { return values[1].second == "y" ? 0.5 : 0.25; });

  EXPECT_EQ(result.winner().values, grid[1]);
  EXPECT_EQ(result.to_json()["best"]["b"], "y");
  EXPECT_THROW(search_grid({}, [](const OptionValues&) { return 0.0; }), Error);
}

TEST(GridSearch, EndsWithTheBestSoFarWhenItIsTold) {
  const auto grid = all_combinations(std::vector<GridAxis>{{"a", {"1", "2", "3"}}});
  int asked = 0;

  const GridResult result = search_grid(
      grid, [](const OptionValues& values) { return values[0].second == "3" ? 1.0 : 0.5; },
      [&] { return ++asked == 2; });

  EXPECT_EQ(result.points.size(), 2U);
  EXPECT_EQ(result.winner().values, grid[0]);
}

}  // namespace
}  // namespace kindling
