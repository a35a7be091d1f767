// What sequence models with a table of items share: packed histories, the epochs, scoring and
// saving. SASRec and BERT4Rec say what their network is and what a batch costs.
//
//   class SasRec : public IdSequenceModel { … build(items, rng) … batch_loss(…) … };
//
// Positions are counted within a window of `length` slots whose last slot holds the newest event,
// as left padding does; nothing is padded. Includes LibTorch: for models/ only.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kindling/models/recommender.h"
#include "kindling/nn/torch.h"
#include "kindling/train/loop.h"

namespace kindling {

// Histories one behind the other: sequence b has steps [offsets[b], offsets[b + 1]).
struct PackedItems {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> items;
  std::vector<std::int64_t> slots;  // [N] in 0 … length - 1

  std::int64_t steps() const { return static_cast<std::int64_t>(items.size()); }
  // Appends the last `length` of `items`, the newest in slot length - 1.
  void add(std::span<const std::int64_t> sequence, std::int64_t length);
};

class SequenceNet : public torch::nn::Module {
 public:
  // States of all steps, [N, D]. No dropout in evaluation.
  virtual torch::Tensor states(const PackedItems& batch, Rng& rng) = 0;
  // What a user is compared with: [items, W]. `user` turns last states [B, D] into [B, W].
  virtual torch::Tensor output_items() const = 0;
  virtual torch::Tensor output_users(const torch::Tensor& states) const { return states; }
};

struct SequenceTraining {
  std::int64_t epochs = 200;
  std::int64_t batch_size = 128;
  std::int64_t validate_every = 1;
  std::int64_t patience = 20;  // in validations; 0: never stops
  double clip = 0.0;
};

class IdSequenceModel : public VectorRecommender {
 public:
  explicit IdSequenceModel(std::string name) : name_(std::move(name)) {}

  void fit(const TrainTask& task, FitContext& context) override;
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override;
  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override;
  Matrix item_vectors(const Domain& domain) const override;
  ModelState state() const override;
  void load_state(const ModelState& state, const Json& details) override;
  Json details() const override;

 protected:
  virtual std::shared_ptr<SequenceNet> build(std::int64_t items, const Rng& rng) const = 0;
  virtual SequenceTraining training() const = 0;
  virtual std::unique_ptr<train::Optimizer> optimizer(SequenceNet& net) const = 0;
  // Options and whatever else a resumed run must share with the one that wrote the checkpoint.
  virtual Json identity() const = 0;
  // The input whose last state answers a query.
  virtual void add_query(std::span<const std::int64_t> history, PackedItems& batch) const = 0;
  // Users that training can use.
  virtual bool learns_from(std::span<const std::int64_t> history) const = 0;
  // The mean loss of some users' histories, and over how many targets; `step` counts from 0.
  struct Loss {
    torch::Tensor mean;
    std::int64_t targets = 0;
  };
  virtual Loss batch_loss(SequenceNet& net, std::span<const UserId> users, std::int64_t step,
                          train::Optimizer& optimizer, const Rng& rng) = 0;

  // After the loss's backward, before the step.
  virtual void after_backward(train::Optimizer&) {}

  std::span<const std::int64_t> items_of(UserId user) const {
    return {flat_.data() + begin_[user], begin_[user + 1] - begin_[user]};
  }
  // A uniform item that the user has not taken in training.
  std::int64_t negative_for(UserId user, Rng& rng) const;
  std::int64_t item_count() const { return items_; }

 private:
  class Lesson;
  void read(const Dataset& train);
  void check_domain(const Domain& domain) const;
  SequenceNet& net() const;

  std::string name_;
  std::int64_t items_ = 0;
  std::shared_ptr<SequenceNet> net_;
  // Training histories; empty after fit().
  std::vector<std::int64_t> flat_;
  std::vector<std::size_t> begin_;
  std::vector<std::vector<std::int64_t>> taken_;  // ascending
};

// N(0, sd²) without what lies beyond two standard deviations.
torch::Tensor truncated_normal_tensor(torch::IntArrayRef shape, double sd, Rng& rng);
torch::Tensor normal_tensor(torch::IntArrayRef shape, double sd, Rng& rng);

}  // namespace kindling
