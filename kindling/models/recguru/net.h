// The networks of RecGURU (specs/recguru.md, section 3), over packed batches.
//
//   h = net.user_vectors(table, batch.encoder, rng);                     // [B, D] at [eos]
//   q = net.decode(net.decoder(kTarget), table, batch.decoder, h, keys, rng);       // [N, D]
//   score = q · I_v
//
//   encoder   (self-attention -> LN -> feed-forward -> LN) x layers, bidirectional, shared
//   decoder   (causal self-attention -> LN -> user vector -> LN -> feed-forward -> LN) x layers
//
// The user vector stands repeated behind every position as key and value, so the attention over it
// is W_o (W_v h + b_v) + b_o whatever the weights are: computed once a user [R4]. Attention dropout
// leaves one random factor a head and position, kernels::dropout_shares. user_attention=full writes
// it out instead, with W_q and W_k, for the same numbers.
// norm=pre: x + self-attention(LN x), + user vector, + feed-forward(LN x), and one LN behind the
// last layer of the encoder and of each decoder; h is normalised by the encoder's already.
// Of the encoder's last layer only the [eos] row is computed: nothing reads the others.
// Differs: W_q and W_k of the attention over the user vector exist with user_attention=full only:
//          they never matter.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/models/recguru/batch.h"
#include "kindling/models/recguru/options.h"
#include "kindling/nn/torch.h"
#include "kindling/nn/transformer.h"

namespace kindling::recguru {

// The two domains: A is the source, B the target.
inline constexpr int kSource = 0;
inline constexpr int kTarget = 1;

enum class Variant {
  kRecGuru,  // two domains
  kAutoRec,  // auto-encoder and recommender of one domain
  kSeqRec,   // the recommender alone, without a user vector
};

// [L, D]: PE(slot, 2i) = sin(slot / 10000^(2i/D)), PE(slot, 2i+1) = cos(…).
torch::Tensor sinusoids(std::int64_t slots, std::int64_t dim);

// The normalisation behind the last layer with norm=pre.
class FinalNorm : public torch::nn::Module {
 public:
  explicit FinalNorm(std::int64_t dim);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  std::int64_t dim_;
  torch::Tensor gain_, shift_;  // [D]
};

// A stack of layers with or without the attention over the user vector.
class Decoder : public torch::nn::Module {
 public:
  Decoder(const Options& options, bool user_vector, Rng& rng);

  // x [N, D], h [H, D] (undefined without user vectors), keys [H]: rows of each encoder sequence.
  // Rows [parts[i], parts[i + 1]) read h_i; without `parts` those of sequence i.
  torch::Tensor forward(torch::Tensor x, std::span<const std::int64_t> offsets,
                        const torch::Tensor& h, std::span<const std::int64_t> keys, Rng& rng,
                        std::span<const std::int64_t> parts = {});

 private:
  torch::Tensor add_user(std::size_t layer, const torch::Tensor& x,
                         std::span<const std::int64_t> parts, const torch::Tensor& h,
                         std::span<const std::int64_t> keys, Rng& rng) const;
  struct UserLayer;
  torch::Tensor full_attention(const UserLayer& user, const torch::Tensor& x,
                               const torch::Tensor& h, const torch::Tensor& owner,
                               std::span<const std::int64_t> keys, double p, Rng& rng) const;

  struct UserLayer {
    torch::Tensor query_weight, key_weight;  // W_q, W_k; user_attention=full
    torch::Tensor value_weight, value_bias;  // W_v, b_v
    torch::Tensor out_weight, out_bias;      // W_o, b_o
    torch::Tensor gain, shift;               // LN; norm=post
  };
  std::int64_t dim_;
  std::int64_t heads_;
  double dropout_;
  bool full_;  // user_attention
  std::vector<std::shared_ptr<nn::TransformerBlock>> blocks_;
  std::vector<UserLayer> user_;
  std::shared_ptr<FinalNorm> final_;  // norm=pre
};

class Net : public torch::nn::Module {
 public:
  // for_training: with the decoders, which recommending does not need.
  Net(const Options& options, Variant variant, bool for_training, const Rng& rng);

  // h [B, D]. `table` holds the item vectors that the ids name; `domain` chooses the positions.
  torch::Tensor user_vectors(int domain, const torch::Tensor& table, const PackedRows& rows,
                             Rng& rng);
  // q [N, D]; h undefined without a user vector. `keys`: rows of the encoder's sequences; `parts`
  // as in Decoder::forward.
  torch::Tensor decode(Decoder& decoder, int domain, const torch::Tensor& table,
                       const PackedRows& rows, const torch::Tensor& h,
                       std::span<const std::int64_t> keys, Rng& rng,
                       std::span<const std::int64_t> parts = {});

  Decoder& decoder(int domain) { return *decoders_[domain]; }
  Decoder& recommender() { return *recommender_; }
  bool has_encoder() const { return !encoder_.empty(); }
  // The recommender takes the weights of the target's decoder; with recommender_start=shared it is
  // that decoder [R3].
  void start_recommender_from_decoder();

 private:
  torch::Tensor embed(int domain, const torch::Tensor& table, const PackedRows& rows,
                      Rng& rng) const;

  Options options_;
  std::vector<std::shared_ptr<nn::TransformerBlock>> encoder_;
  std::shared_ptr<FinalNorm> encoder_norm_;  // norm=pre
  std::shared_ptr<Decoder> decoders_[2];
  std::shared_ptr<Decoder> recommender_;
  torch::Tensor positions_[2];  // [L, D]
};

// The number of rows of each sequence.
std::vector<std::int64_t> lengths_of(const PackedRows& rows);

}  // namespace kindling::recguru
