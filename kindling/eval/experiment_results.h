// Finished cells -> the document of an experiment: means over seeds beside the published numbers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kindling/eval/compare.h"
#include "kindling/eval/experiment.h"

namespace kindling {

// The cells of one line of a table: the same pair, encoder, model and sweep value, all seeds.
struct ResultRow {
  const PlannedCell* first = nullptr;
  std::vector<const PlannedCell*> seeds;  // finished ones
};

// A finished cell's file. Errors: Error{kCorrupt} when it is no cell, another one than the plan's,
// or has members of another type; remove it and run again.
Json read_cell(const PlannedCell& cell, const std::string& out);

// What the finished cells hold, read once.
class FinishedCells {
 public:
  // Errors: those of read_cell.
  FinishedCells(const std::vector<PlannedCell>& cells, const std::string& out);

  const std::vector<ResultRow>& rows() const { return rows_; }
  const Json& cell(const PlannedCell& cell) const { return documents_.at(cell.key); }
  // The finished seeds of a row that have this metric, in order.
  std::vector<const PlannedCell*> seeds(const ResultRow& row, const std::string& metric) const;
  // One value for each of them.
  std::vector<double> values(const ResultRow& row, const std::string& metric) const;
  const std::string& out() const { return out_; }
  std::size_t finished() const { return finished_; }
  // What they took together, a thread each; a cell that several rows share counts once.
  double seconds() const;
  // Null when there is no such row. `encoder` empty: any.
  const ResultRow* find(const std::string& pair, const std::string& encoder,
                        const std::string& label, std::optional<std::size_t> step) const;

 private:
  std::string out_;
  std::vector<ResultRow> rows_;
  std::map<std::string, Json> documents_;
  std::size_t finished_ = 0;
};

Json experiment_document(const ExperimentPlan& plan, const PreparedData& prepared,
                         const std::vector<PlannedCell>& cells, const ExperimentRun& run);

// A metric of each query, a list for each finished seed of a row. No seeds when ranks are missing
// or do not say the metric (steps, shares of scenarios, other lists of candidates).
struct RowQueries {
  std::vector<std::vector<double>> seeds;
  std::vector<std::uint32_t> units;  // of each query: what a bootstrap draws; empty: each its own
  bool of_scenarios = false;         // units are scenarios, not users
  std::string asked;                 // fingerprint of the queries
  MeanOver mean_over = MeanOver::kQueries;

  bool pairs_with(const RowQueries& other) const;
  const char* units_title() const { return of_scenarios ? "scenarios" : "users"; }
};
// Whether a metric of the cells is a mean over queries that rows can be compared by.
bool is_of_queries(const std::string& metric);
RowQueries query_values(const FinishedCells& cells, const ResultRow& row,
                        const std::string& metric);

// Each row of a table against the best of it, query by query, seeds averaged.
Json compare_rows(const ExperimentPlan& plan, const FinishedCells& cells);
// What the plan's "analyses" ask for; each {"kind","title","columns","rows"} with text for people
// and "values" for programs.
Json run_analyses(const ExperimentPlan& plan, const FinishedCells& cells);
// The analysis "overtake": {"metric"}; at how many interactions a swept row reaches the level ones.
Json overtake(const ExperimentPlan& plan, const FinishedCells& cells, const Json& settings);
// The analysis "against": {"metric", "of": labels or ours, "beside": labels or all}.
Json compare_ours(const ExperimentPlan& plan, const FinishedCells& cells, const Json& settings);

// Tables for a terminal.
std::string experiment_text(const Json& document);

}  // namespace kindling
