// Users and items as vectors, learnt by Bayesian personalised ranking: what BPRMF is, and what CMF,
// MFEM, CnGAN and DOML start from.
//
//   BprData data = bpr_data(sports_train);
//   Factors factors = train_factors(data, options, context, "bprmf", validate);
//
// Source: Rendle et al., BPR, 2009; specs/baselines.md C. Threads: none but the evaluator's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/data/ragged.h"
#include "kindling/kernels/bpr.h"
#include "kindling/models/recommender.h"

namespace kindling {

struct FactorOptions {
  std::int64_t dim = 64;
  std::string optimizer = "adam";
  double learning_rate = 0.006;
  double beta1 = 0.9;
  double beta2 = 0.98;
  double eps = 1e-9;
  double weight_decay = 0.0;
  std::int64_t batch_size = 2048;
  std::int64_t negatives = 1;
  std::int64_t epochs = 300;
  double init_sd = 0.01;
  std::int64_t patience = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, kPositive, "width of user and item vectors");
    field("optimizer", optimizer, one_of({"adam", "sgd"}),
          "adam as RecGURU's scripts have it, sgd as the cited implementation [B9]");
    field("learning_rate", learning_rate, kPositive, "step size (sgd: 0.01) [B9]");
    field("beta1", beta1, kRate, "Adam's first decay [B9]");
    field("beta2", beta2, kRate, "Adam's second decay [B9]");
    field("eps", eps, kPositive, "Adam's epsilon [B9]");
    field("weight_decay", weight_decay, kNotNegative,
          "shrinks every row at every step; sgd only (0.001 in the cited implementation) [B9]");
    field("batch_size", batch_size, kPositive, "triples in a step (sgd: 4096) [B9]");
    field("negatives", negatives, kPositive,
          "per positive, uniform among items that the user has not taken, drawn anew every epoch "
          "[B9]");
    field("epochs", epochs, kPositive, "passes over the interactions [B9]");
    field("init_sd", init_sd, kPositive, "standard deviation of the first vectors [B9]");
    field("patience", patience, kNotNegative,
          "validations without a better HR@10 before training ends; 0: never [R14]");
  }
};

// Interactions of one or more domains over one table of users and one of items.
struct BprData {
  struct Positive {
    std::uint32_t user = 0;
    std::uint32_t item = 0;
    std::uint32_t domain = 0;
  };
  std::size_t users = 0;
  std::size_t items = 0;
  std::vector<Positive> positives;        // by user
  Ragged<std::uint32_t> taken;            // [users] items of each, ascending: never negatives
  std::vector<std::uint32_t> item_begin;  // [domains + 1] items of domain d: [d, d + 1)
};
BprData bpr_data(const Dataset& train);

struct Factors {
  Matrix users;  // [users, dim]
  Matrix items;  // [items, dim]
};

// Draws the triples of one epoch: each positive, in random order, with `negatives` items of its own
// domain that the user has not taken. A user who has taken a whole domain is left out.
std::vector<kernels::BprTriple> draw_triples(const BprData& data, std::int64_t negatives, Rng& rng);

// Vectors drawn from N(0, init_sd²).
Factors start_factors(const BprData& data, const FactorOptions& options, const Rng& rng);

// Trains `factors` in place and keeps the state of the best validation: asked after each of the
// first 20 epochs and after every tenth later [B9]; without `validate`, after the last epoch.
// `name` is the model's, for messages and random streams. Fills context.history.
void train_factors(const BprData& data, const FactorOptions& options, const std::string& name,
                   FitContext& context, const std::function<double()>& validate, Factors& factors);

// p · q of the target's users and items. Somebody unknown gets the mean of the vectors of the
// history's items, or of all users without one.
class FactorModel : public VectorRecommender {
 public:
  explicit FactorModel(std::string name) : name_(std::move(name)) {}

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override;
  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override;
  Matrix item_vectors(const Domain& domain) const override;
  ModelState state() const override;
  void load_state(const ModelState& state, const Json& details) override;

 protected:
  // Error{kUnsupported} when the task has no target (or, `both`, no source), Error{kBadInput} when
  // a domain is empty.
  void require_domains(const TrainTask& task, bool both) const;
  const std::string& name() const { return name_; }
  Factors factors_;

 private:
  void require_events(const Dataset& data) const;
  void check_domain(const Domain& domain) const;
  std::string name_;
};

// Tensors of the given name from a saved state, as a matrix of finite values. Error{kCorrupt}.
Matrix matrix_of(const ModelState& state, const std::string& name, const std::string& model);
NamedTensor named_tensor(const std::string& name, const Matrix& values);

}  // namespace kindling
