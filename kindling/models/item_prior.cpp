#include "kindling/models/item_prior.h"

#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling {

void ItemPrior::fit(const TrainTask& task, FitContext&) {
  scores_ = learn(*require_target(task, name_).data);
}

Matrix ItemPrior::score(const Domain& domain, std::span<const Query> queries,
                        std::span<const ItemId> candidates) const {
  require_items(domain, scores_.size(), name_);
  Matrix scores(queries.size(), candidates.size());
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    check(candidates[c] < scores_.size(), "a candidate is not an item of the domain");
    for (std::size_t q = 0; q < queries.size(); ++q) scores(q, c) = scores_[candidates[c]];
  }
  return scores;
}

ModelState ItemPrior::state() const {
  return {{"scores", {static_cast<std::int64_t>(scores_.size())}, scores_}};
}

void ItemPrior::load_state(const ModelState& state, const Json&) {
  if (state.size() != 1 || state.front().name != "scores" || state.front().shape.size() != 1) {
    throw Error(Kind::kCorrupt, fmt::format("a model {} holds one tensor, scores [items]", name_));
  }
  for (const float value : state.front().values) {
    if (!std::isfinite(value)) {
      throw Error(Kind::kCorrupt, fmt::format("tensor scores of model {} is not finite", name_));
    }
  }
  scores_ = state.front().values;
}

}  // namespace kindling
