#include "kindling/kernels/adam_coasting.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace kindling::kernels {

namespace {

constexpr std::size_t kNodes = AdamCoasting::kNodes;
constexpr std::size_t kBlock = 16;  // floats that stay in registers over many steps

// Coefficients of a polynomial, the constant first.
using Polynomial = std::array<double, kNodes + 1>;

// Points z with weights, at most kMemory.
struct Measure {
  std::array<double, AdamCoasting::kMemory> point;
  std::array<double, AdamCoasting::kMemory> weight;
  std::size_t count = 0;

  // Σ weight · point^power · f(point)²
  double moment(int power, const Polynomial& f) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      const double z = point[i];
      const double value = ((f[3] * z + f[2]) * z + f[1]) * z + f[0];
      sum += weight[i] * value * value * (power == 0 ? 1.0 : z);
    }
    return sum;
  }
};

// The monic polynomial whose roots are the nodes: three steps of Stieltjes' procedure, fewer for
// fewer points. `degree` receives how many.
Polynomial nodes_of(const Measure& measure, std::size_t& degree) {
  Polynomial last = {};
  Polynomial now = {1.0};
  double norm_before = 0.0;
  degree = std::min(kNodes, measure.count);
  for (std::size_t k = 0; k < degree; ++k) {
    const double norm = measure.moment(0, now);
    if (!(norm > 0.0)) {  // all points are one to a double
      degree = k;
      break;
    }
    const double centre = measure.moment(1, now) / norm;
    const double back = k == 0 ? 0.0 : norm / norm_before;
    Polynomial next = {};
    for (std::size_t i = 0; i <= kNodes; ++i) {
      next[i] = (i == 0 ? 0.0 : now[i - 1]) - centre * now[i] - back * last[i];
    }
    last = now;
    now = next;
    norm_before = norm;
  }
  return now;
}

// Σ_k given[k] (1 - 2τ)^k τ^(degree - k) as a polynomial in τ.
Polynomial in_tau(const Polynomial& given, std::size_t degree) {
  Polynomial all = {};
  for (std::size_t k = 0; k <= degree; ++k) {
    Polynomial term = {};
    term[degree - k] = given[k];
    for (std::size_t n = 0; n < k; ++n) {
      for (std::size_t i = kNodes; i > 0; --i) term[i] -= 2.0 * term[i - 1];
    }
    for (std::size_t i = 0; i <= kNodes; ++i) all[i] += term[i];
  }
  return all;
}

}  // namespace

AdamCoasting::AdamCoasting(const Options& options)
    : options_(options),
      fades_fast_(options.beta1 <= std::pow(options.beta2, 5.0)),
      rate_{0.0F},
      correction_{0.0F},
      moves_(kMemory + 1) {}

void AdamCoasting::next() {
  const auto t = static_cast<double>(steps() + 1);
  rate_.push_back(static_cast<float>(options_.learning_rate / (1.0 - std::pow(options_.beta1, t))));
  correction_.push_back(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(options_.beta2, t))));
}

void AdamCoasting::Move::apply(float* p, float* m, float* v, std::size_t dim) const {
  for (std::size_t i = 0; i < dim; ++i) {
    const float root = std::sqrt(v[i]) + shift;
    const float tau = shift / root;
    const float top = over[0] + tau * (over[1] + tau * over[2]);
    const float bottom = under[0] + tau * (under[1] + tau * (under[2] + tau * under[3]));
    p[i] -= m[i] * top / (root * bottom);
    m[i] *= fade_m;
    v[i] *= fade_v;
  }
}

// With z in units of 1 / h_1 and A = 1 - 2τ the sum is τ Σ u / (τ + A z), u = r beta1^j (1 - z).
// Nodes z_k of the measure give under = Π (τ + A z_k); over agrees with the moments of u.
void AdamCoasting::measure(std::int64_t first, std::int64_t last, Move& move) const {
  Measure all;
  std::array<double, kNodes> moment = {};
  const double root = std::sqrt(options_.beta2);
  double fade = 1.0;
  double grow = 1.0;
  double least = 0.0;  // h_1
  for (std::int64_t t = first + 1; t <= last; ++t) {
    fade *= options_.beta1;
    grow /= root;
    const auto at = static_cast<std::size_t>(t);
    const double h = grow / static_cast<double>(correction_[at]);
    if (all.count == 0) least = h;
    const double z = least / (h + least);
    const double u = static_cast<double>(rate_[at]) * fade * (1.0 - z);
    all.point[all.count] = z;
    all.weight[all.count++] = u;
    double power = u;
    for (double& sum : moment) {
      sum += power;
      power *= z;
    }
  }
  std::size_t degree = 0;
  const Polynomial nodes = nodes_of(all, degree);
  Polynomial under = {};
  Polynomial over = {};
  for (std::size_t k = 0; k <= degree; ++k)
    under[k] = (k % 2 == 0 ? 1.0 : -1.0) * nodes[degree - k];
  for (std::size_t k = 0; k < degree; ++k) {
    for (std::size_t i = 0; i <= k; ++i) {
      over[k] += (i % 2 == 0 ? 1.0 : -1.0) * moment[i] * under[k - i];
    }
  }
  under = in_tau(under, degree);
  over = in_tau(over, degree == 0 ? 0 : degree - 1);
  for (std::size_t i = 0; i <= kNodes; ++i) move.under[i] = static_cast<float>(under[i]);
  for (std::size_t i = 0; i < kNodes; ++i) move.over[i] = static_cast<float>(least * over[i]);
  move.shift = static_cast<float>(least * options_.eps);
  move.fade_m = static_cast<float>(fade);
  move.fade_v = static_cast<float>(1.0 / (grow * grow));
}

const AdamCoasting::Move& AdamCoasting::between(std::int64_t first, std::int64_t last) {
  Move& move = moves_[static_cast<std::size_t>(last - first)];
  const auto at = static_cast<std::size_t>(first) + 1;
  const bool steady =
      correction_[at] == 1.0F && rate_[at] == static_cast<float>(options_.learning_rate);
  const std::int64_t needed = steady ? kSteady : first;
  if (move.first != needed) {
    measure(first, last, move);
    move.first = needed;
  }
  return move;
}

void AdamCoasting::catch_up(float* p, float* m, float* v, std::size_t dim, std::int64_t first,
                            std::int64_t last) {
  if (fades_fast_ && first >= kBegin) return between(first, last).apply(p, m, v, dim);
  for (std::size_t at = 0; at < dim; at += kBlock) {
    one_by_one(p + at, m + at, v + at, std::min(kBlock, dim - at), first, last);
  }
}

void AdamCoasting::one_by_one(float* p, float* m, float* v, std::size_t width, std::int64_t first,
                              std::int64_t last) const {
  const auto beta1 = static_cast<float>(options_.beta1);
  const auto beta2 = static_cast<float>(options_.beta2);
  const auto eps = static_cast<float>(options_.eps);
  float pb[kBlock] = {};
  float mb[kBlock] = {};
  float vb[kBlock] = {};
  std::copy(p, p + width, pb);
  std::copy(m, m + width, mb);
  std::copy(v, v + width, vb);
  for (std::int64_t t = first + 1; t <= last; ++t) {
    const float step = rate_[static_cast<std::size_t>(t)];
    const float scale = correction_[static_cast<std::size_t>(t)];
    for (std::size_t i = 0; i < kBlock; ++i) {
      mb[i] *= beta1;
      vb[i] *= beta2;
      pb[i] -= step * mb[i] / (std::sqrt(vb[i]) * scale + eps);
    }
  }
  std::copy(pb, pb + width, p);
  std::copy(mb, mb + width, m);
  std::copy(vb, vb + width, v);
}

}  // namespace kindling::kernels
