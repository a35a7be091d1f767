#include "kindling/kernels/rank_count.h"

#include <cmath>
#include <string>

#include "kindling/base/error.h"

namespace kindling::kernels {

namespace {

[[noreturn]] void fail_not_finite(std::size_t item) {
  throw Error(Kind::kInternal,
              "the score of item " + std::to_string(item) + " is not a finite number", {},
              "a rank would be meaningless; look for NaN in the model's weights or vectors");
}

}  // namespace

RankCount rank_count_reference(const float* scores, std::size_t items, std::size_t target) {
  check(target < items, "the target of a rank is not among the candidates");
  RankCount count;
  for (std::size_t j = 0; j < items; ++j) {
    if (!std::isfinite(scores[j])) fail_not_finite(j);
    if (j == target) continue;
    if (scores[j] > scores[target]) ++count.greater;
    if (scores[j] == scores[target]) ++count.equal;
  }
  return count;
}

RankCount rank_count(const float* scores, std::size_t items, std::size_t target) {
  check(target < items, "the target of a rank is not among the candidates");
  const float mark = scores[target];
  std::uint32_t greater = 0;
  std::uint32_t equal = 0;
  std::uint32_t finite = 0;
  for (std::size_t j = 0; j < items; ++j) {
    const float score = scores[j];
    greater += score > mark ? 1U : 0U;
    equal += score == mark ? 1U : 0U;
    // x - x is 0 for finite x only.
    finite += score - score == 0.0F ? 1U : 0U;
  }
  if (finite != items) {
    for (std::size_t j = 0; j < items; ++j) {
      if (!std::isfinite(scores[j])) fail_not_finite(j);
    }
  }
  return {greater, equal - 1};  // the target equals itself
}

}  // namespace kindling::kernels
