// A scenario's adapted recommender, and how it is made from a fitted learner.
//
//   auto scorer = adapt_scenario(learner, omega, controllers, vectors, scenario, rng, &record);
//   Matrix scores = scorer->score(users, scenario.candidates);
//
// Errors: Error{kBadInput} for a scenario without two candidates that have vectors, without a
// support pair whose user and item have one, or with ids or vectors that are none.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kindling/models/few_shot.h"
#include "kindling/models/s2meta/inner_loop.h"

namespace kindling::s2meta {

// f(·, ·; θ) on the frozen vectors.
class NetScorer : public ScenarioScorer {
 public:
  NetScorer(const ScenarioNet& net, const FrozenVectors& vectors, std::vector<float> theta);
  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override;
  ModelState state() const override;

 private:
  const ScenarioNet* net_;
  const FrozenVectors* vectors_;
  std::vector<float> theta_;
};

// The pairs whose user and item have vectors, and such candidates.
bool has_vector(const Matrix& vectors, std::size_t row);
std::vector<UserItem> pairs_with_vectors(const FrozenVectors& vectors,
                                         std::span<const UserItem> pairs, const std::string& name);
std::vector<ItemId> items_with_vectors(const FrozenVectors& vectors, std::span<const ItemId> items,
                                       const std::string& name);

std::unique_ptr<ScenarioScorer> adapt_scenario(const Learner& learner, std::span<const float> omega,
                                               const Controllers& controllers,
                                               const FrozenVectors& vectors,
                                               const Scenario& scenario, const Rng& rng,
                                               AdaptRecord* record);

}  // namespace kindling::s2meta
