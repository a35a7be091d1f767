// The feed-forward half of a transformer block, differentiable: W2 f(W1 x + b1) + b2 with dropout
// in the middle, before or after the activation f.
//
//   FeedForwardOptions options{.activation = kernels::Activation::kRelu, .dropout = 0.5, .seed =
//   rng.next()};
//   torch::Tensor y = feed_forward(x, {w1, b1, w2, b2}, options);         // [N, D]
//
// float32 on the CPU runs on kernels/feed_forward.h, which never holds more of the wide middle than
// backward needs; other devices and types on LibTorch. Both give the same values and gradients.
#pragma once

#include <cstdint>

#include "kindling/kernels/gelu.h"
#include "kindling/nn/torch.h"

namespace kindling::nn {

struct FeedForwardOptions {
  kernels::Activation activation = kernels::Activation::kGeluTanh;
  double dropout = 0.0;
  bool dropout_first = false;  // before the activation
  std::uint64_t seed = 0;
};

struct FeedForwardParameters {
  torch::Tensor w1;  // [F, D]
  torch::Tensor b1;  // [F]
  torch::Tensor w2;  // [D, F]
  torch::Tensor b2;  // [D]
};

torch::Tensor feed_forward(const torch::Tensor& x, const FeedForwardParameters& parameters,
                           const FeedForwardOptions& options);
torch::Tensor fused_feed_forward(const torch::Tensor& x, const FeedForwardParameters& parameters,
                                 const FeedForwardOptions& options);
torch::Tensor plain_feed_forward(const torch::Tensor& x, const FeedForwardParameters& parameters,
                                 const FeedForwardOptions& options);

}  // namespace kindling::nn
