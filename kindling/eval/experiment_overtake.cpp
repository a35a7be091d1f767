// The analysis "overtake": the number of interactions at which an oracle overtakes a zero-shot
// model.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/eval/compare.h"
#include "kindling/eval/experiment_results.h"

namespace kindling {

namespace {

using Curve = std::vector<std::pair<double, double>>;  // interactions that were learnt, metric

// Where the straight line through the points first reaches `level`; nothing when it stays below.
std::optional<double> crossing(const Curve& curve, double level) {
  for (std::size_t n = 0; n < curve.size(); ++n) {
    if (curve[n].second < level) continue;
    if (n == 0) return curve[0].first;
    const auto [x0, y0] = curve[n - 1];
    const auto [x1, y1] = curve[n];
    return x0 + (x1 - x0) * (level - y0) / (y1 - y0);
  }
  return std::nullopt;
}

// A value for each finished seed of a row, by the number of the seed.
std::map<std::uint64_t, double> by_seed(const FinishedCells& cells, const ResultRow& row,
                                        const std::string& metric) {
  std::map<std::uint64_t, double> all;
  const std::vector<double> values = cells.values(row, metric);
  const std::vector<const PlannedCell*> seeds = cells.seeds(row, metric);
  for (std::size_t n = 0; n < seeds.size(); ++n) all[seeds[n]->seed] = values[n];
  return all;
}

// The curve of each seed, as far as it is finished.
std::map<std::uint64_t, Curve> seed_curves(const ExperimentPlan& plan, const FinishedCells& cells,
                                           const PlanPair& pair, const std::string& encoder,
                                           const std::string& label, const std::string& metric) {
  std::map<std::uint64_t, Curve> curves;
  for (std::size_t step = 0; step < plan.sweep.values.size(); ++step) {
    const ResultRow* row = cells.find(pair.name, encoder, label, step);
    if (row == nullptr) continue;
    for (const PlannedCell* seed : cells.seeds(*row, metric)) {
      const Json& cell = cells.cell(*seed);
      curves[seed->seed].emplace_back(cell["more"].value("interactions", plan.sweep.values[step]),
                                      cell["metrics"][metric].get<double>());
    }
  }
  return curves;
}

// What the seeds say about one oracle and one line.
struct Overtaking {
  struct Seed {
    std::uint64_t number = 0;
    std::optional<double> interactions;  // nothing: all that were tried are not enough
    bool at_once = false;                // the smallest set is enough: at most so many
  };
  std::vector<Seed> seeds;
  double most = 0.0;  // interactions that were tried

  std::vector<double> numbers() const {
    std::vector<double> all;
    for (const Seed& seed : seeds) {
      if (seed.interactions) all.push_back(*seed.interactions);
    }
    return all;
  }
  std::size_t never() const { return seeds.size() - numbers().size(); }
  std::size_t at_once() const {
    return static_cast<std::size_t>(
        std::count_if(seeds.begin(), seeds.end(), [](const Seed& seed) { return seed.at_once; }));
  }

  // A mean only of numbers that are all known; else what each seed says.
  std::string text() const {
    if (never() == seeds.size()) return fmt::format("more than {:.0f}", most);
    const MeanSd summary = mean_sd(numbers());
    if (at_once() == seeds.size()) return fmt::format("at most {:.0f}", summary.mean);
    if (never() == 0 && at_once() == 0) {
      return seeds.size() > 1 ? fmt::format("{:.0f} ± {:.0f}", summary.mean, summary.sd)
                              : fmt::format("{:.0f}", summary.mean);
    }
    std::vector<std::string> words;
    for (const Seed& seed : seeds) {
      const char* sign = seed.at_once ? "≤ " : (seed.interactions ? "" : "> ");
      words.push_back(fmt::format("{}{:.0f}", sign, seed.interactions.value_or(most)));
    }
    return join(words, ", ");
  }
};

Overtaking overtaking(const std::map<std::uint64_t, Curve>& curves, std::size_t points,
                      const std::map<std::uint64_t, double>& levels, bool one_level) {
  Overtaking found;
  for (const auto& [seed, curve] : curves) {
    const auto level = one_level ? levels.begin() : levels.find(seed);
    if (curve.size() < points || level == levels.end()) continue;  // unfinished
    found.most = std::max(found.most, curve.back().first);
    const auto at = crossing(curve, level->second);
    found.seeds.push_back({seed, at, at && *at == curve.front().first});
  }
  return found;
}

Json overtake_entry(const ExperimentPlan& plan, const FinishedCells& cells, const PlanPair& pair,
                    const std::string& encoder, const PlanModel& oracle, const PlanModel& line,
                    const std::string& metric) {
  const ResultRow* level = cells.find(pair.name, encoder, line.label, std::nullopt);
  if (level == nullptr) return nullptr;
  const Overtaking found =
      overtaking(seed_curves(plan, cells, pair, encoder, oracle.label, metric),
                 plan.sweep.values.size(), by_seed(cells, *level, metric), !line.seeded);
  if (found.seeds.empty()) return nullptr;
  Json seeds = Json::array();
  for (const Overtaking::Seed& seed : found.seeds) {
    seeds.push_back(
        {{"seed", seed.number},
         {"interactions", seed.interactions ? Json(*seed.interactions) : Json(nullptr)}});
  }
  const bool known = found.never() == 0 && found.at_once() == 0;
  const MeanSd summary = mean_sd(found.numbers());
  return {{"data", pair.name},
          {"encoder", encoder},
          {"oracle", oracle.label},
          {"line", line.label},
          {"metric", metric},
          {"values", found.numbers()},
          {"by_seed", seeds},
          {"mean", known ? Json(summary.mean) : Json(nullptr)},
          {"sd", known ? Json(summary.sd) : Json(nullptr)},
          {"at_most", found.at_once()},
          {"never", found.never()},
          {"most_interactions", found.most},
          {"text", found.text()}};
}

std::vector<const PlanModel*> swept_oracles(const ExperimentPlan& plan) {
  std::vector<const PlanModel*> oracles;
  for (const PlanModel& model : plan.models) {
    if (model.swept) oracles.push_back(&model);
  }
  return oracles;
}

}  // namespace

// Every swept row (a column) against every level line of the plan (a line).
Json overtake(const ExperimentPlan& plan, const FinishedCells& cells, const Json& settings) {
  const auto metric = json_get_or<std::string>(settings, "metric", "ndcg@20", "overtake");
  const auto oracles = swept_oracles(plan);
  Json table = {
      {"kind", "overtake"},
      {"title", fmt::format("Interactions that an oracle needs to overtake, by {}", metric)},
      {"columns", {"data", "encoder", "overtaken"}},
      {"rows", Json::array()},
      {"values", Json::array()}};
  for (const PlanModel* oracle : oracles) table["columns"].push_back(oracle->title);
  for (const PlanPair& pair : plan.pairs) {
    for (const PlanEncoder& encoder : plan.encoders) {
      for (const PlanModel& line : plan.models) {
        if (line.swept || line.role == PlanRole::kOracle) continue;
        Json row = {pair.title, encoder.title, line.title};
        bool any = false;
        for (const PlanModel* oracle : oracles) {
          const Json entry = overtake_entry(plan, cells, pair, encoder.name, *oracle, line, metric);
          row.push_back(entry.is_null() ? Json("-") : entry["text"]);
          if (entry.is_null()) continue;
          any = true;
          table["values"].push_back(entry);
        }
        if (any) table["rows"].push_back(row);
      }
    }
  }
  return table;
}

}  // namespace kindling
