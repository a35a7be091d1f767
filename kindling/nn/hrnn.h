// The two hierarchical user networks (specs: ZESRec section 4, Z17).
//
// Hrnn: session information goes into the inputs of one event GRU that is never reset.
//   S_k = GRU_S(mean of v over session k, S_{k-1})
//   x_t = P [v_t ; S_{k(t)-1} ; starts_t ; E[gap_t]] + p        u_t = GRU_I(x_t, h_{t-1})
// Hgru (Quadrana et al. 2017): the event GRU is reset where a session begins.
//   h_0 of session k = tanh(W_0 S_{k-1} + b_0)       S_k = GRU_S(last state of session k, S_{k-1})
//
// A window may end inside a session: both carry what the open session has gathered.
#pragma once

#include <memory>

#include "kindling/nn/gru.h"
#include "kindling/nn/user_network.h"

namespace kindling::nn {

class Hrnn : public UserNetwork {
 public:
  Hrnn(const UserNetworkOptions& options, Rng& rng);

  // Carried: h [B, D], S before the open session [B, D], sum of v over it [B, D], its steps [B, 1].
  torch::Tensor forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                        NetworkState* carried, Rng& rng) override;

 private:
  torch::Tensor control_inputs(const SequenceBatch& batch, const std::vector<float>& starts,
                               const torch::Tensor& like) const;

  std::shared_ptr<Gru> session_gru_;
  std::shared_ptr<Gru> event_gru_;
  torch::Tensor gap_embedding_;  // [16, gap_dim]
  torch::Tensor project_;        // P [D, 2 D + 1 + gap_dim]
  torch::Tensor project_bias_;   // p [D]
};

class Hgru : public UserNetwork {
 public:
  Hgru(const UserNetworkOptions& options, Rng& rng);

  // Carried: h [B, D], S before the open session [B, D], whether one is open [B, 1].
  torch::Tensor forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                        NetworkState* carried, Rng& rng) override;

 private:
  std::shared_ptr<Gru> session_gru_;
  std::shared_ptr<Gru> event_gru_;
  torch::Tensor reset_;       // W_0 [D, D]
  torch::Tensor reset_bias_;  // b_0 [D]
};

}  // namespace kindling::nn
