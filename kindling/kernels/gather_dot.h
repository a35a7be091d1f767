// Dot products of each state with the few items that its row names: the scores of a target and K
// negatives a position, without ever holding their [N, K, D] vectors.
//
//   scores[n, c] = states[n] · items[ids[n, c]]
//
// Shapes: states [rows, dim], items [any, dim], ids and scores [rows, columns]; an id may repeat.
// Threads: uses the threads of base/parallel.h itself; the result does not depend on their number.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct GatherDot {
  const float* states;
  const float* items;
  const std::int64_t* ids;  // row numbers of `items`
  std::size_t rows;
  std::size_t columns;
  std::size_t dim;
};

void gather_dot(const GatherDot& problem, float* scores);
// Plain loops, sums in double: the answer the other is held to.
void gather_dot_reference(const GatherDot& problem, float* scores);

// d_states [rows, dim] is overwritten, d_items [any, dim] is added to; each may be null.
void gather_dot_backward(const GatherDot& problem, const float* d_scores, float* d_states,
                         float* d_items);

}  // namespace kindling::kernels
