// The ranks of finished cells, query by query: what rows of a table are compared by.
#include <filesystem>

#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/metrics.h"

namespace kindling {

bool RowQueries::pairs_with(const RowQueries& other) const {
  return !seeds.empty() && !other.seeds.empty() && asked == other.asked &&
         mean_over == other.mean_over && seeds.front().size() == other.seeds.front().size();
}

RowQueries query_values(const FinishedCells& cells, const ResultRow& row,
                        const std::string& metric) {
  RowQueries all;
  for (const PlannedCell* seed : row.seeds) {
    const std::string path = seed->ranks_path(cells.out());
    if (!std::filesystem::exists(path)) return {};
    const SafetensorsFile file(path);
    const auto found = file.metadata().find("queries");
    if (found == file.metadata().end()) return {};
    if (!all.asked.empty() && all.asked != found->second) return {};
    all.asked = found->second;
    if (seed->task.settings.value("mean_over_users", false)) all.mean_over = MeanOver::kUsers;
    std::vector<double> values;
    for (const float rank : file.floats(file.at("ranks"))) {
      values.push_back(metric_value(metric, static_cast<double>(rank)));
    }
    if (!all.seeds.empty() && values.size() != all.seeds.front().size()) return {};
    all.seeds.push_back(std::move(values));
    if (!all.users.empty() || file.find("users") == nullptr) continue;
    for (const float user : file.floats(file.at("users"))) {
      all.users.push_back(static_cast<std::uint32_t>(user));
    }
  }
  if (!all.seeds.empty() && all.users.size() != all.seeds.front().size()) all.users.clear();
  return all;
}

}  // namespace kindling
