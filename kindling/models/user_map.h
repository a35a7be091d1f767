// From one domain's user vector to the other's: what MFEM, CnGAN and DOML start with and share.
//
//   Pretrained start = pretrain(task, options, context, "mfem", validate, factors);
//   MapNet map(64, rng);               // target vector -> source vector
//   MergeNet merge(64, rng);           // [target vector ; source vector] -> user vector
//
// Includes LibTorch: for models/ only. Source: specs/baselines.md C (MFEM, CnGAN, DOML).
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kindling/data/domains.h"
#include "kindling/models/factors.h"
#include "kindling/nn/torch.h"
#include "kindling/train/optimizers.h"

namespace kindling {

// BPR vectors of both domains, the target's users and items first.
struct Pretrained {
  Factors target;
  Factors source;
  BprData target_data;
  BprData source_data;
  std::vector<SharedUser> shared;   // first: target, second: source
  std::vector<std::int64_t> alone;  // users of the target only who have interactions
};

// The users of both domains, by outside id. Errors: Error{kUnsupported} that names `model` when
// there are none.
std::vector<SharedUser> require_shared_users(const Dataset& target, const Dataset& source,
                                             const std::string& model);

// BPRMF in each domain. The source has no validation events here: it is trained for as many passes
// as the target's best state took. `validate` is given the target's factors. With a checkpoint
// folder the vectors of a finished domain are saved there, and a resumed run goes on behind them:
// what follows takes less time than they do. Errors: Error{kUnsupported} without common users;
// Error{kBadOption} when the checkpoint is another run's or the time is over, Error{kCorrupt} when
// it is damaged.
Pretrained pretrain(const Dataset& target, const Dataset& source, const FactorOptions& options,
                    const std::string& model, FitContext& context,
                    const std::function<double(const Factors&)>& validate);

// linear d -> 2d, GELU (tanh), linear 2d -> d, LayerNorm (eps 1e-8).
class MapNet : public torch::nn::Module {
 public:
  MapNet(std::int64_t dim, Rng& rng);
  torch::Tensor forward(const torch::Tensor& users) const;

 private:
  std::int64_t dim_;
  torch::Tensor w1_, b1_, w2_, b2_, gain_, shift_;
};

// linear 2d -> 2d, GELU (tanh), linear 2d -> d on [target ; source].
class MergeNet : public torch::nn::Module {
 public:
  MergeNet(std::int64_t dim, Rng& rng);
  torch::Tensor forward(const torch::Tensor& target, const torch::Tensor& source) const;

 private:
  torch::Tensor w1_, b1_, w2_, b2_;
};

// Every user of the target as the merge net sees them: with the true source vector where there is
// one, with the mapped one otherwise. [users, d]
torch::Tensor merged_users(const MapNet& map, const MergeNet& merge, const torch::Tensor& target,
                           const torch::Tensor& source, const std::vector<SharedUser>& shared);

// The interactions of some users, to draw batches of triples from.
class TripleSource {
 public:
  TripleSource(const BprData& data, std::vector<std::int64_t> users);

  struct Batch {
    torch::Tensor users, items, negatives;  // [n] int64
    std::vector<std::int64_t> user_list;    // the same users
  };
  // n interactions with a negative each, drawn with replacement.
  Batch draw(std::int64_t count, Rng& rng) const;
  bool empty() const { return positives_.empty(); }
  std::int64_t size() const { return static_cast<std::int64_t>(positives_.size()); }

 private:
  const BprData& data_;
  std::vector<BprData::Positive> positives_;
};

// Errors: Error{kIo} when asked to stop.
void stop_if_asked(const FitContext& context, const std::string& model);

// Whether a later stage takes step `step` (from 1): false when the time is over, which is logged;
// the first is always taken. Errors: Error{kIo} when asked to stop.
bool goes_on(const FitContext& context, const std::string& model, std::int64_t step);

// The parameters of a net at the lowest error that was offered.
class BestParameters {
 public:
  void offer(double error, const torch::nn::Module& net);
  // Does nothing when none was offered.
  void restore(torch::nn::Module& net) const;
  bool empty() const { return kept_.empty(); }
  double error() const { return error_; }

 private:
  double error_ = std::numeric_limits<double>::infinity();
  std::vector<torch::Tensor> kept_;
};

// Of a batch of users of the target alone: how many shared users are learnt beside it, their share
// of all users, at least 1. Source: specs/baselines.md C (MFEM).
std::int64_t shared_batch(std::int64_t batch, std::size_t shared, std::size_t users);

// Σ −log σ(u·q_i − u·q_j) of user vectors [n, d] and rows of the items.
torch::Tensor bpr_sum(const torch::Tensor& users, const torch::Tensor& items,
                      const TripleSource::Batch& batch);

std::vector<train::Parameter> parameters_of(const std::string& prefix,
                                            const torch::nn::Module& module);

}  // namespace kindling
