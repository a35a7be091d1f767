// What is computed from the finished cells of an experiment: paired comparisons, and choices made
// without the target.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/eval/compare.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/report_metrics.h"

namespace kindling {

namespace {

// Rows of one table: a pair and an encoder. Rows that read no vectors belong to every encoder.
std::vector<const ResultRow*> table_rows(const FinishedCells& cells, const PlanPair& pair,
                                         const PlanEncoder* encoder) {
  std::vector<const ResultRow*> rows;
  for (const ResultRow& row : cells.rows()) {
    const PlannedCell& cell = *row.first;
    const bool fits = cell.encoder == nullptr || cell.encoder == encoder;
    if (cell.pair == &pair && !cell.step && fits && !row.seeds.empty()) rows.push_back(&row);
  }
  return rows;
}

void compare_table(const FinishedCells& cells, const std::vector<const ResultRow*>& rows,
                   const std::string& encoder, const std::string& metric, Json& all) {
  const ResultRow* best = nullptr;
  for (const ResultRow* row : rows) {
    if (cells.values(*row, metric).empty()) continue;
    if (best == nullptr || is_better(metric, mean_sd(cells.values(*row, metric)).mean,
                                     mean_sd(cells.values(*best, metric)).mean)) {
      best = row;
    }
  }
  if (best == nullptr) return;
  const RowQueries top = query_values(cells, *best, metric);
  if (top.seeds.empty()) return;
  for (const ResultRow* row : rows) {
    if (row == best) continue;
    const RowQueries other = query_values(cells, *row, metric);
    if (!top.pairs_with(other)) continue;
    const Comparison result =
        compare_seeds(top.seeds, other.seeds, top.units, Rng(1), kResamples, top.mean_over);
    Json json = {{"data", best->first->pair->name},
                 {"encoder", encoder},
                 {"metric", metric},
                 {"best", best->first->model->label},
                 {"model", row->first->model->label},
                 {"drawn", top.units_title()}};
    json.update(result.to_json());
    all.push_back(json);
  }
}

struct Candidate {
  const PlanModel* model = nullptr;
  double loss = 0.0;      // on the source's validation users
  double held_out = 0.0;  // on the held-out source domains
  MeanSd target;
};

std::optional<Candidate> read_candidate(const FinishedCells& cells, const PlanModel& model,
                                        const std::string& encoder, const std::string& target,
                                        const std::vector<std::string>& held_out,
                                        const std::string& metric) {
  const ResultRow* row = cells.find(target, encoder, model.label, std::nullopt);
  if (row == nullptr) return std::nullopt;
  Candidate candidate;
  candidate.model = &model;
  candidate.target = mean_sd(cells.values(*row, metric));
  std::vector<double> losses;
  for (const PlannedCell* seed : row->seeds) {
    const Json& more = cells.cell(*seed)["more"];
    const Json loss = more.value("validation", Json::object()).value("loss", Json());
    if (loss.is_number()) losses.push_back(loss.get<double>());
  }
  if (losses.empty()) return std::nullopt;
  candidate.loss = mean_sd(losses).mean;
  std::vector<double> others;
  for (const std::string& pair : held_out) {
    const ResultRow* other = cells.find(pair, encoder, model.label, std::nullopt);
    if (other == nullptr) return std::nullopt;
    others.push_back(mean_sd(cells.values(*other, metric)).mean);
  }
  candidate.held_out = mean_sd(others).mean;
  return candidate;
}

void add_choice(Json& table, const PlanPair& pair, const PlanEncoder& encoder, const char* by,
                const Candidate& chosen, const Candidate& best, const std::string& metric) {
  const auto shown = [](const Candidate& one) {
    return fmt::format("{:.4f} ± {:.4f}", one.target.mean, one.target.sd);
  };
  table["rows"].push_back({pair.title, encoder.title, by, chosen.model->title, shown(chosen),
                           fmt::format("{} ({:.4f})", best.model->title, best.target.mean)});
  table["values"].push_back({{"data", pair.name},
                             {"encoder", encoder.name},
                             {"by", by},
                             {"model", chosen.model->label},
                             {"metric", metric},
                             {"mean", chosen.target.mean},
                             {"sd", chosen.target.sd},
                             {"best", best.model->label},
                             {"best_mean", best.target.mean}});
}

// Which row is chosen by the source's validation users, and by a held-out source domain; the target
// says only afterwards what the choice was worth.
Json selection(const ExperimentPlan& plan, const FinishedCells& cells, const Json& settings) {
  const auto metric = json_get_or<std::string>(settings, "metric", "ndcg@20", "selection");
  Json table = {
      {"kind", "selection"},
      {"title", fmt::format("Options chosen without the target, by {}", metric)},
      {"columns", {"target", "encoder", "chosen by", "chosen", metric, "best in hindsight"}},
      {"rows", Json::array()},
      {"values", Json::array()}};
  const Json choices = json_get_or<Json>(settings, "held_out", Json::object(), "selection");
  for (const PlanPair& pair : plan.pairs) {
    if (!choices.contains(pair.name)) continue;
    const auto held_out = choices[pair.name].get<std::vector<std::string>>();
    for (const PlanEncoder& encoder : plan.encoders) {
      std::vector<Candidate> all;
      for (const PlanModel& model : plan.models) {
        if (model.role != PlanRole::kOurs) continue;
        const auto one = read_candidate(cells, model, encoder.name, pair.name, held_out, metric);
        if (one) all.push_back(*one);
      }
      if (all.size() < 2) continue;
      const auto largest = [&](auto value) {
        return *std::max_element(all.begin(), all.end(),
                                 [&](const auto& a, const auto& b) { return value(a) < value(b); });
      };
      const double sign = metric_direction(metric) == MetricDirection::kSmaller ? -1.0 : 1.0;
      const Candidate best = largest([&](const Candidate& one) { return sign * one.target.mean; });
      add_choice(table, pair, encoder, "source's validation users",
                 largest([](const Candidate& one) { return -one.loss; }), best, metric);
      add_choice(table, pair, encoder, "held-out source domain",
                 largest([&](const Candidate& one) { return sign * one.held_out; }), best, metric);
    }
  }
  return table;
}

}  // namespace

Json compare_rows(const ExperimentPlan& plan, const FinishedCells& cells) {
  Json all = Json::array();
  for (const PlanPair& pair : plan.pairs) {
    std::vector<const PlanEncoder*> encoders;
    for (const PlanEncoder& encoder : plan.encoders) encoders.push_back(&encoder);
    if (encoders.empty()) encoders.push_back(nullptr);
    for (const PlanEncoder* encoder : encoders) {
      const auto rows = table_rows(cells, pair, encoder);
      for (const std::string& metric : plan.metrics) {
        compare_table(cells, rows, encoder != nullptr ? encoder->name : "", metric, all);
      }
    }
  }
  return all;
}

Json run_analyses(const ExperimentPlan& plan, const FinishedCells& cells) {
  Json all = Json::array();
  for (const PlanAnalysis& analysis : plan.analyses) {
    if (analysis.kind == "against") {
      all.push_back(compare_ours(plan, cells, analysis.settings));
      continue;
    }
    all.push_back(analysis.kind == "overtake" ? overtake(plan, cells, analysis.settings)
                                              : selection(plan, cells, analysis.settings));
  }
  return all;
}

}  // namespace kindling
