// Self-attention of one sequence that stands packed among others: no padding, no mask.
//
//   out[i, h] = sum_j softmax_j((q[i, h] + bias[h]) . k[j, h]) v[j, h]
//
// Shapes: qkv [length, 3 * heads * width] row-major, a row holding all q, then all k, then all v;
//         query_bias [heads * width]; out [length, heads * width].
// The scale 1 / sqrt(width) must already be in q and its bias. Key and value biases are not needed
// here: the first cancels in the softmax, the second passes through it unchanged.
#pragma once

#include <cstddef>
#include <vector>

namespace kindling::kernels {

struct AttentionShape {
  std::size_t length;
  std::size_t heads;
  std::size_t width;  // of one head
};

// Plain loops, sums in double: the answer the other is held to.
void attention_reference(const AttentionShape& shape, const float* qkv, const float* query_bias,
                         float* out);
// `scratch` is resized as needed; keep one for each thread.
void attention(const AttentionShape& shape, const float* qkv, const float* query_bias,
               std::vector<float>& scratch, float* out);

}  // namespace kindling::kernels
