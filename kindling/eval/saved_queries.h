// What every query of an evaluation came to, in files, for later comparison (eval/compare.h,
// eval/few_shot_queries.h).
//
//   save_queries(evaluation, shop, "embknn.tsv");
//   for (const SavedQuery& query : load_queries("embknn.tsv")) best = std::min(best,
//   query.ranks.rank);
//
// Both files are tab-separated, with a heading and one line a query. Of ranked queries: user,
// position, item, rank, rank_unseen. Of the users of scenarios, who have several right items:
// scenario, user and a column a metric.
//
// Errors of load_…: Error{kBadInput} with file and line for anything that save_… does not write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/eval/protocol.h"

namespace kindling {

struct SavedQuery {
  std::string user;
  std::uint32_t position = 0;
  std::string item;
  RankedQuery ranks;
};
void save_queries(const Evaluation& evaluation, const Dataset& target, const std::string& path);
std::vector<SavedQuery> load_queries(const std::string& path);

struct ScenarioUser {
  std::string scenario;
  std::string user;
  std::vector<double> values;  // in [0, 1], one a metric
};
struct ScenarioUsers {
  std::vector<std::string> metrics;
  std::vector<ScenarioUser> users;  // scenario after scenario
};
// A scenario's name as it stands in the file: tabs and line ends are spaces.
std::string saved_name(std::string name);
void save_scenario_users(const ScenarioUsers& all, const std::string& path);
ScenarioUsers load_scenario_users(const std::string& path);

}  // namespace kindling
