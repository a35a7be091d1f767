// One GRU layer over a packed batch (specs: ZESRec section 4; PyTorch's gates and parameter
// layout).
//
//   Gru gru(D, D, rng);
//   torch::Tensor states = gru.forward(x, batch.offsets);    // [N, D], row n the state after step
//   n
//
// float32 on the CPU runs on kernels/gru.h; other devices and types on LibTorch's packed GRU. Both
// give the same values and gradients.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kindling/base/random.h"
#include "kindling/nn/torch.h"

namespace kindling::nn {

struct GruParameters {
  torch::Tensor input;        // [3D, E], row blocks r, z, n
  torch::Tensor hidden;       // [3D, D]
  torch::Tensor input_bias;   // [3D]
  torch::Tensor hidden_bias;  // [3D]
};

// The states of all steps [N, D] in packed order. `start` [B, D] is h_0, undefined for zeros; both
// x [N, E] and start are differentiable. `last`, where not null, receives the detached [B, D]
// states after each sequence (its h_0 where a sequence has no step).
torch::Tensor fused_gru(const torch::Tensor& x, std::span<const std::int64_t> offsets,
                        const torch::Tensor& start, const GruParameters& parameters,
                        torch::Tensor* last);
torch::Tensor plain_gru(const torch::Tensor& x, std::span<const std::int64_t> offsets,
                        const torch::Tensor& start, const GruParameters& parameters,
                        torch::Tensor* last);

class Gru : public torch::nn::Module {
 public:
  // Uniform(±1/√hidden).
  Gru(std::int64_t inputs, std::int64_t hidden, Rng& rng);

  torch::Tensor forward(const torch::Tensor& x, std::span<const std::int64_t> offsets,
                        const torch::Tensor& start = {}, torch::Tensor* last = nullptr) const;

 private:
  GruParameters parameters_;
};

}  // namespace kindling::nn
