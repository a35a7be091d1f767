#include "kindling/kernels/table_optimizer.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"
#include "kindling/kernels/dot.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kBlock = 16;   // floats that stay in registers over many steps
constexpr std::size_t kAhead = 8;    // rows whose memory is asked for in apply()
constexpr double kEpsShare = 100.0;  // √v is so many times eps, or the steps are taken one by one

// Steps first + 1 … last of Adam without a gradient, on `width` floats.
void coast(float* p, float* m, float* v, std::size_t width, std::int64_t first, std::int64_t last,
           const TableOptimizer::Options& o, const float* rate, const float* correction) {
  const auto beta1 = static_cast<float>(o.beta1);
  const auto beta2 = static_cast<float>(o.beta2);
  const auto eps = static_cast<float>(o.eps);
  float pb[kBlock] = {};
  float mb[kBlock] = {};
  float vb[kBlock] = {};
  for (std::size_t i = 0; i < width; ++i) {
    pb[i] = p[i];
    mb[i] = m[i];
    vb[i] = v[i];
  }
  for (std::int64_t t = first + 1; t <= last; ++t) {
    const float step = rate[t];
    const float scale = correction[t];
    for (std::size_t i = 0; i < kBlock; ++i) {
      mb[i] *= beta1;
      vb[i] *= beta2;
      pb[i] -= step * mb[i] / (std::sqrt(vb[i]) * scale + eps);
    }
  }
  for (std::size_t i = 0; i < width; ++i) {
    p[i] = pb[i];
    m[i] = mb[i];
    v[i] = vb[i];
  }
}

bool any_below(const float* values, std::size_t count, float bound) {
  int below = 0;
  for (std::size_t i = 0; i < count; ++i) below += values[i] < bound ? 1 : 0;
  return below != 0;
}

}  // namespace

// What steps first + 1 … last without a gradient do to every float of a row.
struct TableOptimizer::Coasting {
  float move[kTerms];  // p -= m/√v (move[0] - move[1]/√v + move[2]/v)
  float fade_m;        // beta1^steps
  float fade_v;        // beta2^steps
  float least_square;  // of v, for the series of eps to hold
};

TableOptimizer::TableOptimizer(float* table, std::size_t rows, std::size_t dim, std::size_t most,
                               const Options& options)
    : table_(table),
      rows_(rows),
      dim_(dim),
      options_(options),
      seen_(rows, 0),
      slot_(rows, 0),
      gradients_(most * dim),
      rate_{0.0F},
      correction_{0.0F} {
  touched_.reserve(most);
  if (options_.kind == Kind::kAdam) {
    check(options_.weight_decay == 0.0, "decay of every row is known to SGD only");
    moments_.assign(2 * rows * dim, 0.0F);
    const double root = std::sqrt(options_.beta2);
    for (std::size_t n = 0; n < kTerms; ++n) {
      pace_[n].push_back(0.0F);
      for (std::int64_t j = 0; j <= kMemory; ++j) {
        const auto steps = static_cast<double>(j);
        fade_[n].push_back(static_cast<float>(
            std::pow(options_.beta1 / root, steps) *
            std::pow(options_.eps / std::pow(root, steps), static_cast<double>(n))));
      }
    }
  }
}

TableOptimizer::Coasting TableOptimizer::coasting(std::int64_t first, std::int64_t last) const {
  const auto steps = static_cast<std::size_t>(last - first);
  const auto start = static_cast<std::size_t>(first) + 1;
  Coasting all = {};
  for (std::size_t n = 0; n < kTerms; ++n) {
    all.move[n] = dot(fade_[n].data() + 1, pace_[n].data() + start, steps);
  }
  const auto count = static_cast<double>(steps);
  all.fade_m = static_cast<float>(std::pow(options_.beta1, count));
  all.fade_v = static_cast<float>(std::pow(options_.beta2, count));
  // eps over √v and its correction, which is 1 or more, is greatest at the last step.
  const double least = kEpsShare * options_.eps / std::sqrt(std::pow(options_.beta2, count));
  all.least_square = static_cast<float>(least * least);
  return all;
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
  const std::int64_t last = std::min(steps_, first + kMemory);
  const Coasting all = coasting(first, last);
  for (std::size_t at = 0; at < dim_; at += kBlock) {
    const std::size_t width = std::min(kBlock, dim_ - at);
    if (any_below(v + at, width, all.least_square)) {
      coast(p + at, m + at, v + at, width, first, last, options_, rate_.data(), correction_.data());
      continue;
    }
    for (std::size_t i = at; i < at + width; ++i) {
      const float inverse = 1.0F / std::sqrt(v[i]);
      p[i] -= m[i] * inverse * (all.move[0] - inverse * (all.move[1] - inverse * all.move[2]));
      m[i] *= all.fade_m;
      v[i] *= all.fade_v;
    }
  }
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
  const float step = rate_.back();
  const float scale = correction_.back();
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
  const auto t = static_cast<double>(steps_);
  rate_.push_back(static_cast<float>(options_.learning_rate / (1.0 - std::pow(options_.beta1, t))));
  correction_.push_back(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(options_.beta2, t))));
  float pace = rate_.back();
  for (std::vector<float>& term : pace_) term.push_back(pace /= correction_.back());
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
