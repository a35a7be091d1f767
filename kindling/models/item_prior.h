// A model that is one score per item, whatever the history: popularity, recency.
//
// Fitted on the target's training part, it belongs to that dataset: item ids are its columns.
#pragma once

#include <string>
#include <vector>

#include "kindling/models/recommender.h"

namespace kindling {

class ItemPrior : public Recommender {
 public:
  explicit ItemPrior(std::string name) : name_(std::move(name)) {}

  void fit(const TrainTask& task, FitContext& context) override;
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override;
  ModelState state() const override;
  void load_state(const ModelState& state, const Json& details) override;

 protected:
  // The score of every item of `train`.
  virtual std::vector<float> learn(const Dataset& train) const = 0;

 private:
  std::string name_;
  std::vector<float> scores_;
};

}  // namespace kindling
