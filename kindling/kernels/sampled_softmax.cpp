#include "kindling/kernels/sampled_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/kernels/gemm.h"
#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Where each class stands in the sample, for the accidental hits.
class SamplePositions {
 public:
  SamplePositions(const std::int64_t* sampled, std::size_t count) : places_(count) {
    for (std::size_t c = 0; c < count; ++c) places_[c] = {sampled[c], c};
    std::sort(places_.begin(), places_.end());
  }

  // Calls visit(position) for each place where `id` was sampled.
  template <class Visit>
  void each(std::int64_t id, const Visit& visit) const {
    auto place = std::lower_bound(places_.begin(), places_.end(), std::pair{id, std::size_t{0}});
    for (; place != places_.end() && place->first == id; ++place) visit(place->second);
  }

 private:
  std::vector<std::pair<std::int64_t, std::size_t>> places_;
};

struct Block {
  std::size_t first;
  std::size_t count;
  float* logits;     // [count, K]: after soften(), s·p of each row
  float* inverse;    // [count]: 1/s
  float* own;        // [count]: p(own target) - 1
  double* row_loss;  // [count]
};

void soften(const SampledSoftmaxProblem& problem, const SamplePositions& positions,
            const Block& block) {
  const std::size_t samples = problem.samples;
  const std::size_t dim = problem.dim;
  parallel_for(block.count, 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const std::size_t n = block.first + r;
      float* row = block.logits + r * samples;
      for (std::size_t c = 0; c < samples; ++c) row[c] -= problem.sampled_log_q[c];
      positions.each(problem.targets[n], [&](std::size_t c) { row[c] = kNever; });
      double product = 0.0;
      for (std::size_t d = 0; d < dim; ++d) {
        product += static_cast<double>(problem.states[n * dim + d]) *
                   static_cast<double>(problem.target_items[n * dim + d]);
      }
      const float own = static_cast<float>(product) - problem.target_log_q[n];
      const float top = std::max(own, max_of(row, samples));
      const double own_part = std::exp(static_cast<double>(own) - static_cast<double>(top));
      const double others = exp_and_sum(row, samples, top);
      const double sum = own_part + others;
      block.row_loss[r] = std::log(sum) + static_cast<double>(top) - static_cast<double>(own);
      block.inverse[r] = static_cast<float>(1.0 / sum);
      block.own[r] = static_cast<float>(-others / sum);
    }
  });
}

// The own target's part of the gradients; `states` holds s·Σ p S and is completed here.
void finish_rows(const SampledSoftmaxProblem& problem, const SampledSoftmaxGradients& gradients,
                 const Block& block) {
  const std::size_t dim = problem.dim;
  for (std::size_t r = 0; r < block.count; ++r) {
    const std::size_t row = (block.first + r) * dim;
    for (std::size_t d = 0; d < dim; ++d) {
      if (gradients.states != nullptr) {
        gradients.states[row + d] = gradients.states[row + d] * block.inverse[r] +
                                    block.own[r] * problem.target_items[row + d];
      }
      if (gradients.target_items != nullptr) {
        gradients.target_items[row + d] = block.own[r] * problem.states[row + d];
      }
    }
  }
}

}  // namespace

double sampled_softmax(const SampledSoftmaxProblem& problem,
                       const SampledSoftmaxGradients& gradients, std::size_t block_bytes) {
  const std::size_t samples = problem.samples;
  const std::size_t dim = problem.dim;
  if (gradients.sampled_items != nullptr) std::fill_n(gradients.sampled_items, samples * dim, 0.0F);
  const std::size_t row_bytes = std::max<std::size_t>(1, samples) * sizeof(float);
  const std::size_t rows =
      std::min(std::max<std::size_t>(1, block_bytes / row_bytes), problem.rows);
  const auto logits = std::make_unique_for_overwrite<float[]>(rows * samples);
  const auto scaled = std::make_unique_for_overwrite<float[]>(rows * dim);
  std::vector<float> inverse(rows);
  std::vector<float> own(rows);
  std::vector<double> row_loss(rows);
  const SamplePositions positions(problem.sampled, samples);

  double loss = 0.0;
  for (std::size_t first = 0; first < problem.rows; first += rows) {
    const Block block{first,        std::min(rows, problem.rows - first),
                      logits.get(), inverse.data(),
                      own.data(),   row_loss.data()};
    const float* states = problem.states + first * dim;
    gemm(Op::kPlain, Op::kTransposed, block.count, samples, dim, 1.0F, states,
         problem.sampled_items, 0.0F, block.logits);
    soften(problem, positions, block);
    for (std::size_t r = 0; r < block.count; ++r) loss += row_loss[r];
    if (gradients.states != nullptr) {
      gemm(Op::kPlain, Op::kPlain, block.count, dim, samples, 1.0F, block.logits,
           problem.sampled_items, 0.0F, gradients.states + first * dim);
    }
    finish_rows(problem, gradients, block);
    if (gradients.sampled_items != nullptr) {
      for (std::size_t i = 0; i < block.count * dim; ++i) scaled[i] = states[i] * inverse[i / dim];
      gemm(Op::kTransposed, Op::kPlain, samples, dim, block.count, 1.0F, block.logits, scaled.get(),
           1.0F, gradients.sampled_items);
    }
  }
  return loss;
}

double sampled_softmax_reference(const SampledSoftmaxProblem& problem,
                                 const SampledSoftmaxGradients& gradients) {
  const std::size_t dim = problem.dim;
  const std::size_t samples = problem.samples;
  const auto dot = [&](const float* a, const float* b) {
    double sum = 0.0;
    for (std::size_t d = 0; d < dim; ++d) {
      sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
    }
    return sum;
  };
  std::vector<double> d_sampled(samples * dim, 0.0);
  std::vector<double> p(samples + 1);  // the own target stands last
  double loss = 0.0;
  for (std::size_t n = 0; n < problem.rows; ++n) {
    const float* u = problem.states + n * dim;
    const float* t = problem.target_items + n * dim;
    p[samples] = dot(u, t) - static_cast<double>(problem.target_log_q[n]);
    double top = p[samples];
    for (std::size_t c = 0; c < samples; ++c) {
      const double logit = dot(u, problem.sampled_items + c * dim);
      const bool hit = problem.sampled[c] == problem.targets[n];
      p[c] =
          hit ? static_cast<double>(kNever) : logit - static_cast<double>(problem.sampled_log_q[c]);
      top = std::max(top, p[c]);
    }
    double sum = 0.0;
    for (const double logit : p) sum += std::exp(logit - top);
    loss += std::log(sum) + top - p[samples];
    for (double& value : p) value = std::exp(value - top) / sum;
    p[samples] -= 1.0;
    for (std::size_t d = 0; d < dim; ++d) {
      double d_state = p[samples] * static_cast<double>(t[d]);
      for (std::size_t c = 0; c < samples; ++c) {
        d_state += p[c] * static_cast<double>(problem.sampled_items[c * dim + d]);
        d_sampled[c * dim + d] += p[c] * static_cast<double>(u[d]);
      }
      if (gradients.states != nullptr) gradients.states[n * dim + d] = static_cast<float>(d_state);
      if (gradients.target_items != nullptr) {
        gradients.target_items[n * dim + d] =
            static_cast<float>(p[samples] * static_cast<double>(u[d]));
      }
    }
  }
  if (gradients.sampled_items != nullptr) {
    for (std::size_t i = 0; i < d_sampled.size(); ++i) {
      gradients.sampled_items[i] = static_cast<float>(d_sampled[i]);
    }
  }
  return loss;
}

}  // namespace kindling::kernels
