#include "kindling/models/s2meta/stop_controller.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"

namespace kindling::s2meta {

namespace {

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

std::size_t StopController::size() const { return start() + 2 * hidden_; }

// PyTorch's default for the cell and the head, the head's bias 0, h_0 and c_0 standard normal.
std::vector<float> StopController::init(Rng& rng) const {
  std::vector<float> parameters(size());
  const double width = 1.0 / std::sqrt(static_cast<double>(hidden_));
  for (std::size_t i = 0; i < start(); ++i) {
    parameters[i] = static_cast<float>(rng.uniform(-width, width));
  }
  parameters[head() + hidden_] = 0.0F;
  for (std::size_t i = start(); i < size(); ++i) parameters[i] = static_cast<float>(rng.normal());
  return parameters;
}

double StopController::step(std::span<const float> p, const std::vector<double>& inputs,
                            Trace& trace) const {
  check(inputs.size() == inputs_, "the stop controller gets as many inputs as it was made for");
  const auto before = [&](std::size_t part, std::size_t k) {
    if (trace.empty()) return static_cast<double>(p[start() + part * hidden_ + k]);
    return part == 0 ? trace.back().h[k] : trace.back().c[k];
  };
  Cell now;
  now.x = inputs;
  now.gates.resize(4 * hidden_);
  for (std::size_t a = 0; a < now.gates.size(); ++a) {
    double sum =
        static_cast<double>(p[input_bias() + a]) + static_cast<double>(p[hidden_bias() + a]);
    for (std::size_t k = 0; k < inputs_; ++k) {
      sum += static_cast<double>(p[a * inputs_ + k]) * inputs[k];
    }
    for (std::size_t k = 0; k < hidden_; ++k) {
      sum += static_cast<double>(p[hidden_weight() + a * hidden_ + k]) * before(0, k);
    }
    now.gates[a] = a / hidden_ == 2 ? std::tanh(sum) : logistic(sum);
  }
  now.c.resize(hidden_);
  now.h.resize(hidden_);
  double logit = static_cast<double>(p[head() + hidden_]);
  for (std::size_t u = 0; u < hidden_; ++u) {
    now.c[u] = now.gates[hidden_ + u] * before(1, u) + now.gates[u] * now.gates[2 * hidden_ + u];
    now.h[u] = now.gates[3 * hidden_ + u] * std::tanh(now.c[u]);
    logit += static_cast<double>(p[head() + u]) * now.h[u];
  }
  now.probability = logistic(logit);
  trace.push_back(std::move(now));
  return trace.back().probability;
}

void StopController::cell_back(std::span<const float> p, const Trace& trace, std::size_t t,
                               std::vector<double>& dh, std::vector<double>& dc,
                               std::span<double> gradient) const {
  const Cell& now = trace[t];
  const auto before = [&](std::size_t part, std::size_t k) {
    if (t == 0) return static_cast<double>(p[start() + part * hidden_ + k]);
    return part == 0 ? trace[t - 1].h[k] : trace[t - 1].c[k];
  };
  std::vector<double> d_gates(4 * hidden_);
  for (std::size_t u = 0; u < hidden_; ++u) {
    const double i = now.gates[u];
    const double f = now.gates[hidden_ + u];
    const double g = now.gates[2 * hidden_ + u];
    const double o = now.gates[3 * hidden_ + u];
    const double tanh_c = std::tanh(now.c[u]);
    const double d_c = dc[u] + dh[u] * o * (1.0 - tanh_c * tanh_c);
    d_gates[u] = d_c * g * i * (1.0 - i);
    d_gates[hidden_ + u] = d_c * before(1, u) * f * (1.0 - f);
    d_gates[2 * hidden_ + u] = d_c * i * (1.0 - g * g);
    d_gates[3 * hidden_ + u] = dh[u] * tanh_c * o * (1.0 - o);
    dc[u] = d_c * f;
  }
  std::fill(dh.begin(), dh.end(), 0.0);
  for (std::size_t a = 0; a < d_gates.size(); ++a) {
    for (std::size_t k = 0; k < inputs_; ++k) gradient[a * inputs_ + k] += d_gates[a] * now.x[k];
    for (std::size_t k = 0; k < hidden_; ++k) {
      const std::size_t at = hidden_weight() + a * hidden_ + k;
      gradient[at] += d_gates[a] * before(0, k);
      dh[k] += d_gates[a] * static_cast<double>(p[at]);
    }
    gradient[input_bias() + a] += d_gates[a];
    gradient[hidden_bias() + a] += d_gates[a];
  }
}

void StopController::backward(std::span<const float> p, const Trace& trace,
                              const std::vector<double>& d_logit,
                              std::span<double> gradient) const {
  std::vector<double> dh(hidden_, 0.0);
  std::vector<double> dc(hidden_, 0.0);
  for (std::size_t t = std::min(trace.size(), d_logit.size()); t-- > 0;) {
    for (std::size_t u = 0; u < hidden_; ++u) {
      dh[u] += d_logit[t] * static_cast<double>(p[head() + u]);
      gradient[head() + u] += d_logit[t] * trace[t].h[u];
    }
    gradient[head() + hidden_] += d_logit[t];
    cell_back(p, trace, t, dh, dc, gradient);
  }
  for (std::size_t u = 0; u < hidden_; ++u) {
    gradient[start() + u] += dh[u];
    gradient[start() + hidden_ + u] += dc[u];
  }
}

}  // namespace kindling::s2meta
