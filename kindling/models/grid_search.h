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

// `enough`, when given, is asked after each combination: true ends the search with a warning.
GridResult search_grid(const std::vector<OptionValues>& grid,
                       const std::function<double(const OptionValues&)>& measure,
                       const std::function<bool()>& enough = {});

// What few-shot baselines measure (specs/baselines.md B): mean Recall@20 over at most `limit`
// meta-training scenarios (0: all), each split into support and evaluation by S5 with the same
// seed for all grid points. `adapt` gives the recommender of one of them. The search ends when
// context.max_seconds have gone by, with the best so far; Error{kIo} when context.should_stop.
using AdaptFunction = std::function<std::unique_ptr<ScenarioScorer>(
    const Scenario& scenario, const OptionValues& values, const Rng& rng)>;
GridResult search_on_meta_train(const ScenarioSet& set, const std::vector<OptionValues>& grid,
                                std::size_t limit, const FitContext& context,
                                const AdaptFunction& adapt);

// A few-shot model that learns nothing from the meta-training scenarios but its options: what is
// chosen is set, saved and loaded here, and `learn()` does the rest. Options has `grid` (choose at
// all?) and `grid_scenarios` (at most so many; 0: all).
template <class Options>
class GridSearched : public FewShotModel {
 public:
  GridSearched(const Options& options, std::span<const GridAxis> axes)
      : options_(options), axes_(axes) {}

  void fit(const FewShotTask& task, FitContext& context) override {
    if (!options_.grid) return;
    const GridResult result = search_on_meta_train(
        *task.scenarios, all_combinations(axes_), static_cast<std::size_t>(options_.grid_scenarios),
        context, [&](const Scenario& scenario, const OptionValues& values, const Rng& rng) {
          Options tried = options_;
          for (const auto& [name, value] : values) set_option(tried, name, value);
          require_support(scenario);
          return learn(task, scenario, tried, rng, nullptr);
        });
    for (const auto& [name, value] : result.winner().values) set_option(options_, name, value);
    const Json chosen = options_to_json(options_);
    for (const GridAxis& axis : axes_) details_[axis.option] = chosen.at(axis.option);
    details_["grid"] = result.to_json();
  }

  std::unique_ptr<ScenarioScorer> adapt(const FewShotTask& task, const Scenario& scenario,
                                        const Rng& rng, AdaptRecord* record) const override {
    require_support(scenario);
    return learn(task, scenario, options_, rng, record);
  }

  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json& details) override {
    details_ = details;
    for (const GridAxis& axis : axes_) {
      if (!details.contains(axis.option)) continue;
      set_option(options_, axis.option, options_detail::text_of(details.at(axis.option)));
    }
  }
  Json details() const override { return details_; }

 protected:
  // The scenario has support. `record` may be null.
  virtual std::unique_ptr<ScenarioScorer> learn(const FewShotTask& task, const Scenario& scenario,
                                                const Options& options, const Rng& rng,
                                                AdaptRecord* record) const = 0;

 private:
  Options options_;
  std::span<const GridAxis> axes_;
  Json details_ = Json::object();
};

}  // namespace kindling
