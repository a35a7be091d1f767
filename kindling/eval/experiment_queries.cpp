// The ranks of finished cells, query by query: what rows of a table are compared by.
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/metrics.h"

namespace kindling {

namespace {

struct StoredQueries {
  std::string asked;           // which queries
  std::vector<double> values;  // of the metric; empty: the file does not say it
  std::vector<std::uint32_t> units;
  bool of_scenarios = false;
};

std::vector<float> floats_of(const SafetensorsFile& file, const std::string& name) {
  return file.find(name) == nullptr ? std::vector<float>() : file.floats(file.at(name));
}

StoredQueries read_queries(const std::string& path, const std::string& metric) {
  const SafetensorsFile file(path);
  StoredQueries stored;
  const auto asked = file.metadata().find("queries");
  if (asked != file.metadata().end()) stored.asked = asked->second;
  stored.of_scenarios = file.find("scenarios") != nullptr;
  for (const float unit : floats_of(file, stored.of_scenarios ? "scenarios" : "users")) {
    stored.units.push_back(static_cast<std::uint32_t>(unit));
  }
  if (stored.of_scenarios) {
    const std::vector<float> values = floats_of(file, without_macro(metric));
    stored.values.assign(values.begin(), values.end());
    return stored;
  }
  const std::vector<float> ranks = file.floats(file.at("ranks"));
  for (const float rank : is_macro(metric) ? std::vector<float>() : ranks) {
    if (!(rank >= 1.0F)) throw Error(Kind::kBadInput, fmt::format("{} is no rank", rank), path);
    stored.values.push_back(metric_value(metric, static_cast<double>(rank)));
  }
  return stored;
}

// Errors: Error{kCorrupt} with what to remove.
StoredQueries read_queries(const PlannedCell& cell, const std::string& out,
                           const std::string& metric) {
  try {
    return read_queries(cell.ranks_path(out), metric);
  } catch (const Error& error) {
    if (error.kind() == Kind::kIo) throw;
    throw Error(Kind::kCorrupt, error.message(), cell.ranks_path(out),
                fmt::format("remove it and {}, and run again", cell.path(out)));
  }
}

}  // namespace

bool is_of_queries(const std::string& metric) { return is_metric(without_macro(metric)); }

bool RowQueries::pairs_with(const RowQueries& other) const {
  return !seeds.empty() && !other.seeds.empty() && asked == other.asked &&
         mean_over == other.mean_over && of_scenarios == other.of_scenarios &&
         seeds.front().size() == other.seeds.front().size();
}

RowQueries query_values(const FinishedCells& cells, const ResultRow& row,
                        const std::string& metric) {
  if (!is_of_queries(metric)) return {};
  RowQueries all;
  for (const PlannedCell* seed : row.seeds) {
    if (!std::filesystem::exists(seed->ranks_path(cells.out()))) return {};
    StoredQueries stored = read_queries(*seed, cells.out(), metric);
    if (stored.values.empty() || stored.asked.empty()) return {};
    if (!all.seeds.empty() &&
        (all.asked != stored.asked || all.seeds.front().size() != stored.values.size())) {
      return {};
    }
    all.asked = stored.asked;
    all.of_scenarios = stored.of_scenarios;
    const bool over_units = seed->task.settings.value("mean_over_users", false);
    if (over_units || is_macro(metric)) all.mean_over = MeanOver::kUnits;
    all.seeds.push_back(std::move(stored.values));
    if (all.units.empty()) all.units = std::move(stored.units);
  }
  if (!all.seeds.empty() && all.units.size() != all.seeds.front().size()) all.units.clear();
  return all;
}

}  // namespace kindling
