// Decides after each step of a scenario's learning how likely it should end there: a small LSTM
// over the loss and the gradients' norms (specs: s2meta 4.3).
//
//   StopController::Trace trace;
//   double p = controller.step(parameters, inputs, trace);          // once a step
//   controller.backward(parameters, trace, d_logit, gradient);      // d_logit[t] = ∂L/∂(logit of
//   p)
//
//   h, c = LSTMCell(inputs, (h, c))     p = σ(w·h + b)     no layer norm, learnt h_0 and c_0
//
// Computed in double: it costs nothing beside the update controllers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kindling/base/random.h"

namespace kindling::s2meta {

class StopController {
 public:
  explicit StopController(std::size_t inputs, std::size_t hidden)
      : inputs_(inputs), hidden_(hidden) {}

  std::size_t inputs() const { return inputs_; }
  std::size_t hidden() const { return hidden_; }
  std::size_t size() const;  // parameters
  std::vector<float> init(Rng& rng) const;

  struct Cell {
    std::vector<double> x;
    std::vector<double> gates;  // [4H] i, f, g, o
    std::vector<double> c;
    std::vector<double> h;
    double probability = 0.0;
  };
  using Trace = std::vector<Cell>;

  double step(std::span<const float> parameters, const std::vector<double>& inputs,
              Trace& trace) const;
  // Adds to `gradient` [size()]. Steps behind d_logit's end get none.
  void backward(std::span<const float> parameters, const Trace& trace,
                const std::vector<double>& d_logit, std::span<double> gradient) const;

 private:
  // Where the parts begin: weights [4H, inputs], [4H, H], two biases [4H], w [H], b, h_0, c_0 [H].
  std::size_t hidden_weight() const { return 4 * hidden_ * inputs_; }
  std::size_t input_bias() const { return hidden_weight() + 4 * hidden_ * hidden_; }
  std::size_t hidden_bias() const { return input_bias() + 4 * hidden_; }
  std::size_t head() const { return hidden_bias() + 4 * hidden_; }
  std::size_t start() const { return head() + hidden_ + 1; }
  void cell_back(std::span<const float> p, const Trace& trace, std::size_t t,
                 std::vector<double>& dh, std::vector<double>& dc,
                 std::span<double> gradient) const;

  std::size_t inputs_;
  std::size_t hidden_;
};

}  // namespace kindling::s2meta
