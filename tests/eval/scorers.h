// Small models for the evaluator's standing tests, and small datasets to ask them about.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/models/recommender.h"

namespace kindling::testing {

// Scores by a function of (history, item).
class FunctionScorer : public Recommender {
 public:
  using Function = std::function<float(std::span<const Event>, ItemId)>;
  explicit FunctionScorer(Function function) : function_(std::move(function)) {}

  void fit(const TrainTask&, FitContext&) override {}
  Matrix score(const Domain&, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    Matrix scores(queries.size(), candidates.size());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        scores(q, c) = function_(queries[q].history, candidates[c]);
      }
    }
    return scores;
  }
  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json&) override {}

 private:
  Function function_;
};

// Users u0, u1, … with the given item numbers, oldest first; item j is called "i<j>". Times run
// upwards through all users in turn when `times` is true.
inline Dataset make_dataset(std::size_t items, const std::vector<std::vector<ItemId>>& histories,
                            bool times = false) {
  DatasetBuilder builder(times);
  for (std::size_t j = 0; j < items; ++j) {
    builder.set_item(builder.item("i" + std::to_string(j)), {.title = "Item " + std::to_string(j),
                                                             .text = "item " + std::to_string(j),
                                                             .categories = {},
                                                             .brand = {}});
  }
  for (std::size_t u = 0; u < histories.size(); ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (std::size_t at = 0; at < histories[u].size(); ++at) {
      const auto time = static_cast<std::int64_t>(at * histories.size() + u);
      builder.add(user, histories[u][at], time);
    }
  }
  return std::move(builder).build("shop");
}

// Users with 1 to 12 random items.
inline Dataset random_dataset(std::size_t users, std::size_t items, std::uint64_t seed,
                              bool times = false) {
  Rng rng(seed);
  std::vector<std::vector<ItemId>> histories(users);
  for (auto& history : histories) {
    history.resize(1 + rng.below(12));
    for (ItemId& item : history) item = static_cast<ItemId>(rng.below(items));
  }
  return make_dataset(items, histories, times);
}

}  // namespace kindling::testing
