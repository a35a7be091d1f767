// The update controller row by row in double: slow, plain, and what the fast one is held to.
#include <algorithm>
#include <cmath>

#include "kindling/kernels/update_controller.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kUnits = kControllerHidden;
constexpr double kNormEpsilon = 1e-5;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

std::array<double, 2> smooth(double v) {
  if (std::fabs(v) >= std::exp(-10.0)) return {std::log(std::fabs(v)) / 10.0, v < 0.0 ? -1.0 : 1.0};
  return {-1.0, std::exp(10.0) * v};
}

using Units = std::array<double, kUnits>;

// One row in one step.
struct Cell {
  std::array<double, 6> x{};
  Units before{};  // h
  Units c_before{};
  std::array<Units, 4> gates{};  // i f g o
  Units c{}, normal{}, h{};
  double inverse_sd = 1.0;
  double gradient = 0.0, alpha = 0.0, beta = 0.0;
};

class Rows {
 public:
  explicit Rows(const ControllerReference& owner)
      : shape_(owner.shape), clamp_(owner.clamp), p_(owner.parameters.data()) {}

  Cell forward(const ControllerReference::Step& step, std::size_t row, const Cell* before) const {
    Cell now;
    for (std::size_t u = 0; u < kUnits; ++u) {
      now.before[u] = before == nullptr ? p_[shape_.start_hidden() + u] : before->h[u];
      now.c_before[u] = before == nullptr ? p_[shape_.start_cell() + u] : before->c[u];
    }
    now.gradient = std::clamp(step.gradient[row], -clamp_, clamp_);
    const auto g = smooth(now.gradient);
    const auto theta = smooth(step.seen[row]);
    now.x = {g[0], g[1], theta[0], theta[1], step.loss[0], step.loss[1]};
    for (std::size_t gate = 0; gate < 4; ++gate) {
      for (std::size_t u = 0; u < kUnits; ++u) {
        const double sum = sum_of_gate(gate * kUnits + u, now);
        now.gates[gate][u] = gate == 2 ? std::tanh(sum) : sigmoid(sum);
      }
    }
    for (std::size_t u = 0; u < kUnits; ++u) {
      now.c[u] = now.gates[1][u] * now.c_before[u] + now.gates[0][u] * now.gates[2][u];
      now.h[u] = now.gates[3][u] * std::tanh(now.c[u]);
    }
    if (shape_.layer_norm) normalise(now);
    now.alpha = sigmoid(head(shape_.alpha(), now));
    now.beta = sigmoid(head(shape_.beta(), now));
    return now;
  }

  // d_theta, dh, dc: of this step's results; they become those of its start.
  void backward(const Cell& now, double theta, double& d_theta, Units& dh, Units& dc,
                double* gradient, const std::array<double, 2>& loss) const {
    const double alpha = -now.gradient * d_theta * now.alpha * (1.0 - now.alpha);
    const double beta = theta * d_theta * now.beta * (1.0 - now.beta);
    d_theta *= now.beta;
    for (std::size_t u = 0; u < kUnits; ++u) {
      dh[u] += alpha * p_[shape_.alpha() + u] + beta * p_[shape_.beta() + u];
      gradient[shape_.alpha() + u] += alpha * now.h[u];
      gradient[shape_.beta() + u] += beta * now.h[u];
    }
    gradient[shape_.alpha() + kUnits] += alpha;
    gradient[shape_.beta() + kUnits] += beta;
    if (shape_.layer_norm) normalise_back(now, dh, gradient);
    std::array<double, kControllerGates> d_gates{};
    for (std::size_t u = 0; u < kUnits; ++u) {
      const double i = now.gates[0][u], f = now.gates[1][u], g = now.gates[2][u],
                   o = now.gates[3][u], tanh_c = std::tanh(now.c[u]);
      const double d_c = dc[u] + dh[u] * o * (1.0 - tanh_c * tanh_c);
      d_gates[u] = d_c * g * i * (1.0 - i);
      d_gates[kUnits + u] = d_c * now.c_before[u] * f * (1.0 - f);
      d_gates[2 * kUnits + u] = d_c * i * (1.0 - g * g);
      d_gates[3 * kUnits + u] = dh[u] * tanh_c * o * (1.0 - o);
      dc[u] = d_c * f;
    }
    dh.fill(0.0);
    for (std::size_t a = 0; a < kControllerGates; ++a) {
      for (std::size_t k = 0; k < shape_.inputs(); ++k) {
        const double x = k < 4 ? now.x[k] : loss[k - 4];
        gradient[shape_.input() + a * shape_.inputs() + k] += d_gates[a] * x;
      }
      for (std::size_t k = 0; k < kUnits; ++k) {
        gradient[shape_.hidden() + a * kUnits + k] += d_gates[a] * now.before[k];
        dh[k] += d_gates[a] * p_[shape_.hidden() + a * kUnits + k];
      }
      gradient[shape_.input_bias() + a] += d_gates[a];
      gradient[shape_.hidden_bias() + a] += d_gates[a];
    }
  }

 private:
  double sum_of_gate(std::size_t a, const Cell& now) const {
    double sum = p_[shape_.input_bias() + a] + p_[shape_.hidden_bias() + a];
    for (std::size_t k = 0; k < shape_.inputs(); ++k) {
      sum += p_[shape_.input() + a * shape_.inputs() + k] * now.x[k];
    }
    for (std::size_t k = 0; k < kUnits; ++k) {
      sum += p_[shape_.hidden() + a * kUnits + k] * now.before[k];
    }
    return sum;
  }
  double head(std::size_t at, const Cell& now) const {
    double sum = p_[at + kUnits];
    for (std::size_t u = 0; u < kUnits; ++u) sum += p_[at + u] * now.h[u];
    return sum;
  }
  void normalise(Cell& now) const {
    double mean = 0.0, variance = 0.0;
    for (const double value : now.h) mean += value / kUnits;
    for (const double value : now.h) variance += (value - mean) * (value - mean) / kUnits;
    now.inverse_sd = 1.0 / std::sqrt(variance + kNormEpsilon);
    for (std::size_t u = 0; u < kUnits; ++u) {
      now.normal[u] = (now.h[u] - mean) * now.inverse_sd;
      now.h[u] = now.normal[u] * p_[shape_.norm_scale() + u] + p_[shape_.norm_shift() + u];
    }
  }
  void normalise_back(const Cell& now, Units& dh, double* gradient) const {
    double mean = 0.0, slope = 0.0;
    for (std::size_t u = 0; u < kUnits; ++u) {
      gradient[shape_.norm_scale() + u] += dh[u] * now.normal[u];
      gradient[shape_.norm_shift() + u] += dh[u];
      dh[u] *= p_[shape_.norm_scale() + u];
      mean += dh[u] / kUnits;
      slope += dh[u] * now.normal[u] / kUnits;
    }
    for (std::size_t u = 0; u < kUnits; ++u) {
      dh[u] = now.inverse_sd * (dh[u] - mean - now.normal[u] * slope);
    }
  }

  ControllerShape shape_;
  double clamp_;
  const double* p_;
};

}  // namespace

std::vector<double> ControllerReference::run(const std::vector<Step>& steps) const {
  const Rows controller(*this);
  std::vector<double> theta = steps.front().theta;
  for (std::size_t row = 0; row < theta.size(); ++row) {
    Cell before;
    for (std::size_t t = 0; t < steps.size(); ++t) {
      before = controller.forward(steps[t], row, t == 0 ? nullptr : &before);
      theta[row] = before.beta * theta[row] - before.alpha * before.gradient;
    }
  }
  return theta;
}

void ControllerReference::backward(const std::vector<Step>& steps, std::vector<double>& d_theta,
                                   std::vector<double>& gradient) const {
  const Rows controller(*this);
  gradient.assign(shape.count(), 0.0);
  for (std::size_t row = 0; row < d_theta.size(); ++row) {
    std::vector<Cell> cells;
    for (std::size_t t = 0; t < steps.size(); ++t) {
      cells.push_back(controller.forward(steps[t], row, t == 0 ? nullptr : &cells.back()));
    }
    Units dh{};
    Units dc{};
    for (std::size_t t = steps.size(); t-- > 0;) {
      controller.backward(cells[t], steps[t].theta[row], d_theta[row], dh, dc, gradient.data(),
                          steps[t].loss);
    }
    for (std::size_t u = 0; u < kUnits; ++u) {
      gradient[shape.start_hidden() + u] += dh[u];
      gradient[shape.start_cell() + u] += dc[u];
    }
  }
}

}  // namespace kindling::kernels
