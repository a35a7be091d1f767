// Multi-head self-attention inside each sequence of a packed batch, differentiable.
//
//   AttentionOptions options{.heads = 2, .causal = true, .dropout = 0.5, .seed = rng.next()};
//   torch::Tensor mixed = attention(qkv, batch.offsets, options);        // [N, D]
//
// qkv [N, 3D]: a row holds all q, then all k, then all v. With last_only the answer has one row
// for each sequence, [B, D]: what its last row attends to. The dropout mask follows from the seed
// alone (kernels/packed_attention.h).
//
// float32 on the CPU runs on kernels/packed_attention.h; other devices and types pad and use
// LibTorch. Both give the same values and gradients.
// Errors: Error{kInternal} for shapes that do not fit.
#pragma once

#include <cstdint>
#include <span>

#include "kindling/nn/torch.h"

namespace kindling::nn {

struct AttentionOptions {
  std::int64_t heads = 1;
  bool causal = false;
  bool last_only = false;
  double dropout = 0.0;  // on the attention weights
  std::uint64_t seed = 0;
};

torch::Tensor attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                        const AttentionOptions& options);
torch::Tensor fused_attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                              const AttentionOptions& options);
torch::Tensor plain_attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                              const AttentionOptions& options);

}  // namespace kindling::nn
