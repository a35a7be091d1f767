#include "kindling/models/baselines/conet_towers.h"

#include <algorithm>
#include <cmath>

namespace kindling::conet {

namespace {

Matrix sum_of(Matrix a, const Matrix& b) {
  for (std::size_t i = 0; i < a.rows() * a.cols(); ++i) a.data()[i] += b.data()[i];
  return a;
}

// Mean binary cross entropy; the scores become its gradient.
double to_gradient(Matrix& scores, std::span<const float> labels) {
  double loss = 0.0;
  const auto rows = static_cast<float>(scores.rows());
  for (std::size_t r = 0; r < scores.rows(); ++r) {
    const float x = scores(r, 0);
    loss += std::max(x, 0.0F) - x * labels[r] + std::log1p(std::exp(-std::fabs(x)));
    scores(r, 0) = (1.0F / (1.0F + std::exp(-x)) - labels[r]) / rows;
  }
  return loss / static_cast<double>(rows);
}

}  // namespace

Towers::Towers(std::size_t in, std::size_t width, std::size_t layers, Rng& rng) {
  for (std::size_t n = 0; n < layers; ++n) {
    target_.emplace_back(in, width);
    source_.emplace_back(in, width);
    cross_.emplace_back(in, width);
    in = width;
    width = std::max<std::size_t>(1, width / 2);
  }
  target_.emplace_back(in, 1);
  source_.emplace_back(in, 1);
  for (auto* tower : {&target_, &source_, &cross_}) {
    for (Dense& layer : *tower) layer.init_uniform(rng);
  }
}

Matrix Towers::forward(Matrix t, Matrix s, Trace* trace, Matrix* source_scores) const {
  for (std::size_t n = 0; n < cross_.size(); ++n) {
    Matrix t_next = sum_of(target_[n].forward(t), cross_[n].forward(s));
    Matrix s_next = sum_of(source_[n].forward(s), cross_[n].forward(t));
    relu_in_place(t_next);
    relu_in_place(s_next);
    if (trace != nullptr) trace->emplace_back(std::move(t), std::move(s));
    t = std::move(t_next);
    s = std::move(s_next);
  }
  Matrix scores = target_.back().forward(t);
  if (source_scores != nullptr) *source_scores = source_.back().forward(s);
  if (trace != nullptr) trace->emplace_back(std::move(t), std::move(s));
  return scores;
}

double Towers::gradient(Matrix t, Matrix s, std::span<const float> t_labels,
                        std::span<const float> s_labels, double cross_l1) {
  Trace trace;
  Matrix s_scores;
  Matrix t_scores = forward(std::move(t), std::move(s), &trace, &s_scores);
  double loss = to_gradient(t_scores, t_labels) + to_gradient(s_scores, s_labels);
  Matrix dt = target_.back().backward(trace.back().first, t_scores);
  Matrix ds = source_.back().backward(trace.back().second, s_scores);
  for (std::size_t n = cross_.size(); n-- > 0;) {
    relu_backward_in_place(trace[n + 1].first, dt);
    relu_backward_in_place(trace[n + 1].second, ds);
    const auto& [t_in, s_in] = trace[n];
    const bool wants = n > 0;
    Matrix t_back = target_[n].backward(t_in, dt, wants);
    Matrix s_back = source_[n].backward(s_in, ds, wants);
    const Matrix s_crossed = cross_[n].backward(s_in, dt, wants);
    const Matrix t_crossed = cross_[n].backward(t_in, ds, wants);
    if (!wants) break;
    dt = sum_of(std::move(t_back), t_crossed);
    ds = sum_of(std::move(s_back), s_crossed);
  }
  const auto weight = static_cast<float>(cross_l1);
  for (Dense& layer : cross_) {
    for (std::size_t i = 0; i < layer.weight.value.size(); ++i) {
      const float value = layer.weight.value[i];
      loss += cross_l1 * std::fabs(static_cast<double>(value));
      layer.weight.gradient[i] += value > 0.0F ? weight : value < 0.0F ? -weight : 0.0F;
    }
  }
  return loss;
}

void Towers::step(const AdamRates& rates, std::int64_t t) {
  for (auto* tower : {&target_, &source_, &cross_}) {
    for (Dense& layer : *tower) layer.step(rates, t);
  }
}

std::vector<Tunable*> Towers::parameters() {
  std::vector<Tunable*> all;
  for (auto* tower : {&target_, &source_, &cross_}) {
    for (Dense& layer : *tower) {
      all.push_back(&layer.weight);
      all.push_back(&layer.bias);
    }
  }
  return all;
}

}  // namespace kindling::conet
