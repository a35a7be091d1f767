#include "kindling/kernels/factorization_machine.h"

#include <algorithm>

namespace kindling::kernels {

FactorizationMachine::FactorizationMachine(std::size_t rows, std::size_t dim)
    : weights_(rows, 0.0F), factors_(rows, dim), sum_(dim), squares_(dim) {}

double FactorizationMachine::predict(std::span<const Feature> x) {
  const std::size_t dim = sum_.size();
  std::fill(sum_.begin(), sum_.end(), 0.0F);
  std::fill(squares_.begin(), squares_.end(), 0.0F);
  double y = bias_;
  for (const Feature& feature : x) {
    y += static_cast<double>(weights_[feature.row]) * feature.value;
    const float* v = factors_.data() + feature.row * dim;
    for (std::size_t k = 0; k < dim; ++k) {
      const float part = v[k] * feature.value;
      sum_[k] += part;
      squares_[k] += part * part;
    }
  }
  for (std::size_t k = 0; k < dim; ++k) {
    y += 0.5 * (static_cast<double>(sum_[k]) * sum_[k] - static_cast<double>(squares_[k]));
  }
  return y;
}

void FactorizationMachine::step(std::span<const Feature> x, float wanted, const Rates& rates) {
  const std::size_t dim = sum_.size();
  const auto error = static_cast<float>(std::clamp(predict(x), -2.0, 3.0) - wanted);
  const float push = rates.learning_rate * error;
  const float decay = rates.learning_rate * rates.l2;
  const float* sum = sum_.data();
  bias_ -= push;
  for (const Feature& feature : x) {
    float& weight = weights_[feature.row];
    weight -= push * feature.value + decay * weight;
    // The gradient of v is error x (Σ v x - v x); what is a multiple of v stands together.
    const float pull = push * feature.value;
    const float keep = 1.0F - decay + pull * feature.value;
    float* v = factors_.data() + feature.row * dim;
    for (std::size_t k = 0; k < dim; ++k) v[k] = keep * v[k] - pull * sum[k];
  }
}

}  // namespace kindling::kernels
