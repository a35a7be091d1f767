#include "kindling/kernels/update_controller.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

// A run of a few steps on a tensor; gradients and weights cover both branches of smooth().
struct UpdateRun {
  ControllerShape shape;
  std::size_t rows;
  ControllerReference reference;
  std::vector<ControllerReference::Step> steps;
  std::vector<double> d_theta;
  std::vector<std::vector<float>> thetas;
  std::vector<std::vector<float>> gradients;

  UpdateRun(ControllerShape controller_shape, std::size_t row_count, std::size_t step_count,
            std::uint64_t seed = 5)
      : shape(controller_shape), rows(row_count) {
    Rng rng(seed);
    reference.shape = shape;
    reference.clamp = 1.0;
    reference.parameters.resize(shape.count());
    for (double& value : reference.parameters) value = as_float(rng.normal() * 0.4);
    reference.parameters[shape.beta() + kControllerHidden] = 3.0;
    const auto draw = [&] { return as_float(rng.normal() * std::exp(rng.uniform(-14.0, 1.0))); };
    std::vector<double> theta(rows);
    for (double& value : theta) value = draw();
    for (std::size_t t = 0; t < step_count; ++t) {
      ControllerReference::Step step;
      for (double& value : theta) value = as_float(value);
      step.theta = step.seen = theta;
      step.gradient.resize(rows);
      for (double& value : step.gradient) value = draw();
      step.loss = {as_float(rng.uniform(-1.0, 0.3)), as_float(rng.uniform(-1.0, 1.0))};
      steps.push_back(step);
      theta = reference.run(steps);
    }
    d_theta.resize(rows);
    for (double& value : d_theta) value = as_float(rng.normal());
    for (const auto& step : steps) {
      thetas.emplace_back(step.theta.begin(), step.theta.end());
      gradients.emplace_back(step.gradient.begin(), step.gradient.end());
    }
  }

  static double as_float(double value) { return static_cast<double>(static_cast<float>(value)); }

  PackedController packed() const {
    const std::vector<float> p(reference.parameters.begin(), reference.parameters.end());
    return PackedController(shape, p, static_cast<float>(reference.clamp));
  }
  ControllerStep step(std::size_t t) const {
    return {thetas[t].data(),
            gradients[t].data(),
            {static_cast<float>(steps[t].loss[0]), static_cast<float>(steps[t].loss[1])}};
  }
};

struct Result {
  std::vector<float> theta;
  std::vector<float> d_theta;
  std::vector<double> gradient;
  std::vector<double> gate_means{0.0, 0.0};
};

Result run_fast(const UpdateRun& run, bool stored) {
  const PackedController controller = run.packed();
  ControllerState state(run.rows);
  ControllerTape tape(run.rows, run.steps.size());
  Result result;
  result.theta.resize(run.rows);
  result.d_theta.assign(run.d_theta.begin(), run.d_theta.end());
  result.gradient.assign(run.shape.count(), 0.0);
  std::vector<ControllerStep> steps;
  for (std::size_t t = 0; t < run.steps.size(); ++t) {
    steps.push_back(run.step(t));
    result.gate_means = {0.0, 0.0};
    for (std::size_t chunk = 0; chunk < controller_chunks(run.rows); ++chunk) {
      controller_forward(controller, run.rows, chunk, steps[t], t, state, result.theta.data(),
                         result.gate_means.data(), stored ? &tape : nullptr);
    }
  }
  std::vector<float> part(run.shape.count());
  for (std::size_t chunk = 0; chunk < controller_chunks(run.rows); ++chunk) {
    controller_backward(controller, run.rows, chunk, steps, stored ? &tape : nullptr,
                        result.d_theta.data(), part.data());
    for (std::size_t i = 0; i < part.size(); ++i) {
      result.gradient[i] += static_cast<double>(part[i]);
    }
  }
  for (double& value : result.gate_means) value /= static_cast<double>(run.rows);
  return result;
}

void expect_close(const std::vector<double>& wanted, double value, std::size_t i, double scale) {
  EXPECT_NEAR(value, wanted[i], 2e-4 * scale) << "at " << i;
}

double largest(const std::vector<double>& values) {
  double size = 0.0;
  for (const double value : values) size = std::max(size, std::fabs(value));
  return size;
}

class UpdateControllerShapes : public testing::TestWithParam<ControllerShape> {};

TEST_P(UpdateControllerShapes, AgreesWithTheReferenceForwardAndBackward) {
  const UpdateRun run(GetParam(), 53, 5);
  std::vector<double> d_theta = run.d_theta;
  std::vector<double> gradient;
  run.reference.backward(run.steps, d_theta, gradient);
  const std::vector<double> theta = run.reference.run(run.steps);
  for (const bool stored : {false, true}) {
    const Result fast = run_fast(run, stored);
    for (std::size_t i = 0; i < run.rows; ++i) {
      expect_close(theta, static_cast<double>(fast.theta[i]), i, 0.1 + std::fabs(theta[i]));
      expect_close(d_theta, static_cast<double>(fast.d_theta[i]), i, 0.1 + std::fabs(d_theta[i]));
    }
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      expect_close(gradient, fast.gradient[i], i, 0.1 * largest(gradient));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, UpdateControllerShapes,
                         testing::Values(ControllerShape{1, true}, ControllerShape{2, true},
                                         ControllerShape{1, false}, ControllerShape{2, false}),
                         [](const auto& param) {
                           return std::to_string(param.param.loss_inputs) + "Loss" +
                                  (param.param.layer_norm ? "Norm" : "Plain");
                         });

TEST(UpdateController, HasThePapersNumberOfParameters) {
  EXPECT_EQ(ControllerShape{}.count(), 1570U);  // 12,560 for 8 tensors
}

TEST(UpdateController, ReferenceGradientMatchesFiniteDifferences) {
  UpdateRun run({2, true}, 2, 3);
  std::vector<double> d_theta = run.d_theta;
  std::vector<double> gradient;
  run.reference.backward(run.steps, d_theta, gradient);
  const auto loss = [&] {
    const std::vector<double> theta = run.reference.run(run.steps);
    double sum = 0.0;
    for (std::size_t i = 0; i < theta.size(); ++i) sum += run.d_theta[i] * theta[i];
    return sum;
  };
  // The reference's later steps have rounded θ: the products use the exact one from here on.
  std::vector<ControllerReference::Step> before;
  for (auto& step : run.steps) {
    if (!before.empty()) step.theta = run.reference.run(before);
    before.push_back(step);
  }
  d_theta = run.d_theta;
  run.reference.backward(run.steps, d_theta, gradient);
  const auto difference = [&](double& value) {
    const double kept = value;
    value = kept + 1e-5;
    const double above = loss();
    value = kept - 1e-5;
    const double below = loss();
    value = kept;
    return (above - below) / 2e-5;
  };
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    EXPECT_NEAR(gradient[i], difference(run.reference.parameters[i]), 1e-7) << "parameter " << i;
  }
  for (std::size_t i = 0; i < d_theta.size(); ++i) {
    EXPECT_NEAR(d_theta[i], difference(run.steps[0].theta[i]), 1e-7) << "theta " << i;
  }
}

TEST(UpdateController, StoredAndRecomputedGradientsAreTheSame) {
  const UpdateRun run({1, true}, 2100, 2);
  const Result stored = run_fast(run, true);
  const Result again = run_fast(run, false);
  EXPECT_EQ(stored.gradient, again.gradient);
  EXPECT_EQ(stored.d_theta, again.d_theta);
}

TEST(UpdateController, RowsDoNotDependOnTheirNeighbours) {
  const UpdateRun all({1, true}, 40, 3);
  UpdateRun few({1, true}, 40, 3);
  few.rows = 7;
  const Result of_all = run_fast(all, false);
  few.d_theta.resize(7);
  const Result of_few = run_fast(few, false);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(of_few.theta[i], of_all.theta[i]);
}

TEST(UpdateController, MeanGatesCountRealRowsOnly) {
  UpdateRun run({1, true}, 21, 1);
  for (std::size_t u = 0; u < kControllerHidden; ++u) {
    run.reference.parameters[run.shape.alpha() + u] = 0.0;
    run.reference.parameters[run.shape.beta() + u] = 0.0;
  }
  run.reference.parameters[run.shape.alpha() + kControllerHidden] = 0.0;
  run.reference.parameters[run.shape.beta() + kControllerHidden] = std::log(3.0);
  const Result result = run_fast(run, false);
  EXPECT_NEAR(result.gate_means[0], 0.5, 1e-6);   // σ(0)
  EXPECT_NEAR(result.gate_means[1], 0.75, 1e-6);  // σ(ln 3)
}

TEST(UpdateController, GradientsBeyondTheClampActLikeTheClamp) {
  UpdateRun run({1, true}, 16, 1);
  for (float& value : run.gradients[0]) value = 1.0F;
  const Result at = run_fast(run, false);
  for (float& value : run.gradients[0]) value = 1000.0F;
  EXPECT_EQ(run_fast(run, false).theta, at.theta);
}

TEST(UpdateController, LargeWeightsSaturateWithoutNaN) {
  UpdateRun run({1, true}, 33, 3);
  for (double& value : run.reference.parameters) value *= 1000.0;
  const Result result = run_fast(run, false);
  for (const float value : result.theta) EXPECT_TRUE(std::isfinite(value));
  for (const double value : result.gradient) EXPECT_TRUE(std::isfinite(value));
}

}  // namespace
}  // namespace kindling::kernels
