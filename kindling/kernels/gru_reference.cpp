// The plain GRU in double precision, written as its formulas: what the fast one is held to.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kindling/kernels/gru.h"

namespace kindling::kernels {

namespace {

// matrix[row] · values + bias[row]
double affine(const float* matrix, const float* bias, std::size_t row,
              const std::vector<double>& values) {
  double sum = bias[row];
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += static_cast<double>(matrix[row * values.size() + i]) * values[i];
  }
  return sum;
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

void gru_forward_reference(const GruSize& size, const PackedSteps& steps, const GruWeights& weights,
                           const GruInput& input, const GruOutput& output) {
  const std::size_t dim = size.hidden;
  std::vector<std::vector<double>> state(steps.sequences(), std::vector<double>(dim, 0.0));
  for (std::size_t b = 0; b < steps.sequences() && input.start != nullptr; ++b) {
    std::copy_n(input.start + b * dim, dim, state[b].begin());
  }
  for (std::size_t t = 0; t < steps.longest(); ++t) {
    for (std::size_t k = 0; k < steps.alive(t); ++k) {
      const std::size_t at = steps.first(t) + k;
      const std::size_t row = steps.packed_row()[at];
      std::vector<double>& h = state[steps.by_length()[k]];
      const std::vector<double> x(input.x + row * size.inputs, input.x + (row + 1) * size.inputs);
      const std::vector<double> before = h;
      for (std::size_t d = 0; d < dim; ++d) {
        const auto in = [&](std::size_t gate) {
          return affine(weights.input, weights.input_bias, gate * dim + d, x);
        };
        const auto re = [&](std::size_t gate) {
          return affine(weights.hidden, weights.hidden_bias, gate * dim + d, before);
        };
        const double r = sigmoid(in(0) + re(0));
        const double z = sigmoid(in(1) + re(1));
        const double n = std::tanh(in(2) + r * re(2));
        h[d] = (1.0 - z) * n + z * before[d];
        output.states[row * dim + d] = static_cast<float>(h[d]);
        if (output.previous != nullptr) {
          output.previous[at * dim + d] = static_cast<float>(before[d]);
        }
        if (output.gates != nullptr) {
          float* gates = output.gates + at * 4 * dim + d;
          gates[0] = static_cast<float>(r);
          gates[dim] = static_cast<float>(z);
          gates[2 * dim] = static_cast<float>(n);
          gates[3 * dim] = static_cast<float>(re(2));
        }
      }
    }
  }
  if (output.last == nullptr) return;
  for (std::size_t b = 0; b < steps.sequences(); ++b) {
    for (std::size_t d = 0; d < dim; ++d) {
      output.last[b * dim + d] = static_cast<float>(state[b][d]);
    }
  }
}

}  // namespace kindling::kernels
