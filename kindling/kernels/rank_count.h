// The rank of a target among scores, without sorting.
//
//   double rank = expected_rank(rank_count(scores, items, target));   // 1 is best
//
// Ties count half: the rank is the mean over all orders of equal scores, so a model that scores
// everything alike gets (items + 1) / 2 and never the first place.
// Source: specs/zesrec.md section 7.
// Errors: Error{kInternal} for a score that is NaN or infinite: such a score has no rank.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct RankCount {
  std::uint32_t greater = 0;  // others with a larger score
  std::uint32_t equal = 0;    // others with the same score
  friend bool operator==(const RankCount&, const RankCount&) = default;
};

inline double expected_rank(RankCount count) {
  return 1.0 + count.greater + 0.5 * static_cast<double>(count.equal);
}

// One score after another: the answer the fast one is held to.
RankCount rank_count_reference(const float* scores, std::size_t items, std::size_t target);
// Without branches, a block at a time.
RankCount rank_count(const float* scores, std::size_t items, std::size_t target);

}  // namespace kindling::kernels
