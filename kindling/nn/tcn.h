// Temporal convolution network over a packed batch: causal, weight-normed, dilated (Bai et al.
// 2018; specs: ZESRec section 4, Z16).
//
//   x -> [conv(k, 2^l) -> ReLU -> dropout] x2 -> + x -> ReLU     block l = 0 … blocks - 1
//     -> linear (optional: the last ReLU would keep user vectors non-negative)
//
// Each sequence is padded on its left only, at its own first step: no step sees another sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kindling/nn/user_network.h"

namespace kindling::nn {

// One weight-normed causal convolution D -> D: w = gain · direction / ‖direction‖ for each output.
class CausalConvolution : public torch::nn::Module {
 public:
  // Direction and bias Kaiming-uniform(a = √5), gain = ‖direction‖.
  CausalConvolution(std::int64_t dim, std::int64_t kernel, std::int64_t dilation, Rng& rng);

  torch::Tensor forward(const torch::Tensor& x, const std::vector<std::int64_t>& offsets) const;

 private:
  std::int64_t kernel_;
  std::int64_t dilation_;
  torch::Tensor direction_;  // [D, k D]: tap-major, the oldest tap first
  torch::Tensor gain_;       // [D, 1]
  torch::Tensor bias_;       // [D]
};

class Tcn : public UserNetwork {
 public:
  Tcn(const UserNetworkOptions& options, Rng& rng);

  // Carried: the inputs of the last receptive field of each sequence, right-aligned [B, F, D], and
  // how many of them each sequence has [B].
  torch::Tensor forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                        NetworkState* carried, Rng& rng) override;

 private:
  torch::Tensor run(torch::Tensor x, const std::vector<std::int64_t>& offsets, Rng& rng);

  double dropout_;
  std::int64_t field_;  // inputs before a step that its output depends on
  std::vector<std::shared_ptr<CausalConvolution>> convolutions_;  // two for each block
  torch::Tensor final_weight_;                                    // undefined: no final linear
  torch::Tensor final_bias_;
};

}  // namespace kindling::nn
