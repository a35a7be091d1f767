// The analysis "against": each row of ours (or those of "of") against every other row of its table
// (or those of "beside"), query by query, at every value of a sweep. Says whether a method beats
// its own ablations and the best baseline.
#include <algorithm>

#include <fmt/format.h>

#include "kindling/eval/compare.h"
#include "kindling/eval/experiment_results.h"

namespace kindling {

namespace {

bool contains(const std::vector<std::string>& labels, const std::string& label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

struct AgainstTable {
  const FinishedCells& cells;
  std::string metric;
  std::string drawn;
  Json json;

  void add(const ResultRow& ours, const ResultRow& other, const std::string& step) {
    const RowQueries a = query_values(cells, ours, metric);
    const RowQueries b = query_values(cells, other, metric);
    if (!a.pairs_with(b)) return;
    const Comparison result =
        compare_seeds(a.seeds, b.seeds, a.units, Rng(1), kResamples, a.mean_over);
    drawn = a.units_title();
    const PlannedCell& cell = *ours.first;
    const PlannedCell& beside = *other.first;
    const char* verdict = "no difference shown";
    if (result.low > 0.0) verdict = "better";
    if (result.high < 0.0) verdict = "worse";
    json["rows"].push_back(
        {cell.pair->title, step, fmt::format("{} − {}", cell.model->title, beside.model->title),
         fmt::format("{:+.4f} [{:+.4f}, {:+.4f}]", result.difference, result.low, result.high),
         fmt::format("{:.3f}", result.p_value), verdict});
    Json value = {{"data", cell.pair->name},
                  {"model", cell.model->label},
                  {"against", beside.model->label},
                  {"metric", metric},
                  {"verdict", verdict}};
    if (!step.empty()) value["step"] = step;
    value.update(result.to_json());
    json["values"].push_back(value);
  }
};

}  // namespace

Json compare_ours(const ExperimentPlan& plan, const FinishedCells& cells, const Json& settings) {
  AgainstTable table{
      cells, json_get_or<std::string>(settings, "metric", "ndcg@10", "against"), {}, {}};
  table.json = {{"kind", "against"},
                {"columns", {"data", plan.sweep.title, "models", "difference", "p", ""}},
                {"rows", Json::array()},
                {"values", Json::array()}};
  const auto of = json_get_or<std::vector<std::string>>(settings, "of", {}, "against");
  const auto chosen = json_get_or<std::vector<std::string>>(settings, "beside", {}, "against");
  for (const ResultRow& ours : cells.rows()) {
    const PlannedCell& cell = *ours.first;
    const bool is_ours =
        of.empty() ? cell.model->role == PlanRole::kOurs : contains(of, cell.model->label);
    if (!is_ours || ours.seeds.empty()) continue;
    const std::string step =
        cell.step ? fmt::format("{}", plan.sweep.values[*cell.step]) : std::string();
    for (const ResultRow& other : cells.rows()) {
      const PlannedCell& beside = *other.first;
      // A row that reads no vectors stands in the tables of all encoders.
      const bool fits =
          beside.encoder == cell.encoder || beside.encoder == nullptr || cell.encoder == nullptr;
      const bool same_table = beside.pair == cell.pair && beside.step == cell.step && fits &&
                              beside.model != cell.model &&
                              (chosen.empty() || contains(chosen, beside.model->label));
      if (same_table && !other.seeds.empty()) table.add(ours, other, step);
    }
  }
  table.json["title"] = fmt::format(
      "Paired differences by {}, seeds averaged, 95 % interval of a bootstrap over {} "
      "and seeds",
      table.metric, table.drawn.empty() ? "users" : table.drawn);
  return table.json;
}

}  // namespace kindling
