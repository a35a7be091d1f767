// SASRec's network and loss, apart from the model so that the benchmark can hold them to PyTorch's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/models/id_sequences.h"
#include "kindling/models/table_rows.h"
#include "kindling/nn/transformer.h"

namespace kindling::sasrec {

struct Options {
  std::int64_t dim = 64;
  std::int64_t layers = 3;
  std::int64_t heads = 2;
  std::int64_t length = 100;
  double dropout = 0.5;
  bool released = false;
  std::int64_t hidden = 0;
  std::int64_t negatives = 1;
  bool output_projection = false;
  double learning_rate = 1e-3;
  double beta2 = 0.98;
  std::int64_t batch_size = 128;
  std::int64_t epochs = 200;
  std::int64_t validate_every = 1;
  std::int64_t patience = 20;

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, kPositive, "width of item vectors and states (50 in the source) [B10]");
    field("layers", layers, kPositive, "blocks (2 in the source) [B10]");
    field("heads", heads, kPositive, "of the attention (1 in the source) [B10]");
    field("length", length, kPositive, "events kept of a history, the last ones (50) [B10]");
    field("dropout", dropout, kRate, "on vectors, attention weights and feed-forward halves [B10]");
    field(
        "released", released, kAny,
        "RecGURU's own variant: post-norm, sinusoid positions, no causal mask, so that a training "
        "position sees its target; items start at N(0, 1); 5 averaged negatives where none are "
        "given; "
        "set hidden=512 learning_rate=0.01 [B10]");
    field("hidden", hidden, kNotNegative, "width of the feed-forward middle; 0: dim [B10]");
    field("negatives", negatives, kPositive,
          "a position, uniform among items that the user has not taken; their scores are averaged "
          "[B10]");
    field("output_projection", output_projection, kAny,
          "a linear layer behind the heads, as the PyTorch port has and the source has not [B10]");
    field("learning_rate", learning_rate, kPositive, "Adam's step size [B10]");
    field("beta2", beta2, kRate, "Adam's second decay [B10]");
    field("batch_size", batch_size, kPositive, "users in a step [B10]");
    field("epochs", epochs, kPositive, "passes over the users, at most");
    field("validate_every", validate_every, kPositive, "epochs between validations");
    field("patience", patience, kNotNegative,
          "validations without a better HR@10 before training ends; 0: never [R14]");
  }
};

class Net : public SequenceNet {
 public:
  Net(const Options& options, std::int64_t items, const Rng& rng);

  torch::Tensor states(const PackedItems& batch, Rng& rng) override {
    return states(items_, batch, rng);
  }
  // The same, the batch's items being rows of `items` [R, D]: of those alone that a step reads.
  torch::Tensor states(const torch::Tensor& items, const PackedItems& batch, Rng& rng);
  torch::Tensor output_items() const override { return items_; }

 private:
  Options options_;
  torch::Tensor items_;      // [J, D]
  torch::Tensor positions_;  // [length, D]; a constant when `released`
  std::vector<std::shared_ptr<nn::TransformerBlock>> blocks_;
  torch::Tensor gain_, shift_;
};

// Adam over the network's parameters. The table "items" expects the gradient of its rows
// (models/table_rows.h) and steps as if it were whole.
std::unique_ptr<train::Optimizer> make_adam(const Options& options, const SequenceNet& net);

// Some users' input and what its states are compared with; the loss's backward leaves the gradient
// of the table's rows in `rows`, to be handed over.
struct TrainingBatch {
  PackedItems inputs;
  std::vector<std::int64_t> candidates;  // [N, 1 + K]: the target, then the negatives
};
torch::Tensor training_loss(Net& net, const TrainingBatch& batch, TableRows& rows, Rng& rng);

// Mean over positions of −log σ(target) − log(1 − σ(mean of the negatives)).
// states [N, D], items [J, D], candidates [N, 1 + K]: the target, then the negatives.
torch::Tensor pair_loss(const torch::Tensor& states, const torch::Tensor& items,
                        const torch::Tensor& candidates);

}  // namespace kindling::sasrec
