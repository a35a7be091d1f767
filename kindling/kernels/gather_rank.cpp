#include "kindling/kernels/gather_rank.h"

#include <cmath>

#include "kindling/base/error.h"
#include "kindling/kernels/dot.h"

namespace kindling::kernels {

namespace {

template <class Score>
RankCount count_with(const Score& score, std::uint32_t target, const std::uint32_t* candidates,
                     std::size_t count) {
  const auto own = score(target);
  bool finite = std::isfinite(own);
  RankCount result;
  for (std::size_t c = 0; c < count; ++c) {
    if (candidates[c] == target) continue;
    const auto other = score(candidates[c]);
    finite = finite && std::isfinite(other);
    result.greater += other > own ? 1U : 0U;
    result.equal += other == own ? 1U : 0U;
  }
  if (!finite) throw Error(Kind::kInternal, "a score is not finite, it has no rank");
  return result;
}

}  // namespace

RankCount gather_count_ranks_reference(const float* user, const float* items, std::size_t dim,
                                       std::uint32_t target, const std::uint32_t* candidates,
                                       std::size_t count) {
  return count_with(
      [&](std::uint32_t item) { return dot_reference(user, items + item * dim, dim); }, target,
      candidates, count);
}

RankCount gather_count_ranks(const float* user, const float* items, std::size_t dim,
                             std::uint32_t target, const std::uint32_t* candidates,
                             std::size_t count) {
  // The rows lie all over the table: ask for them before they are needed.
  constexpr std::size_t kAhead = 8;
  std::size_t next = 0;
  const auto fetch = [&] {
    const float* row = items + candidates[next++] * dim;
    for (std::size_t at = 0; at < dim; at += 16) __builtin_prefetch(row + at);
  };
  while (next < count && next < kAhead) fetch();
  return count_with(
      [&](std::uint32_t item) {
        if (next < count) fetch();
        return dot(user, items + item * dim, dim);
      },
      target, candidates, count);
}

}  // namespace kindling::kernels
