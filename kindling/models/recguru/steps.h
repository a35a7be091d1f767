// The gradient steps of RecGURU's three phases (specs/recguru.md, section 5): what is encoded, what
// the losses are. When to step, stop and save is training.h's.
//
//   Steps steps(options, variant, net, tables, source, target, root);
//   const PretrainLoss loss = steps.pretrain(n, *adam);     // gradients are ready
//   adam->step();
//
// Every step's batches and dropout follow from the seed, the phase and the step's number alone.
#pragma once

#include <memory>
#include <vector>

#include "kindling/data/domains.h"
#include "kindling/models/recguru/batch.h"
#include "kindling/models/recguru/critic.h"
#include "kindling/models/recguru/net.h"
#include "kindling/train/optimizers.h"

namespace kindling::recguru {

// The item tables [V + 2, D] of both domains; the source's is undefined with one domain.
struct Tables {
  torch::Tensor of[2];
};
inline constexpr const char* kTableNames[2] = {"items_a", "items_b"};

struct PretrainLoss {
  double reconstruction[2] = {0.0, 0.0};
};

struct CriticLoss {
  double loss = 0.0;
  double wasserstein = 0.0;
};

struct GeneratorLoss {
  double reconstruction[2] = {0.0, 0.0};
  double adversarial = 0.0;
  double overlap = 0.0;
};

struct FinetuneLoss {
  double recommendation = 0.0;
  double reconstruction = 0.0;
};

class Steps {
 public:
  // `source` is null with one domain; `leaked` as in DomainData. All that is passed must outlive
  // this.
  Steps(const Options& options, Variant variant, Net& net, Tables& tables, const Dataset* source,
        const Dataset& target, const TestItems& leaked, const Rng& root);

  PretrainLoss pretrain(std::int64_t step, train::Optimizer& optimizer);
  CriticLoss critic_step(std::int64_t step, std::int64_t k);
  GeneratorLoss generator_step(std::int64_t step, train::Optimizer& optimizer);
  // `popular`: negatives by popularity [R11].
  FinetuneLoss finetune(std::int64_t step, bool popular, train::Optimizer& optimizer);

  Critic& critic() { return *critic_; }
  std::size_t shared_users() const { return shared_.size(); }
  // Users of an overlap batch: ⌊batch · shared / (|U_A| + |U_B|)⌋ + 1, at least 10 [C].
  std::size_t overlap_batch() const;
  // Of at most 1,000 users of each domain and 1,000 shared ones, without dropout; two domains.
  Alikeness alikeness();

 private:
  struct Side {
    Side(const Dataset& data, std::span<const std::vector<ItemId>> leaked, std::size_t batch_size,
         const Rng& rng);
    DomainData data;
    UserBatches batches;
    TableRows rows;  // of the table, that this step reads
  };

  std::vector<UserId> pick(int domain, std::uint64_t number);
  TableRows* rows_of(int domain) { return &sides_[domain]->rows; }
  void take_rows(int domain) { sides_[domain]->rows.take(tables_.of[domain]); }
  const torch::Tensor& leaf_of(int domain) const { return sides_[domain]->rows.leaf(); }
  void hand_over(int domain, train::Optimizer& optimizer) {
    sides_[domain]->rows.hand_over(kTableNames[domain], optimizer);
  }
  torch::Tensor reconstruction(int domain, const DomainBatch& batch, const torch::Tensor& h,
                               Rng& rng);
  torch::Tensor overlap_loss(const PackedRows& a, const PackedRows& b, Rng& rng);

  const Options& options_;
  Variant variant_;
  Net& net_;
  Tables& tables_;
  Rng root_;
  std::unique_ptr<Side> sides_[2];
  std::vector<SharedUser> shared_;
  std::unique_ptr<UserBatches> shared_batches_;
  std::shared_ptr<Critic> critic_;
};

// Phase 1's step size for step 0, 1, …: d^-0.5 min(n^-0.5, n w^-1.5) with n = step + 1, times
// pretrain_rate. Source: Vaswani et al. 2017.
double noam_rate(const Options& options, std::int64_t step);

// scores [N, 1 + K], the target first [R5].
torch::Tensor recommendation_loss(const torch::Tensor& scores, const std::string& form);

}  // namespace kindling::recguru
