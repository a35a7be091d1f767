#include "kindling/kernels/gru.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

std::vector<float> random_floats(std::size_t count, Rng& rng, double width = 1.0) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.uniform(-width, width));
  return values;
}

// A layer of E = 5 inputs and D = 7 states over sequences of 3, 0, 1 and 4 steps.
struct Layer {
  static constexpr GruSize kSize{5, 7};
  Rng rng{11};
  PackedSteps steps{std::vector<std::int64_t>{0, 3, 3, 4, 8}};
  std::vector<float> input = random_floats(21 * 5, rng);
  std::vector<float> hidden = random_floats(21 * 7, rng);
  std::vector<float> input_bias = random_floats(21, rng);
  std::vector<float> hidden_bias = random_floats(21, rng);
  std::vector<float> x = random_floats(8 * 5, rng, 2.0);
  std::vector<float> start = random_floats(4 * 7, rng);
  std::vector<float> weight_of_state = random_floats(8 * 7, rng);

  GruWeights weights() const {
    return {input.data(), hidden.data(), input_bias.data(), hidden_bias.data()};
  }
  // Σ weight ⊙ states, from the double reference.
  double loss() const {
    std::vector<float> states(8 * 7);
    gru_forward_reference(kSize, steps, weights(), {x.data(), start.data()},
                          {states.data(), nullptr, nullptr, nullptr});
    double sum = 0.0;
    for (std::size_t i = 0; i < states.size(); ++i) {
      sum += static_cast<double>(states[i]) * static_cast<double>(weight_of_state[i]);
    }
    return sum;
  }
};

TEST(PackedSteps, PutsTheLongestSequenceFirst) {
  const PackedSteps steps(std::vector<std::int64_t>{0, 1, 1, 4, 6});

  EXPECT_EQ(steps.longest(), 3U);
  EXPECT_EQ(steps.alive(0), 3U);
  EXPECT_EQ(steps.alive(2), 1U);
  const std::vector<std::size_t> rows(steps.packed_row().begin(), steps.packed_row().end());
  EXPECT_EQ(rows, (std::vector<std::size_t>{1, 4, 0, 2, 5, 3}));
}

TEST(PackedSteps, RefusesOffsetsThatDecrease) {
  EXPECT_THROW(PackedSteps(std::vector<std::int64_t>{0, 3, 2}), Error);
}

TEST(Gru, AgreesWithTheReference) {
  const Layer layer;
  std::vector<float> fast(8 * 7), last(4 * 7), gates(8 * 28), previous(8 * 7);
  std::vector<float> slow(8 * 7), slow_last(4 * 7), slow_gates(8 * 28), slow_previous(8 * 7);

  gru_forward(Layer::kSize, layer.steps, layer.weights(), {layer.x.data(), layer.start.data()},
              {fast.data(), last.data(), gates.data(), previous.data()});
  gru_forward_reference(Layer::kSize, layer.steps, layer.weights(),
                        {layer.x.data(), layer.start.data()},
                        {slow.data(), slow_last.data(), slow_gates.data(), slow_previous.data()});

  for (std::size_t i = 0; i < fast.size(); ++i) EXPECT_NEAR(fast[i], slow[i], 2e-6);
  for (std::size_t i = 0; i < last.size(); ++i) EXPECT_NEAR(last[i], slow_last[i], 2e-6);
  for (std::size_t i = 0; i < gates.size(); ++i) EXPECT_NEAR(gates[i], slow_gates[i], 4e-6);
  for (std::size_t i = 0; i < previous.size(); ++i)
    EXPECT_NEAR(previous[i], slow_previous[i], 2e-6);
}

TEST(Gru, KeepsTheStartStateOfAnEmptySequence) {
  const Layer layer;
  std::vector<float> states(8 * 7), last(4 * 7);

  gru_forward(Layer::kSize, layer.steps, layer.weights(), {layer.x.data(), layer.start.data()},
              {states.data(), last.data(), nullptr, nullptr});

  for (std::size_t d = 0; d < 7; ++d) EXPECT_EQ(last[7 + d], layer.start[7 + d]);
}

TEST(Gru, GradientsMatchFiniteDifferences) {
  Layer layer;
  std::vector<float> states(8 * 7), gates(8 * 28), previous(8 * 7);
  gru_forward(Layer::kSize, layer.steps, layer.weights(), {layer.x.data(), layer.start.data()},
              {states.data(), nullptr, gates.data(), previous.data()});
  std::vector<float> d_x(40), d_start(28), d_input(105), d_hidden(147), d_ib(21), d_hb(21);
  gru_backward(
      Layer::kSize, layer.steps, layer.weights(), layer.x.data(), gates.data(), previous.data(),
      layer.weight_of_state.data(),
      {d_x.data(), d_start.data(), d_input.data(), d_hidden.data(), d_ib.data(), d_hb.data()});

  const auto expect_matches = [&](std::vector<float>& values, const std::vector<float>& gradient) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float kept = values[i];
      values[i] = kept + 1e-2F;
      const double above = layer.loss();
      values[i] = kept - 1e-2F;
      const double below = layer.loss();
      values[i] = kept;
      EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) / 2e-2, 2e-4) << i;
    }
  };
  expect_matches(layer.x, d_x);
  expect_matches(layer.start, d_start);
  expect_matches(layer.input, d_input);
  expect_matches(layer.hidden, d_hidden);
  expect_matches(layer.input_bias, d_ib);
  expect_matches(layer.hidden_bias, d_hb);
}

TEST(Gru, SurvivesLargeInputs) {
  Layer layer;
  for (float& value : layer.x) value *= 1000.0F;
  std::vector<float> states(8 * 7);

  gru_forward(Layer::kSize, layer.steps, layer.weights(), {layer.x.data(), nullptr},
              {states.data(), nullptr, nullptr, nullptr});

  for (const float state : states) EXPECT_LE(std::fabs(state), 1.0F);
}

}  // namespace
}  // namespace kindling::kernels
