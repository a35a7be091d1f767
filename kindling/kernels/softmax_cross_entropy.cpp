#include "kindling/kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/kernels/shared_softmax.h"

namespace kindling::kernels {

namespace {

std::vector<std::uint32_t> checked_targets(const SoftmaxProblem& problem) {
  if (problem.classes > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(Kind::kUnsupported, std::to_string(problem.classes) + " items are too many",
                "softmax_cross_entropy", "train with sampled negatives");
  }
  std::vector<std::uint32_t> targets(problem.rows);
  for (std::size_t n = 0; n < problem.rows; ++n) {
    const std::int64_t target = problem.targets[n];
    if (target < 0 || static_cast<std::size_t>(target) >= problem.classes) {
      throw Error(Kind::kBadInput,
                  "target " + std::to_string(target) + " at step " + std::to_string(n) +
                      " is not one of the " + std::to_string(problem.classes) + " items",
                  "softmax_cross_entropy");
    }
    targets[n] = static_cast<std::uint32_t>(target);
  }
  return targets;
}

// Rows of a block; all blocks are of nearly equal height.
std::size_t block_rows(const SoftmaxProblem& problem, std::size_t block_bytes) {
  const std::size_t room = shared_softmax_room(problem.classes, problem.dim) * sizeof(float);
  const std::size_t most = std::clamp<std::size_t>(block_bytes / room, 1, problem.rows);
  const std::size_t blocks = (problem.rows + most - 1) / most;
  return (problem.rows + blocks - 1) / blocks;
}

SharedSoftmax shared_problem(const SoftmaxProblem& problem, std::size_t first, std::size_t count,
                             const std::uint32_t* targets) {
  return {.rows = count,
          .columns = problem.classes,
          .dim = problem.dim,
          .states = problem.states + first * problem.dim,
          .table = problem.items,
          .classes = nullptr,
          .shift = problem.bias,
          .targets = targets + first,
          .batch = 1,
          .tiny = 0.0};
}

}  // namespace

double softmax_cross_entropy(const SoftmaxProblem& problem, const SoftmaxGradients& gradients,
                             std::size_t block_bytes) {
  const std::vector<std::uint32_t> targets = checked_targets(problem);
  if (problem.rows == 0) {
    if (gradients.items != nullptr) {
      std::fill_n(gradients.items, problem.classes * problem.dim, 0.0F);
    }
    if (gradients.bias != nullptr) std::fill_n(gradients.bias, problem.classes, 0.0F);
    return 0.0;
  }
  const std::size_t rows = block_rows(problem, block_bytes);
  double loss = 0.0;
  for (std::size_t first = 0; first < problem.rows; first += rows) {
    const std::size_t count = std::min(rows, problem.rows - first);
    float* const d_states =
        gradients.states == nullptr ? nullptr : gradients.states + first * problem.dim;
    loss += shared_softmax(shared_problem(problem, first, count, targets.data()),
                           {d_states, gradients.items, gradients.bias, first > 0});
  }
  return loss;
}

double softmax_cross_entropy_reference(const SoftmaxProblem& problem,
                                       const SoftmaxGradients& gradients) {
  const std::vector<std::uint32_t> targets = checked_targets(problem);
  return shared_softmax_reference(shared_problem(problem, 0, problem.rows, targets.data()),
                                  {gradients.states, gradients.items, gradients.bias});
}

}  // namespace kindling::kernels
