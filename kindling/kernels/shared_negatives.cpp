#include "kindling/kernels/shared_negatives.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

constexpr double kTiny = 1e-24;
constexpr std::size_t kColumnWork = 1 << 18;  // additions worth waking a thread for

// Σ values, in lanes.
double sum_of(const float* values, std::size_t count) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += values[i + l];
  }
  double total = 0.0;
  for (const float lane : lanes) total += static_cast<double>(lane);
  for (; i < count; ++i) total += static_cast<double>(values[i]);
  return total;
}

void apply_elu(float* scores, std::size_t count, float alpha) {
  for (std::size_t c = 0; c < count; ++c) {
    const float below = alpha * (fast_exp(scores[c]) - 1.0F);
    scores[c] = scores[c] > 0.0F ? scores[c] : below;
  }
}

// Σ weights · values², in lanes.
double weighted_squares(const float* weights, const float* values, std::size_t count) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      lanes[l] += weights[i + l] * values[i + l] * values[i + l];
    }
  }
  double total = 0.0;
  for (const float lane : lanes) total += static_cast<double>(lane);
  for (; i < count; ++i) total += static_cast<double>(weights[i] * values[i] * values[i]);
  return total;
}

// weights <- softmax of s over all columns but the target's, whose weight is 0.
void negative_weights(const float* s, std::size_t target, std::size_t count, float* weights) {
  std::copy(s, s + count, weights);
  weights[target] = -std::numeric_limits<float>::infinity();
  const float top = max_of(weights, count);
  const double sum = exp_and_sum(weights, count, top);
  const auto scale = static_cast<float>(1.0 / sum);
  for (std::size_t c = 0; c < count; ++c) weights[c] *= scale;
}

// d elu(x) / dx from s = elu(x).
float elu_slope(float s, float alpha) { return alpha > 0.0F && s <= 0.0F ? s + alpha : 1.0F; }

// One row; `weights`, `gains` [columns] are room to work in.
double bpr_max_row(float* s, std::size_t target, const SharedShape& shape,
                   const BprMaxOptions& options, float* weights, float* gains) {
  const std::size_t n = shape.columns;
  if (n < 2) {  // nothing to be compared with
    std::fill(s, s + n, 0.0F);
    return 0.0;
  }
  if (options.elu > 0.0F) apply_elu(s, n, options.elu);
  const float own = s[target];
  negative_weights(s, target, n, weights);
  for (std::size_t c = 0; c < n; ++c) gains[c] = weights[c] * fast_sigmoid(own - s[c]);
  const double gain = sum_of(gains, n);
  const double penalty = weighted_squares(weights, s, n);
  const auto a = static_cast<float>(gain);
  const auto q = static_cast<float>(penalty);
  const auto push = static_cast<float>(-1.0 / ((gain + kTiny) * shape.divisor()));
  const float keep = options.regularisation / static_cast<float>(shape.divisor());
  for (std::size_t c = 0; c < n; ++c) {
    const float w = weights[c];
    const float sigma = fast_sigmoid(own - s[c]);
    const float slope = w * sigma * (1.0F - sigma);
    const float raw =
        push * (gains[c] - w * a - slope) + keep * w * (s[c] * s[c] - q + 2.0F * s[c]);
    weights[c] = raw * elu_slope(s[c], options.elu);
    gains[c] = slope;
  }
  const double pull = sum_of(gains, n);  // Σ w σ (1 - σ)
  std::copy(weights, weights + n, s);
  s[target] = push * static_cast<float>(pull) * elu_slope(own, options.elu);
  return -std::log(gain + kTiny) + static_cast<double>(options.regularisation) * penalty;
}

}  // namespace

double bpr_max(float* scores, const SharedShape& shape, const BprMaxOptions& options) {
  std::vector<double> losses(shape.rows);
  parallel_for(shape.rows, 4, [&](std::size_t begin, std::size_t end) {
    std::vector<float> work(2 * shape.columns);
    for (std::size_t r = begin; r < end; ++r) {
      losses[r] = bpr_max_row(scores + r * shape.columns, shape.target(r), shape, options,
                              work.data(), work.data() + shape.columns);
    }
  });
  double total = 0.0;
  for (const double loss : losses) total += loss;
  return total / shape.divisor();
}

void column_sums(const float* scores, const SharedShape& shape, float* sums) {
  parallel_for(shape.columns, kColumnWork / (shape.rows + 1) + 1,
               [&](std::size_t begin, std::size_t end) {
                 std::fill(sums + begin, sums + end, 0.0F);
                 for (std::size_t r = 0; r < shape.rows; ++r) {
                   const float* row = scores + r * shape.columns;
#pragma omp simd
                   for (std::size_t c = begin; c < end; ++c) sums[c] += row[c];
                 }
               });
}

double bpr_max_reference(const float* scores, const SharedShape& shape,
                         const BprMaxOptions& options) {
  double total = 0.0;
  for (std::size_t r = 0; r < shape.rows; ++r) {
    const std::size_t target = shape.target(r);
    std::vector<double> s(shape.columns);
    for (std::size_t c = 0; c < shape.columns; ++c) {
      const auto x = static_cast<double>(scores[r * shape.columns + c]);
      const auto alpha = static_cast<double>(options.elu);
      s[c] = alpha > 0.0 && x <= 0.0 ? alpha * (std::exp(x) - 1.0) : x;
    }
    double sum = 0.0;
    double gain = 0.0;
    double penalty = 0.0;
    for (std::size_t c = 0; c < shape.columns; ++c) {
      if (c == target) continue;
      const double w = std::exp(s[c]);
      sum += w;
      gain += w / (1.0 + std::exp(s[c] - s[target]));
      penalty += w * s[c] * s[c];
    }
    total +=
        -std::log(gain / sum + kTiny) + static_cast<double>(options.regularisation) * penalty / sum;
  }
  return total / shape.divisor();
}

}  // namespace kindling::kernels
