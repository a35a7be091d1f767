// The ranks of finished cells, query by query: what rows of a table are compared by.
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/metrics.h"

namespace kindling {

namespace {

struct StoredRanks {
  std::string asked;  // which queries
  std::vector<float> ranks;
  std::vector<float> users;  // of each query; empty in older files
};

StoredRanks read_ranks(const std::string& path) {
  const SafetensorsFile file(path);
  const auto asked = file.metadata().find("queries");
  return {.asked = asked == file.metadata().end() ? "" : asked->second,
          .ranks = file.floats(file.at("ranks")),
          .users =
              file.find("users") == nullptr ? std::vector<float>() : file.floats(file.at("users"))};
}

// Errors: Error{kCorrupt} with what to remove.
StoredRanks read_ranks(const PlannedCell& cell, const std::string& out) {
  try {
    return read_ranks(cell.ranks_path(out));
  } catch (const Error& error) {
    if (error.kind() == Kind::kIo) throw;
    throw Error(Kind::kCorrupt, error.message(), cell.ranks_path(out),
                fmt::format("remove it and {}, and run again", cell.path(out)));
  }
}

}  // namespace

bool RowQueries::pairs_with(const RowQueries& other) const {
  return !seeds.empty() && !other.seeds.empty() && asked == other.asked &&
         mean_over == other.mean_over && seeds.front().size() == other.seeds.front().size();
}

RowQueries query_values(const FinishedCells& cells, const ResultRow& row,
                        const std::string& metric) {
  RowQueries all;
  for (const PlannedCell* seed : row.seeds) {
    if (!std::filesystem::exists(seed->ranks_path(cells.out()))) return {};
    const StoredRanks stored = read_ranks(*seed, cells.out());
    if (stored.asked.empty() || (!all.asked.empty() && all.asked != stored.asked)) return {};
    all.asked = stored.asked;
    if (seed->task.settings.value("mean_over_users", false)) all.mean_over = MeanOver::kUsers;
    std::vector<double> values;
    for (const float rank : stored.ranks) {
      values.push_back(metric_value(metric, static_cast<double>(rank)));
    }
    if (!all.seeds.empty() && values.size() != all.seeds.front().size()) return {};
    all.seeds.push_back(std::move(values));
    if (!all.users.empty()) continue;
    for (const float user : stored.users) all.users.push_back(static_cast<std::uint32_t>(user));
  }
  if (!all.seeds.empty() && all.users.size() != all.seeds.front().size()) all.users.clear();
  return all;
}

}  // namespace kindling
