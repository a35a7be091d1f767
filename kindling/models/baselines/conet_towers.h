// The crossed towers of CoNet with their gradients written out.
//
//   Towers towers(2 * dim, 64, 4, rng);
//   const double loss = towers.gradient(t, s, t_labels, s_labels, 0.01);   // adds to the gradients
//   towers.step({.rate = 0.001F, .clip = 0.25F}, ++t);
//   Matrix scores = towers.scores(t, s);                                   // [B, 1], target tower
//
//   x_t' = relu(W_t x_t + b_t + H x_s + b_h),  x_s' = relu(W_s x_s + b_s + H x_t + b_h)
//   one linear output per tower;  loss = BCE(t) + BCE(s) + lambda Σ|H|
//
// Source: Hu, Zhang, Yang, CoNet, CIKM 2018; specs/baselines.md B.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "kindling/models/dense.h"

namespace kindling::conet {

class Towers {
 public:
  // `layers` layers, the first `width` wide, each half as wide as the one before; U(±1/sqrt(in)).
  Towers(std::size_t in, std::size_t width, std::size_t layers, Rng& rng);

  Matrix scores(Matrix t, Matrix s) const {
    return forward(std::move(t), std::move(s), nullptr, nullptr);
  }
  // The loss; t and s are [B, in], labels [B] are 0 or 1.
  double gradient(Matrix t, Matrix s, std::span<const float> t_labels,
                  std::span<const float> s_labels, double cross_l1);
  void step(const AdamRates& rates, std::int64_t t);

  // Parameters in a fixed order, for tests: weights and biases of target, source, cross.
  std::vector<Tunable*> parameters();

 private:
  using Trace = std::vector<std::pair<Matrix, Matrix>>;  // inputs of every layer
  Matrix forward(Matrix t, Matrix s, Trace* trace, Matrix* source_scores) const;

  std::vector<Dense> target_;
  std::vector<Dense> source_;
  std::vector<Dense> cross_;
};

}  // namespace kindling::conet
