// The rank of a target among a list of candidates, by dot product, without gathering their vectors.
//
//   RankCount count = gather_count_ranks(user, items, dim, target, candidates, 199);
//
// score(u, j) = dot(u, v_j) of kernels/dot.h, as in score_topk.h: the same vectors give the same
// rank whichever way it is counted. `candidates` may hold an item twice (it then counts twice); the
// target itself, wherever it stands, does not count.
// Errors: Error{kInternal} for a score that is not finite.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kindling/kernels/rank_count.h"

namespace kindling::kernels {

// Scores in double, one candidate after another: the answer the fast one is held to.
RankCount gather_count_ranks_reference(const float* user, const float* items, std::size_t dim,
                                       std::uint32_t target, const std::uint32_t* candidates,
                                       std::size_t count);

// user [dim], items [any, dim], candidates [count] rows of items.
RankCount gather_count_ranks(const float* user, const float* items, std::size_t dim,
                             std::uint32_t target, const std::uint32_t* candidates,
                             std::size_t count);

}  // namespace kindling::kernels
