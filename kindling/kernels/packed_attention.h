// Self-attention within each sequence of a packed batch, forward and backward, for training:
// nothing is padded and no [T, T] matrix outlives its row.
//
//   out[i, h] = Σ_j m_ij a_ij v[j, h],  a_ij = softmax_j(q[i, h] · k[j, h] / √width)
//
// j runs over the rows of i's sequence, up to i itself when causal. m_ij is the dropout factor of
// weight j: value (i · heads + h) · longest + j of dropout_mask(seed), with i the packed row, j the
// position in the sequence and `longest` the longest sequence of the batch.
//
//   PackedAttention problem{.offsets = offsets, .heads = 2, .width = 32, .causal = true};
//   packed_attention(problem, qkv, out, log_sums);
//   packed_attention_backward(problem, qkv, out, log_sums, d_out, d_qkv);
//
// Shapes: qkv [N, 3 · heads · width], a row holding all q, then all k, then all v; N rows in all.
// Rows of out [Q, heads · width] and log_sums [Q, heads] are the queries: all N rows, or with
// last_only the last row of each of the B sequences, none of which may then be empty.
// Threads: uses the threads of base/parallel.h itself; the result does not depend on their number.
// Errors: Error{kInternal} for offsets that are not those of N rows, or an empty sequence with
// last_only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kindling::kernels {

struct PackedAttention {
  std::span<const std::int64_t> offsets;  // [B + 1], from 0
  std::size_t heads = 1;
  std::size_t width = 1;  // of one head
  bool causal = false;
  bool last_only = false;
  double dropout = 0.0;  // p of the mask, in [0, 1)
  std::uint64_t seed = 0;

  std::size_t rows() const { return static_cast<std::size_t>(offsets.back()); }
  std::size_t queries() const { return last_only ? offsets.size() - 1 : rows(); }
  std::size_t longest() const;
};

// log_sums[i, h] = log Σ_j exp(q · k / √width), for backward; may be null.
void packed_attention(const PackedAttention& problem, const float* qkv, float* out,
                      float* log_sums);
// Plain loops, sums in double: the answer the other is held to.
void packed_attention_reference(const PackedAttention& problem, const float* qkv, float* out);

// d_qkv [N, 3 · heads · width] is overwritten.
void packed_attention_backward(const PackedAttention& problem, const float* qkv, const float* out,
                               const float* log_sums, const float* d_out, float* d_qkv);

// What attention dropout does to a sequence of equal values: Σ_j m_ij / length, one factor for each
// head of each row [N, heads], from the same mask as above. `keys`: how many equal keys the rows
// of sequence b see; index (i · heads + h) · most + j, with `most` the largest of them.
void dropout_shares(const PackedAttention& problem, std::span<const std::int64_t> keys,
                    float* shares);

}  // namespace kindling::kernels
