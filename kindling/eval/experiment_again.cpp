// Finished cells once more: equal seeds must give equal numbers.
#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/log.h"
#include "kindling/eval/experiment_lock.h"
#include "kindling/eval/experiment_results.h"

namespace kindling {

namespace {

namespace fs = std::filesystem;

// Each key once, in the order of the keys.
std::vector<const PlannedCell*> first_finished(const std::vector<PlannedCell>& cells,
                                               const ExperimentRun& run) {
  const auto by_key = [](const PlannedCell* a, const PlannedCell* b) { return a->key < b->key; };
  std::set<const PlannedCell*, decltype(by_key)> finished(by_key);
  for (const PlannedCell& cell : cells) {
    if (cell.fits(run.only) && fs::exists(cell.path(run.out))) finished.insert(&cell);
  }
  const auto count = std::min(finished.size(), static_cast<std::size_t>(run.again));
  return {finished.begin(), std::next(finished.begin(), static_cast<std::ptrdiff_t>(count))};
}

bool same_file(const std::string& a, const std::string& b) {
  if (!fs::exists(a) || !fs::exists(b)) return fs::exists(a) == fs::exists(b);
  return read_file(a) == read_file(b);
}

// Times are measured, not computed.
bool is_time(const std::string& metric) { return metric.ends_with("seconds"); }

Json differences(const PlannedCell& cell, const std::string& kept, const std::string& fresh) {
  Json differs = Json::array();
  const Json before = read_cell(cell, kept)["metrics"];
  const Json after = read_cell(cell, fresh)["metrics"];
  for (const auto& [metric, value] : before.items()) {
    if (is_time(metric)) continue;
    if (!after.contains(metric) || after[metric] != value) differs.push_back(metric);
  }
  for (const auto& [metric, value] : after.items()) {
    if (!before.contains(metric)) differs.push_back(metric);
  }
  if (!same_file(cell.ranks_path(kept), cell.ranks_path(fresh))) differs.push_back("ranks");
  return differs;
}

}  // namespace

Json repeat_cells(const std::vector<PlannedCell>& cells, const ExperimentRun& run) {
  const std::vector<const PlannedCell*> chosen = first_finished(cells, run);
  if (chosen.empty()) {
    throw Error(Kind::kBadInput, "no cell of this experiment is finished", run.out,
                "run it without --again first");
  }
  ExperimentRun fresh = run;
  fresh.out = (fs::path(run.out) / "again").string();
  const auto lock = FileLock::try_take(fresh.out + ".lock");
  if (!lock) {
    throw Error(Kind::kBadOption, "another process is working in " + fresh.out, "--again",
                "wait until it has ended");
  }
  log_info("{} of {} cells once more", chosen.size(), cells.size());
  fs::remove_all(fresh.out);
  for (const char* part : {"cells", "ranks"}) make_directories(fs::path(fresh.out) / part);
  std::set<std::string> failed;
  for (const Json& one : run_cells(chosen, fresh)) {
    failed.insert(one["cell"].get<std::string>());
  }
  Json all = Json::array();
  for (const PlannedCell* cell : chosen) {
    Json differs = Json::array({"failed"});
    double seconds = 0.0;
    if (fs::exists(cell->path(fresh.out))) {
      differs = differences(*cell, run.out, fresh.out);
      seconds = read_cell(*cell, fresh.out).value("seconds", 0.0);
    } else if (!failed.contains(cell->name)) {
      continue;  // not started in time
    }
    all.push_back({{"cell", cell->name},
                   {"same", differs.empty()},
                   {"seconds", seconds},
                   {"differs", differs}});
  }
  fs::remove_all(fresh.out);
  if (all.empty()) {
    throw Error(Kind::kBadOption, "no cell was run again in the time given", "--minutes",
                "allow more, or leave the option out");
  }
  return all;
}

}  // namespace kindling
