#include "kindling/models/grid_search.h"

#include <algorithm>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/base/parallel.h"
#include "kindling/models/few_shot_ranking.h"

namespace kindling {

namespace {

Json values_to_json(const OptionValues& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) object[name] = value;
  return object;
}

}  // namespace

std::vector<OptionValues> all_combinations(std::span<const GridAxis> axes) {
  std::vector<OptionValues> all = {{}};
  for (const GridAxis& axis : axes) {
    std::vector<OptionValues> longer;
    for (const OptionValues& before : all) {
      for (const std::string& value : axis.values) {
        longer.push_back(before);
        longer.back().emplace_back(axis.option, value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

GridResult search_grid(const std::vector<OptionValues>& grid,
                       const std::function<double(const OptionValues&)>& measure,
                       const std::function<bool()>& enough) {
  if (grid.empty()) throw Error(Kind::kBadOption, "the grid has no combination to try");
  GridResult result;
  Progress progress("grid search", grid.size());
  for (const OptionValues& values : grid) {
    result.points.push_back({values, measure(values)});
    if (result.points.back().measure > result.winner().measure) {
      result.best = result.points.size() - 1;
    }
    progress.step(1, fmt::format("best {:.4f}", result.winner().measure));
    if (!enough || result.points.size() == grid.size() || !enough()) continue;
    log_warning("the time is up after {} of {} combinations: the best of these is taken",
                result.points.size(), grid.size());
    break;
  }
  return result;
}

Json GridResult::to_json() const {
  Json all = Json::array();
  for (const GridPoint& point : points) {
    Json line = values_to_json(point.values);
    line["recall@20"] = point.measure;
    all.push_back(std::move(line));
  }
  return {{"best", values_to_json(winner().values)},
          {"recall@20", winner().measure},
          {"points", std::move(all)}};
}

GridResult search_on_meta_train(const ScenarioSet& set, const std::vector<OptionValues>& grid,
                                std::size_t limit, const FitContext& context,
                                const AdaptFunction& adapt) {
  const Rng rng = Rng(context.seed).fork("grid search");
  Rng draw = rng.fork("order");
  const auto order = permutation(set.meta_train.size(), draw);
  std::size_t count = order.size();
  if (limit > 0) count = std::min(limit, count);
  std::vector<Scenario> tasks;
  for (std::size_t n = 0; n < count; ++n) {
    const Scenario& scenario = set.meta_train[order[n]];
    tasks.push_back(split_scenario(scenario, {}, rng.fork(scenario.name)));
  }
  const auto measure = [&](const OptionValues& values) {
    std::vector<double> recalls(tasks.size());
    parallel_for(tasks.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n) {
        if (context.should_stop && context.should_stop()) throw Error(Kind::kIo, "interrupted");
        const auto scorer = adapt(tasks[n], values, rng.fork("adapt").fork(tasks[n].name));
        recalls[n] = mean_recall(rank_scenario(*scorer, tasks[n]), 20, Ties::kExpectedRank);
      }
    });
    double sum = 0.0;
    for (const double recall : recalls) sum += recall;
    return recalls.empty() ? 0.0 : sum / static_cast<double>(recalls.size());
  };
  return search_grid(grid, measure, [&] { return context.out_of_time(); });
}

}  // namespace kindling
