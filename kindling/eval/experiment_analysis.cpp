// What is computed from the finished cells of an experiment: paired comparisons, the number of
// interactions at which an oracle overtakes a zero-shot model, and choices made without the target.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/compare.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/metrics.h"

namespace kindling {

namespace {

constexpr std::size_t kResamples = 1000;

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
    if (best == nullptr ||
        mean_sd(cells.values(*row, metric)).mean > mean_sd(cells.values(*best, metric)).mean) {
      best = row;
    }
  }
  if (best == nullptr) return;
  std::string queries;
  const std::vector<double> top = query_values(cells, *best, metric, queries);
  if (top.empty()) return;
  for (const ResultRow* row : rows) {
    if (row == best) continue;
    std::string same = queries;
    const std::vector<double> values = query_values(cells, *row, metric, same);
    if (values.size() != top.size()) continue;
    const Comparison result = compare_paired(top, values, Rng(1), kResamples);
    Json json = {{"data", best->first->pair->name},
                 {"encoder", encoder},
                 {"metric", metric},
                 {"best", best->first->model->label},
                 {"model", row->first->model->label}};
    json.update(result.to_json());
    all.push_back(json);
  }
}

// Where the straight line through the points first reaches `level`; nothing when it stays below.
std::optional<double> crossing(const std::vector<std::pair<double, double>>& curve, double level) {
  for (std::size_t n = 0; n < curve.size(); ++n) {
    if (curve[n].second < level) continue;
    if (n == 0) return curve[0].first;
    const auto [x0, y0] = curve[n - 1];
    const auto [x1, y1] = curve[n];
    return x0 + (x1 - x0) * (level - y0) / (y1 - y0);
  }
  return std::nullopt;
}

// The learning-set curve of one seed: interactions that were learnt, metric.
std::vector<std::pair<double, double>> seed_curve(const ExperimentPlan& plan,
                                                  const FinishedCells& cells, const PlanPair& pair,
                                                  const std::string& encoder,
                                                  const std::string& label,
                                                  const std::string& metric, std::size_t seed) {
  std::vector<std::pair<double, double>> curve;
  for (std::size_t step = 0; step < plan.sweep.values.size(); ++step) {
    const ResultRow* row = cells.find(pair.name, encoder, label, step);
    if (row == nullptr || seed >= row->seeds.size()) continue;
    const Json& cell = cells.cell(*row->seeds[seed]);
    curve.emplace_back(cell["more"].value("interactions", plan.sweep.values[step]),
                       cell["metrics"].value(metric, 0.0));
  }
  return curve;
}

// What the seeds say about one oracle and one line.
struct Overtaking {
  std::vector<double> numbers;  // interactions, a seed that overtakes
  std::size_t at_once = 0;      // of those: already with the smallest set, so at most so many
  std::size_t never = 0;
  double most = 0.0;  // interactions that were tried

  std::string text() const {
    const std::size_t seeds = numbers.size() + never;
    if (numbers.empty()) return fmt::format("more than {:.0f}", most);
    const MeanSd summary = mean_sd(numbers);
    if (at_once == seeds) return fmt::format("at most {:.0f}", summary.mean);
    std::string words = summary.count > 1 ? fmt::format("{:.0f} ± {:.0f}", summary.mean, summary.sd)
                                          : fmt::format("{:.0f}", summary.mean);
    if (at_once > 0) {
      words += fmt::format(" ({} of {} seeds with the smallest set)", at_once, seeds);
    }
    if (never > 0) words += fmt::format(" ({} of {} seeds never)", never, seeds);
    return words;
  }
};

Json overtake_entry(const ExperimentPlan& plan, const FinishedCells& cells, const PlanPair& pair,
                    const std::string& encoder, const PlanModel& oracle, const PlanModel& line,
                    const std::string& metric) {
  const ResultRow* level = cells.find(pair.name, encoder, line.label, std::nullopt);
  if (level == nullptr) return nullptr;
  const std::vector<double> levels = cells.values(*level, metric);
  Overtaking found;
  for (std::size_t seed = 0; !levels.empty(); ++seed) {
    const auto curve = seed_curve(plan, cells, pair, encoder, oracle.label, metric, seed);
    if (curve.size() < plan.sweep.values.size()) break;  // unfinished: it says nothing yet
    found.most = std::max(found.most, curve.back().first);
    const auto at = crossing(curve, levels[std::min(seed, levels.size() - 1)]);
    if (at) {
      found.numbers.push_back(*at);
      if (*at == curve.front().first) ++found.at_once;
    } else {
      ++found.never;
    }
  }
  if (found.numbers.empty() && found.never == 0) return nullptr;
  const MeanSd summary = mean_sd(found.numbers);
  return {{"data", pair.name},
          {"encoder", encoder},
          {"oracle", oracle.label},
          {"line", line.label},
          {"metric", metric},
          {"values", found.numbers},
          {"mean", summary.mean},
          {"sd", summary.sd},
          {"at_most", found.at_once},
          {"never", found.never},
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
    if (more.contains("validation")) losses.push_back(more["validation"]["loss"].get<double>());
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
      const Candidate best = largest([](const Candidate& one) { return one.target.mean; });
      add_choice(table, pair, encoder, "source's validation users",
                 largest([](const Candidate& one) { return -one.loss; }), best, metric);
      add_choice(table, pair, encoder, "held-out source domain",
                 largest([](const Candidate& one) { return one.held_out; }), best, metric);
    }
  }
  return table;
}

}  // namespace

std::vector<double> query_values(const FinishedCells& cells, const ResultRow& row,
                                 const std::string& metric, std::string& queries) {
  std::vector<double> mean;
  for (const PlannedCell* seed : row.seeds) {
    const std::string path = seed->ranks_path(cells.out());
    if (!std::filesystem::exists(path)) return {};
    const SafetensorsFile file(path);
    const auto found = file.metadata().find("queries");
    if (found == file.metadata().end() || (!queries.empty() && queries != found->second)) return {};
    queries = found->second;
    const std::vector<float> ranks = file.floats(file.at("ranks"));
    if (mean.empty()) mean.resize(ranks.size(), 0.0);
    if (mean.size() != ranks.size()) return {};
    const double weight = 1.0 / static_cast<double>(row.seeds.size());
    for (std::size_t q = 0; q < ranks.size(); ++q) {
      mean[q] += weight * metric_value(metric, static_cast<double>(ranks[q]));
    }
  }
  return mean;
}

Json compare_rows(const ExperimentPlan& plan, const FinishedCells& cells) {
  Json all = Json::array();
  for (const PlanPair& pair : plan.pairs) {
    std::vector<const PlanEncoder*> encoders;
    for (const PlanEncoder& encoder : plan.encoders) encoders.push_back(&encoder);
    if (encoders.empty()) encoders.push_back(nullptr);
    for (const PlanEncoder* encoder : encoders) {
      const auto rows = table_rows(cells, pair, encoder);
      for (const std::string& metric : plan.metrics) {
        // Steps, shares of scenarios and other lists of candidates are no function of a saved rank.
        if (!is_metric(metric)) continue;
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
