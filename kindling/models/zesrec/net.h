// The network of ZESRec: item vectors from text vectors, user vectors from item vectors, and the
// training objective (specs/zesrec.md, sections 3 to 5).
//
//   x [J, E] -> W x + b (-> tanh) + offset | + sigma * noise  -> v [J, D]
//   [dummy, v of the history] -> dropout -> f_seq -> dropout -> u [N, D];  score = u · v
//
// One set of vectors v serves encoder and decoder. With the full softmax v is made for all items
// once per step; with sampled softmax only for the rows that the batch reads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/data/batch.h"
#include "kindling/data/negatives.h"
#include "kindling/models/zesrec/options.h"
#include "kindling/nn/torch.h"
#include "kindling/nn/user_network.h"

namespace kindling::zesrec {

// The items that one step reads: all of them (rows empty), those that are learnt, or the sorted
// distinct ones of inputs, targets and negatives. The other lists index into `rows`, or are item
// ids when it is empty.
struct StepRows {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> inputs;   // [N], kDummyItem stays
  std::vector<std::int64_t> targets;  // [M]
  std::vector<std::int64_t> sampled;  // [K]
};
StepRows all_rows(const SequenceBatch& batch);
// `rows`: sorted, distinct; they hold every item that the batch and `sampled` name.
StepRows rows_among(std::vector<std::int64_t> rows, const SequenceBatch& batch,
                    const std::vector<std::int64_t>& sampled = {});
// Of one row a step, [N, …], those of the steps that have a target, [M, …].
torch::Tensor at_targets(const torch::Tensor& of_steps, const SequenceBatch& batch);
StepRows touched_rows(const SequenceBatch& batch, const std::vector<std::int64_t>& sampled);

// What the objective is made of besides the batch.
struct Corpus {
  torch::Tensor items;                     // X [J, E]
  std::vector<std::int64_t> target_count;  // [J] n_j: how often an epoch asks for item j
  std::int64_t tokens = 1;                 // N_tok, targets of an epoch [Z14]
  const NegativeSampler* sampler = nullptr;
  std::vector<std::int64_t> learnt;  // items of the full softmax, sorted; empty: all
};

struct Objective {
  torch::Tensor total;  // scalar to be minimised
  double loss = 0.0;    // sum of -log softmax over the batch's targets
  std::int64_t targets = 0;
};

// The carried states: f_seq, the posterior's two networks (general bound), the residual path.
using CarriedStates = std::vector<nn::NetworkState>;

class Net : public torch::nn::Module {
 public:
  Net(const Options& options, std::int64_t input_dim, const Rng& rng);

  // offsets [J, D] with offset_init; undefined unless variant is map.
  void make_offsets(std::int64_t items, const Rng& rng);

  // The objective of one window divided by N_tok as decision Z14 says. `penalty`: whether the
  // dense offsets' penalty is part of `total` (false when the optimiser adds its gradient).
  // With negatives, lazily updated offsets leave their gradient in lazy_rows / lazy_offsets.
  Objective objective(const SequenceBatch& batch, const Corpus& corpus, const Negatives* negatives,
                      CarriedStates* carried, bool penalty, const Rng& rng);

  // v without noise: the mean. with_offsets: as trained in the source.
  torch::Tensor item_means(const torch::Tensor& x, bool with_offsets);
  // One draw of v from the posterior (variant full).
  torch::Tensor item_draw(const torch::Tensor& x, const Rng& rng);
  // u [N, D] for packed inputs; values [R, D], inputs index its rows. `draw`: users are sampled too
  // (general bound). No dropout unless training.
  torch::Tensor user_states(const torch::Tensor& values, const std::vector<std::int64_t>& inputs,
                            const SequenceBatch& batch, CarriedStates* carried, bool draw,
                            const Rng& rng, torch::Tensor* user_penalty = nullptr);

  torch::Tensor offsets;       // [J, D] or undefined
  torch::Tensor lazy_rows;     // [R] int64: rows of the last objective, when offsets are lazy
  torch::Tensor lazy_offsets;  // [R, D] leaf
  bool lazy = false;

 private:
  struct ItemSample {
    torch::Tensor values;   // [R, D]
    torch::Tensor penalty;  // [R] R_j; undefined when there is none
  };
  ItemSample training_items(const torch::Tensor& x, const StepRows& step, bool penalty,
                            const Rng& rng);
  // What the residual path reads: the last item, or the decayed mean of the history.
  torch::Tensor recent(const torch::Tensor& x, const SequenceBatch& batch,
                       CarriedStates* carried) const;
  torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight,
                       const torch::Tensor& bias) const;
  torch::Tensor row_weights(const StepRows& step, const Corpus& corpus) const;

  Options options_;
  torch::Tensor weight_, bias_, dummy_;                            // f_e
  torch::Tensor table_;                                            // [J, D] instead of W and b
  torch::Tensor residual_;                                         // [1] when options.residual > 0
  torch::Tensor mean_weight_, mean_bias_, log_weight_, log_bias_;  // posterior heads (full)
  torch::Tensor user_log_weight_, user_log_bias_;                  // head of f_seq,sigma (general)
  std::shared_ptr<nn::UserNetwork> user_, user_mean_, user_spread_;
};

}  // namespace kindling::zesrec
