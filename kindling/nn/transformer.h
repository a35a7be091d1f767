// Transformer blocks over packed batches: self-attention, then feed-forward, each with its residual
// and layer normalisation. Bidirectional (BERT4Rec, RecGURU's encoder) or causal (SASRec, RecGURU's
// decoders).
//
//   BlockOptions options{.dim = 64, .heads = 2, .hidden = 512, .causal = true};
//   TransformerBlock block(options, rng);
//   x = block.forward(x, batch.offsets, dropout_rng);        // [N, D] -> [N, D]
//
//   post   x = LN1(x + attend(x));             x = LN2(x + feed(x))
//   pre    x = x + attend(LN1(x));             x = x + feed(LN2(x))
//   sasrec q = LN1(x); x = q + attend(q from q; k, v from x);   n = LN2(x); x = n + feed(n)
//          (kang205/SASRec: the residual carries the normalised value)
//
// `attend` and `feed` may be called apart by who puts a sub-layer between them. No dropout unless
// training. Source: Vaswani et al. 2017; Kang & McAuley 2018.
// Errors: Error{kBadOption} when the width is no multiple of the heads.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kindling/base/random.h"
#include "kindling/kernels/gelu.h"
#include "kindling/nn/feed_forward.h"
#include "kindling/nn/torch.h"

namespace kindling::nn {

enum class BlockForm { kPostNorm, kPreNorm, kSasRec };

struct BlockOptions {
  std::int64_t dim = 64;
  std::int64_t heads = 2;
  std::int64_t hidden = 512;  // width of the feed-forward middle
  BlockForm form = BlockForm::kPostNorm;
  bool causal = false;
  kernels::Activation activation = kernels::Activation::kGeluTanh;
  bool output_projection = true;       // W_o behind the heads
  bool dropout_first = false;          // in the middle: before the activation
  double attention_dropout = 0.0;      // on the attention weights
  double attention_out_dropout = 0.0;  // on what attention adds
  double middle_dropout = 0.0;         // inside the feed-forward half
  double feed_out_dropout = 0.0;       // on what the feed-forward half adds
  double epsilon = 1e-8;               // of the layer normalisations
};

class TransformerBlock : public torch::nn::Module {
 public:
  // Linear layers start uniform(±1/√inputs), biases too, as PyTorch's do; LN at 1 and 0.
  TransformerBlock(const BlockOptions& options, Rng& rng);

  torch::Tensor forward(const torch::Tensor& x, std::span<const std::int64_t> offsets, Rng& rng);
  // The first half; with last_only (not in the sasrec form) one row for each sequence, [B, D], that
  // of its last step.
  torch::Tensor attend(const torch::Tensor& x, std::span<const std::int64_t> offsets, Rng& rng,
                       bool last_only = false);
  torch::Tensor feed(const torch::Tensor& x, Rng& rng);

 private:
  torch::Tensor normalise(const torch::Tensor& x, int which) const;
  torch::Tensor mix(const torch::Tensor& queries, const torch::Tensor& x,
                    std::span<const std::int64_t> offsets, Rng& rng, bool last_only);
  double rate(double p) const { return is_training() ? p : 0.0; }

  BlockOptions options_;
  torch::Tensor in_weight_, in_bias_;    // [3D, D] rows q, k, v; [3D]
  torch::Tensor out_weight_, out_bias_;  // [D, D], [D]; undefined without output projection
  FeedForwardParameters feed_;
  torch::Tensor gain_[2], shift_[2];  // LN1, LN2
};

// W [out, in] and b [out], uniform(±1/√in): PyTorch's start of a linear layer.
struct LinearStart {
  torch::Tensor weight;
  torch::Tensor bias;
};
LinearStart linear_start(std::int64_t out, std::int64_t in, Rng& rng);

}  // namespace kindling::nn
