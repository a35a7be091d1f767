// A factorisation machine of second order, learnt one example at a time.
//
//   FactorizationMachine machine(rows, 8);
//   machine.step({{{3, 1.0F}, {7, 0.5F}}}, 1.0F, {.learning_rate = 0.03F});
//   const double y = machine.predict({{{3, 1.0F}, {7, 0.5F}}});
//
//   y(x) = w0 + Σ w_f x_f + Σ_{f<g} <v_f, v_g> x_f x_g
//        = w0 + Σ w_f x_f + ½ Σ_k ((Σ_f v_fk x_f)² - Σ_f (v_fk x_f)²)
//
// A row occurs at most once among an example's features. A step goes down the gradient of
// ½ (y - wanted)² + l2/2 (w² + v²) of the rows that the example has; w0 has no decay.
// Source: Rendle, libFM, 2012, equations 1 and 5 and algorithm 1. Differs: y counts as at least -2
// and at most 3 in the gradient: beyond that it says nothing more about 0 and 1, and the bound
// keeps large step sizes finite.
// Threads: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kindling/base/matrix.h"

namespace kindling::kernels {

class FactorizationMachine {
 public:
  struct Feature {
    std::uint32_t row = 0;
    float value = 0.0F;
  };
  struct Rates {
    float learning_rate = 0.03F;
    float l2 = 0.0F;
  };

  FactorizationMachine(std::size_t rows, std::size_t dim);  // all zeros
  std::size_t rows() const { return weights_.size(); }
  Matrix& factors() { return factors_; }  // [rows, dim], to be set at random
  const Matrix& factors() const { return factors_; }
  float weight(std::uint32_t row) const { return weights_[row]; }
  float& weight(std::uint32_t row) { return weights_[row]; }

  double predict(std::span<const Feature> x);
  void step(std::span<const Feature> x, float wanted, const Rates& rates);

 private:
  float bias_ = 0.0F;
  std::vector<float> weights_;
  Matrix factors_;
  std::vector<float> sum_;      // [dim] Σ v x of the last example
  std::vector<float> squares_;  // [dim] Σ (v x)²
};

}  // namespace kindling::kernels
