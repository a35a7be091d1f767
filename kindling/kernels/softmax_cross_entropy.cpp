#include "kindling/kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/gemm.h"
#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

void check_targets(const SoftmaxProblem& problem) {
  for (std::size_t n = 0; n < problem.rows; ++n) {
    const std::int64_t target = problem.targets[n];
    if (target < 0 || static_cast<std::size_t>(target) >= problem.classes) {
      throw Error(Kind::kBadInput,
                  "target " + std::to_string(target) + " at step " + std::to_string(n) +
                      " is not one of the " + std::to_string(problem.classes) + " items",
                  "softmax_cross_entropy");
    }
  }
}

// Rows [first, first + count) of the problem with their logits; turned in place into what the
// gradient products need.
struct Block {
  std::size_t first;
  std::size_t count;
  float* logits;     // [count, J]: after soften(), s·(p - onehot) of each row
  float* inverse;    // [count]: 1/s
  double* row_loss;  // [count]
};

// Leaves the factor 1/s out of the logits: the D columns of U and dU carry it instead of the J
// columns of P.
void soften(const SoftmaxProblem& problem, const Block& block) {
  parallel_for(block.count, 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      float* row = block.logits + r * problem.classes;
      const auto target = static_cast<std::size_t>(problem.targets[block.first + r]);
      const float own = row[target];
      const float top = max_of(row, problem.classes);
      const double sum = exp_and_sum(row, problem.classes, top);
      block.row_loss[r] = std::log(sum) + static_cast<double>(top) - static_cast<double>(own);
      block.inverse[r] = static_cast<float>(1.0 / sum);
      row[target] = static_cast<float>(static_cast<double>(row[target]) - sum);
    }
  });
}

void scale_rows(const float* from, const float* factor, std::size_t rows, std::size_t dim,
                float* to) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t d = 0; d < dim; ++d) to[r * dim + d] = from[r * dim + d] * factor[r];
  }
}

}  // namespace

double softmax_cross_entropy(const SoftmaxProblem& problem, float* d_states, float* d_items,
                             std::size_t block_bytes) {
  check_targets(problem);
  const std::size_t classes = problem.classes;
  const std::size_t dim = problem.dim;
  if (problem.rows == 0) {
    if (d_items != nullptr) std::fill_n(d_items, classes * dim, 0.0F);
    return 0.0;
  }
  const std::size_t most = std::max<std::size_t>(1, block_bytes / (classes * sizeof(float)));
  const std::size_t blocks =
      (problem.rows + std::min(most, problem.rows) - 1) / std::min(most, problem.rows);
  const std::size_t rows = (problem.rows + blocks - 1) / blocks;  // blocks of nearly equal height
  const auto logits = std::make_unique_for_overwrite<float[]>(rows * classes);
  const auto scaled = std::make_unique_for_overwrite<float[]>(rows * dim);
  std::vector<float> inverse(rows);
  std::vector<double> row_loss(rows);

  double loss = 0.0;
  for (std::size_t first = 0; first < problem.rows; first += rows) {
    const Block block{first, std::min(rows, problem.rows - first), logits.get(), inverse.data(),
                      row_loss.data()};
    const float* states = problem.states + first * dim;
    gemm(Op::kPlain, Op::kTransposed, block.count, classes, dim, 1.0F, states, problem.items, 0.0F,
         block.logits);
    soften(problem, block);
    for (std::size_t r = 0; r < block.count; ++r) loss += row_loss[r];
    if (d_states != nullptr) {
      float* out = d_states + first * dim;
      gemm(Op::kPlain, Op::kPlain, block.count, dim, classes, 1.0F, block.logits, problem.items,
           0.0F, out);
      scale_rows(out, inverse.data(), block.count, dim, out);
    }
    if (d_items != nullptr) {
      scale_rows(states, inverse.data(), block.count, dim, scaled.get());
      gemm(Op::kTransposed, Op::kPlain, classes, dim, block.count, 1.0F, block.logits, scaled.get(),
           first == 0 ? 0.0F : 1.0F, d_items);
    }
  }
  return loss;
}

double softmax_cross_entropy_reference(const SoftmaxProblem& problem, float* d_states,
                                       float* d_items) {
  check_targets(problem);
  const std::size_t dim = problem.dim;
  std::vector<double> item_sums(d_items != nullptr ? problem.classes * dim : 0, 0.0);
  std::vector<double> p(problem.classes);
  double loss = 0.0;
  for (std::size_t n = 0; n < problem.rows; ++n) {
    const float* u = problem.states + n * dim;
    double top = -std::numeric_limits<double>::infinity();
    for (std::size_t j = 0; j < problem.classes; ++j) {
      p[j] = 0.0;
      for (std::size_t d = 0; d < dim; ++d) {
        p[j] += static_cast<double>(u[d]) * static_cast<double>(problem.items[j * dim + d]);
      }
      top = std::max(top, p[j]);
    }
    const auto target = static_cast<std::size_t>(problem.targets[n]);
    const double own = p[target];
    double sum = 0.0;
    for (double& value : p) sum += value = std::exp(value - top);
    for (double& value : p) value /= sum;
    loss += std::log(sum) + top - own;
    p[target] -= 1.0;
    for (std::size_t d = 0; d < dim; ++d) {
      double state_sum = 0.0;
      for (std::size_t j = 0; j < problem.classes; ++j) {
        state_sum += p[j] * static_cast<double>(problem.items[j * dim + d]);
        if (d_items != nullptr) item_sums[j * dim + d] += p[j] * static_cast<double>(u[d]);
      }
      if (d_states != nullptr) d_states[n * dim + d] = static_cast<float>(state_sum);
    }
  }
  for (std::size_t i = 0; i < item_sums.size(); ++i) d_items[i] = static_cast<float>(item_sums[i]);
  return loss;
}

}  // namespace kindling::kernels
