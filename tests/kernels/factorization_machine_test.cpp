// The factorisation machine beside the sum over all pairs and finite differences.
#include "kindling/kernels/factorization_machine.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

using Feature = FactorizationMachine::Feature;

constexpr std::size_t kRows = 7;
constexpr std::size_t kDim = 19;
const std::vector<Feature> kExample = {{0, 1.0F}, {2, 0.5F}, {3, -0.25F}, {6, 2.0F}};

FactorizationMachine random_machine() {
  FactorizationMachine machine(kRows, kDim);
  Rng rng(3);
  for (std::size_t i = 0; i < kRows * kDim; ++i) {
    machine.factors().data()[i] = static_cast<float>(0.2 * rng.normal());
  }
  for (std::uint32_t row = 0; row < kRows; ++row) {
    machine.weight(row) = static_cast<float>(0.2 * rng.normal());
  }
  return machine;
}

// Without w0, which is zero until the first step.
double sum_over_pairs(const FactorizationMachine& machine, const std::vector<Feature>& x) {
  double y = 0.0;
  for (std::size_t f = 0; f < x.size(); ++f) {
    y += static_cast<double>(machine.weight(x[f].row)) * x[f].value;
    for (std::size_t g = f + 1; g < x.size(); ++g) {
      for (std::size_t k = 0; k < kDim; ++k) {
        y += static_cast<double>(machine.factors()(x[f].row, k)) * machine.factors()(x[g].row, k) *
             x[f].value * x[g].value;
      }
    }
  }
  return y;
}

TEST(FactorizationMachine, PredictsTheSumOverAllPairs) {
  FactorizationMachine machine = random_machine();

  EXPECT_NEAR(machine.predict(kExample), sum_over_pairs(machine, kExample), 1e-6);
  EXPECT_EQ(machine.predict({}), 0.0);
}

// What a step changes over its rate is the gradient, for every weight and factor.
TEST(FactorizationMachine, StepsDownTheGradientOfItsLoss) {
  constexpr float kWanted = 1.0F;
  constexpr float kRate = 1e-3F;
  constexpr float kDecay = 0.3F;
  const FactorizationMachine before = random_machine();
  FactorizationMachine after = random_machine();
  after.step(kExample, kWanted, {.learning_rate = kRate, .l2 = kDecay});

  FactorizationMachine probe = random_machine();
  const auto slope = [&](float& parameter) {
    const float value = parameter;
    const auto loss = [&](float moved) {
      parameter = moved;
      const double error = sum_over_pairs(probe, kExample) - static_cast<double>(kWanted);
      return 0.5 * error * error + 0.5 * static_cast<double>(kDecay) * moved * moved;
    };
    const double rise = loss(value + 0.01F) - loss(value - 0.01F);
    parameter = value;
    return rise / 0.02;
  };
  for (const Feature& feature : kExample) {
    const std::uint32_t row = feature.row;
    EXPECT_NEAR((before.weight(row) - after.weight(row)) / kRate, slope(probe.weight(row)), 2e-3);
    for (std::size_t k = 0; k < kDim; ++k) {
      const float moved = before.factors()(row, k) - after.factors()(row, k);
      EXPECT_NEAR(moved / kRate, slope(probe.factors()(row, k)), 2e-3) << row << ' ' << k;
    }
  }
  for (const std::uint32_t row : {1U, 4U, 5U}) {
    EXPECT_EQ(before.weight(row), after.weight(row));
    EXPECT_EQ(before.factors()(row, 0), after.factors()(row, 0));
  }
}

TEST(FactorizationMachine, StaysFiniteAtLargeSteps) {
  FactorizationMachine machine = random_machine();

  for (int step = 0; step < 200; ++step) {
    machine.step(kExample, static_cast<float>(step % 2), {.learning_rate = 0.1F});
  }

  EXPECT_TRUE(std::isfinite(machine.predict(kExample)));
}

}  // namespace
}  // namespace kindling::kernels
