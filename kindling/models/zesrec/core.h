// What the models of this network share: fitting, saving, and the vectors of a domain.
//
// ZESRec learns from a source (MAP, Monte-Carlo); the in-domain oracles of the paper are the same
// networks fitted on the target, with an item table or the texts (specs/baselines.md A).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "kindling/models/recommender.h"
#include "kindling/models/zesrec/net.h"
#include "kindling/models/zesrec/point_model.h"
#include "kindling/models/zesrec/training.h"

namespace kindling::zesrec {

class Core {
 public:
  Core(Options options, ModelRole role);
  void fit(const TrainTask& task, FitContext& context);
  ModelState state() const;
  void load_state(const ModelState& state, const Json& details);
  Json details() const;
  const Options& options() const { return options_; }
  Rng sample_stream() const { return Rng(seed_).fork("inference"); }
  // Scaled text vectors and the means v of a domain; kept until another domain is asked for.
  struct Prepared {
    std::uint64_t key = 0;
    torch::Tensor x;
    torch::Tensor means;
  };
  std::shared_ptr<const Prepared> prepare(const Domain& domain) const;
  // u for each query, [Q, D]; `values` are the item vectors that histories are read with.
  torch::Tensor users(const Domain& domain, std::span<const Query> queries,
                      const torch::Tensor& values, bool draw, const Rng& rng) const;
  Net& net() const;

 private:
  void build();
  void finish();
  // What the role learns from. Error{kUnsupported} when the task does not have it.
  const Domain& learnt_domain(const TrainTask& task) const;
  void train_once(const Domain& domain, const torch::Tensor& items, const torch::Device& device,
                  FitContext& context);
  // Every rate from the same start; a rate that diverges is out [Z23].
  void train_with_best_rate(const Domain& domain, const torch::Tensor& items,
                            const torch::Device& device, FitContext& context);
  // Null for a model with an item table, which knows its own domain only.
  const ItemVectors* domain_vectors(const Domain& domain) const;
  void check_width(const ItemVectors& vectors) const;
  static void check_items(const SequenceBatch& batch, std::int64_t items);
  // Only the hierarchical networks and dummy_per=session look at sessions, and finding the rule
  // reads all events.
  SessionRule rule_of(const Domain& domain) const;

  Options options_;
  ModelRole role_;
  std::uint64_t seed_ = 0;
  std::int64_t width_ = 0;  // of the text vectors; with an item table: items
  std::shared_ptr<Net> net_;
  TrainingFacts facts_;
  Json loaded_ = Json::object();
  mutable std::mutex guard_;
  mutable std::shared_ptr<const Prepared> prepared_;
};

}  // namespace kindling::zesrec
