// Few-shot evaluations held against a saved one, user by user.
//
//   save_scenario_users(scenario_users(result, world), "itempop.tsv");
//   SavedScenarios saved("itempop.tsv", "recall@20");         // before anything is trained
//   saved.add(one_seed, world);                               // and others
//   saved.result(Rng(1)).p_value < 0.01 ? "better" : "not shown";
//
// The bootstrap draws scenarios with all their users, and the seeds of the evaluation
// (eval/compare.h); "macro_recall@20" is the mean over scenarios of their means.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/eval/compare.h"
#include "kindling/eval/few_shot.h"
#include "kindling/eval/saved_queries.h"

namespace kindling {

// Of all users in the order of the result.
ScenarioUsers scenario_users(const FewShotResult& result, const Dataset& world);

class SavedScenarios {
 public:
  // `metric`: a column of the file, or "macro_" and that. Errors: those of load_scenario_users,
  // Error{kBadOption} for a metric that the file does not have.
  SavedScenarios(const std::string& path, const std::string& metric);
  // One more seed. Errors: Error{kBadInput} when the saved run did not ask the same.
  void add(const FewShotResult& result, const Dataset& world);
  Comparison result(const Rng& rng) const;

 private:
  std::string path_;
  std::string metric_;
  ScenarioUsers saved_;
  SeedValues ours_;
  std::vector<double> theirs_;
  std::vector<std::uint32_t> scenarios_;  // of each user
};

}  // namespace kindling
