// The best of a grid of option values.
//
//   const auto grid = all_combinations({{"rate", {"0.1", "0.03"}}, {"dim", {"8", "16"}}});
//   const GridResult best = search_grid(grid, [&](const OptionValues& values) { return recall; });
//
// Ties go to the earlier combination. Errors: Error{kBadOption} for an empty grid, whatever the
// measure throws.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kindling/models/few_shot.h"

namespace kindling {

struct GridAxis {
  std::string option;
  std::vector<std::string> values;
};

// Every combination, the last axis fastest.
std::vector<OptionValues> all_combinations(std::span<const GridAxis> axes);

struct GridPoint {
  OptionValues values;
  double measure = 0.0;
};

struct GridResult {
  std::vector<GridPoint> points;
  std::size_t best = 0;

  const GridPoint& winner() const { return points[best]; }
  Json to_json() const;  // {"best": {…}, "measure": …, "points": […]}
};

GridResult search_grid(const std::vector<OptionValues>& grid,
                       const std::function<double(const OptionValues&)>& measure);

// What few-shot baselines measure (specs/baselines.md B): mean Recall@20 over at most `limit`
// meta-training scenarios (0: all), each split into support and evaluation by S5 with the same
// seed for all grid points. `adapt` gives the recommender of one of them.
using AdaptFunction = std::function<std::unique_ptr<ScenarioScorer>(
    const Scenario& scenario, const OptionValues& values, const Rng& rng)>;
GridResult search_on_meta_train(const ScenarioSet& set, const std::vector<OptionValues>& grid,
                                std::size_t limit, std::uint64_t seed, const AdaptFunction& adapt);

}  // namespace kindling
