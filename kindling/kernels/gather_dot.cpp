#include "kindling/kernels/gather_dot.h"

#include <algorithm>

#include "kindling/base/parallel.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kGrain = 64;  // rows worked on by one thread at a time

inline void add_scaled(float factor, const float* x, float* y, std::size_t dim) {
#pragma omp simd
  for (std::size_t d = 0; d < dim; ++d) y[d] += factor * x[d];
}

}  // namespace

void gather_dot(const GatherDot& problem, float* scores) {
  const std::size_t dim = problem.dim;
  parallel_for(problem.rows, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const float* state = problem.states + n * dim;
      for (std::size_t i = n * problem.columns; i < (n + 1) * problem.columns; ++i) {
        const float* item = problem.items + static_cast<std::size_t>(problem.ids[i]) * dim;
        float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
        for (std::size_t d = 0; d < dim; ++d) sum += state[d] * item[d];
        scores[i] = sum;
      }
    }
  });
}

void gather_dot_reference(const GatherDot& problem, float* scores) {
  for (std::size_t n = 0; n < problem.rows; ++n) {
    for (std::size_t c = 0; c < problem.columns; ++c) {
      const auto id = static_cast<std::size_t>(problem.ids[n * problem.columns + c]);
      double sum = 0.0;
      for (std::size_t d = 0; d < problem.dim; ++d) {
        sum += static_cast<double>(problem.states[n * problem.dim + d]) *
               static_cast<double>(problem.items[id * problem.dim + d]);
      }
      scores[n * problem.columns + c] = static_cast<float>(sum);
    }
  }
}

void gather_dot_backward(const GatherDot& problem, const float* d_scores, float* d_states,
                         float* d_items) {
  const std::size_t dim = problem.dim;
  if (d_states != nullptr) {
    parallel_for(problem.rows, kGrain, [&](std::size_t begin, std::size_t end) {
      std::fill(d_states + begin * dim, d_states + end * dim, 0.0F);
      for (std::size_t n = begin; n < end; ++n) {
        for (std::size_t i = n * problem.columns; i < (n + 1) * problem.columns; ++i) {
          const auto id = static_cast<std::size_t>(problem.ids[i]);
          add_scaled(d_scores[i], problem.items + id * dim, d_states + n * dim, dim);
        }
      }
    });
  }
  if (d_items == nullptr) return;
  // Many rows add to one item: part t owns the items of number t modulo the parts, so that every
  // sum has one order.
  const auto parts = static_cast<std::size_t>(threads());
  parallel_for(parts, 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      for (std::size_t n = 0; n < problem.rows; ++n) {
        for (std::size_t i = n * problem.columns; i < (n + 1) * problem.columns; ++i) {
          const auto id = static_cast<std::size_t>(problem.ids[i]);
          if (parts > 1 && id % parts != t) continue;
          add_scaled(d_scores[i], problem.states + n * dim, d_items + id * dim, dim);
        }
      }
    }
  });
}

}  // namespace kindling::kernels
