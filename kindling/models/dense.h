// Fully connected layers with their gradients written out: for baselines too small to be worth a
// graph.
//
//   Dense layer(in, out);  layer.init_uniform(rng);
//   Matrix y = layer.forward(x);                  // [B, in] -> [B, out], y = x Wᵀ + b
//   Matrix dx = layer.backward(x, dy);            // adds to the gradients
//   layer.step({.rate = 1e-3F}, ++t);             // Adam; the gradients are zero again
//
// Source: Kingma & Ba, Adam, ICLR 2015.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/base/matrix.h"
#include "kindling/base/random.h"
#include "kindling/models/recommender.h"

namespace kindling {

struct AdamRates {
  float rate = 1e-3F;
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float clip = 0.0F;  // every gradient element to ±clip; 0: off
};

// Parameters with gradient and moments.
class Tunable {
 public:
  Tunable() = default;
  explicit Tunable(std::size_t count);

  std::vector<float> value;
  std::vector<float> gradient;

  // `t` counts from 1.
  void adam(const AdamRates& rates, std::int64_t t);
  void sgd(float rate);
  void forget_moments();  // the next step is Adam's first

 private:
  std::vector<float> mean_;
  std::vector<float> square_;
};

class Dense {
 public:
  Dense() = default;
  Dense(std::size_t in, std::size_t out);

  void init_uniform(Rng& rng);  // U(±1/sqrt(in)), biases too (PyTorch's default)
  void init_glorot(Rng& rng);   // U(±sqrt(6/(in+out))), biases 0

  Matrix forward(const Matrix& x) const;
  Matrix backward(const Matrix& x, const Matrix& dy, bool wants_dx = true);
  void step(const AdamRates& rates, std::int64_t t);
  void step_sgd(float rate);
  void forget_moments();

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  Tunable weight;  // [out, in]
  Tunable bias;    // [out]

  void append_state(const std::string& name, ModelState& state) const;

 private:
  std::size_t in_ = 0;
  std::size_t out_ = 0;
};

void relu_in_place(Matrix& x);
// dy where y > 0, else 0; y is the output of relu_in_place.
void relu_backward_in_place(const Matrix& y, Matrix& dy);

// The tensor `name` of a saved state. Error{kCorrupt} when it is missing, of another shape or not
// finite.
const NamedTensor& require_tensor(const ModelState& state, const std::string& name,
                                  const std::vector<std::int64_t>& shape);

}  // namespace kindling
