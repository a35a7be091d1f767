// f_seq: the network that turns a packed batch of input vectors into user vectors (specs: ZESRec
// section 4).
//
//   auto network = make_user_network({.kind = "gru", .dim = 300});
//   torch::Tensor u = network->forward(x, batch, nullptr);      // [N, D]: u[n] scores the target
//   of step n
//
// Works on CPU (fused packed kernels) and on any other LibTorch device (plain LibTorch operations);
// both agree.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/data/batch.h"
#include "kindling/nn/torch.h"

namespace kindling::nn {

struct UserNetworkOptions {
  std::string kind = "gru";      // gru, tcn, hrnn, hgru
  std::int64_t dim = 300;        // D: width of inputs, states and outputs
  std::int64_t layers = 1;       // GRU layers [Z15]
  std::int64_t tcn_blocks = 4;   // [Z16]
  std::int64_t tcn_kernel = 3;   // [Z16]
  bool tcn_final_linear = true;  // [Z16]
  double dropout =
      0.2;  // inside the TCN blocks and between GRU layers; [Z13] is applied by the model
  std::int64_t gap_dim = 16;  // width of HRNN's gap embedding [Z17]
};

// What a window hands to the next one of the same sequences: row b belongs to sequence b. Always
// detached [Z9].
struct NetworkState {
  std::vector<torch::Tensor> parts;  // empty: the start of the sequences
};

class UserNetwork : public torch::nn::Module {
 public:
  // inputs [N, D] in packed order. `carried` may be null; otherwise it is read (when not empty) and
  // replaced by the state after the batch's last step. Differentiable in inputs and parameters.
  // Dropout is drawn from `rng` and only when is_training(): the same stream gives the same masks.
  virtual torch::Tensor forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                                NetworkState* carried, Rng& rng) = 0;
};

// Parameters are initialised from `rng` as the specification says (GRU uniform ±1/√D, convolutions
// Kaiming-uniform).
std::shared_ptr<UserNetwork> make_user_network(const UserNetworkOptions& options, Rng& rng);

// x with each value kept with probability 1-p and scaled by 1/(1-p); x itself when p is 0.
torch::Tensor dropout(const torch::Tensor& x, double p, Rng& rng);

}  // namespace kindling::nn
