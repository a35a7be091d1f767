#include "kindling/kernels/table_optimizer.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kAhead = 8;  // rows whose memory is asked for in apply()

}  // namespace

TableOptimizer::TableOptimizer(float* table, std::size_t rows, std::size_t dim, std::size_t most,
                               const Options& options)
    : table_(table),
      rows_(rows),
      dim_(dim),
      options_(options),
      seen_(rows, 0),
      slot_(rows, 0),
      gradients_(most * dim),
      past_({options.learning_rate, options.beta1, options.beta2, options.eps}) {
  touched_.reserve(most);
  if (options_.kind == Kind::kAdam) {
    check(options_.weight_decay == 0.0, "decay of every row is known to SGD only");
    moments_.assign(2 * rows * dim, 0.0F);
  }
}

void TableOptimizer::catch_up(std::uint32_t row) {
  const std::int64_t first = seen_[row];
  if (first == steps_) return;
  seen_[row] = steps_;
  float* p = table_ + row * dim_;
  if (options_.kind == Kind::kSgd) {
    if (options_.weight_decay == 0.0) return;
    const double keep = 1.0 - options_.learning_rate * options_.weight_decay;
    const auto factor = static_cast<float>(std::pow(keep, static_cast<double>(steps_ - first)));
    for (std::size_t i = 0; i < dim_; ++i) p[i] *= factor;
    return;
  }
  if (first == 0) return;  // never touched: no momentum
  float* m = moments(row);
  float* v = m + dim_;
  const std::int64_t last = std::min(steps_, first + AdamCoasting::kMemory);
  past_.catch_up(p, m, v, dim_, first, last);
  if (last == steps_) return;
  const auto left = static_cast<double>(steps_ - last);
  const auto fade_m = static_cast<float>(std::pow(options_.beta1, left));
  const auto fade_v = static_cast<float>(std::pow(options_.beta2, left));
  for (std::size_t i = 0; i < dim_; ++i) {
    m[i] *= fade_m;
    v[i] *= fade_v;
  }
}

void TableOptimizer::prefetch(std::uint32_t row) const {
  constexpr std::size_t kLine = 16;  // floats
  const float* p = table_ + row * dim_;
  for (std::size_t i = 0; i < dim_; i += kLine) __builtin_prefetch(p + i, 1);
  if (options_.kind != Kind::kAdam) return;
  const float* m = moments_.data() + row * dim_ * 2;
  for (std::size_t i = 0; i < 2 * dim_; i += kLine) __builtin_prefetch(m + i, 1);
}

std::size_t TableOptimizer::touch(std::uint32_t row) {
  if (slot_[row] != 0) return slot_[row] - 1;
  check((touched_.size() + 1) * dim_ <= gradients_.size(), "more rows are touched than announced");
  catch_up(row);
  touched_.push_back(row);
  slot_[row] = static_cast<std::uint32_t>(touched_.size());
  float* fresh = gradient(touched_.size() - 1);
  std::fill(fresh, fresh + dim_, 0.0F);
  return touched_.size() - 1;
}

void TableOptimizer::step_adam(std::uint32_t row, const float* g) {
  const auto beta1 = static_cast<float>(options_.beta1);
  const auto beta2 = static_cast<float>(options_.beta2);
  const auto eps = static_cast<float>(options_.eps);
  const float step = past_.rate();
  const float scale = past_.correction();
  float* p = table_ + row * dim_;
  float* m = moments(row);
  float* v = m + dim_;
  for (std::size_t i = 0; i < dim_; ++i) {
    m[i] = beta1 * m[i] + (1.0F - beta1) * g[i];
    v[i] = beta2 * v[i] + (1.0F - beta2) * g[i] * g[i];
    p[i] -= step * m[i] / (std::sqrt(v[i]) * scale + eps);
  }
}

void TableOptimizer::step_sgd(std::uint32_t row, const float* g) {
  const auto rate = static_cast<float>(options_.learning_rate);
  const auto decay = static_cast<float>(options_.weight_decay);
  float* p = table_ + row * dim_;
  for (std::size_t i = 0; i < dim_; ++i) p[i] -= rate * (g[i] + decay * p[i]);
}

void TableOptimizer::apply() {
  ++steps_;
  if (options_.kind == Kind::kAdam) past_.next();
  for (std::size_t slot = 0; slot < touched_.size(); ++slot) {
    const std::uint32_t row = touched_[slot];
    if (slot + kAhead < touched_.size()) prefetch(touched_[slot + kAhead]);
    if (options_.kind == Kind::kAdam) {
      step_adam(row, gradient(slot));
    } else {
      step_sgd(row, gradient(slot));
    }
    seen_[row] = steps_;
    slot_[row] = 0;
  }
  touched_.clear();
}

void TableOptimizer::settle() {
  check(touched_.empty(), "a step is under way");
  for (std::uint32_t row = 0; row < rows_; ++row) catch_up(row);
}

}  // namespace kindling::kernels
