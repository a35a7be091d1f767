// Proves a gradient by central differences, in double precision.
//
//   expect_gradient_matches([&] { return (network->forward(x) * weight).sum(); }, {x, parameter});
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/nn/torch.h"

namespace kindling::testing {

// `inputs` are double leaves that ask for a gradient; `loss` reads them anew at each call and
// returns a scalar. Every value of every input is moved by ±step.
inline void expect_gradient_matches(const std::function<torch::Tensor()>& loss,
                                    const std::vector<torch::Tensor>& inputs,
                                    double tolerance = 1e-6, double step = 1e-5) {
  for (const auto& input : inputs) input.mutable_grad() = torch::Tensor();
  loss().backward();
  const torch::NoGradGuard no_gradients;
  for (std::size_t which = 0; which < inputs.size(); ++which) {
    ASSERT_EQ(inputs[which].scalar_type(), torch::kFloat64);
    const torch::Tensor gradient =
        inputs[which].grad().defined() ? inputs[which].grad() : torch::zeros_like(inputs[which]);
    double* values = inputs[which].data_ptr<double>();
    const torch::Tensor flat = gradient.contiguous().view({-1});
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
      const double kept = values[i];
      values[i] = kept + step;
      const double above = loss().item<double>();
      values[i] = kept - step;
      const double below = loss().item<double>();
      values[i] = kept;
      const double expected = (above - below) / (2.0 * step);
      ASSERT_NEAR(flat[i].item<double>(), expected, tolerance * (1.0 + std::fabs(expected)))
          << "input " << which << ", value " << i;
    }
  }
}

}  // namespace kindling::testing
