// How well a few-shot model serves scenarios: adapt to the support, rank the evaluation users.
//
//   const FewShotTask task{&scenarios, &vectors};
//   FewShotResult result = evaluate_few_shot(*model, task, scenarios.meta_test, {.seed = 1});
//   Json document = result.to_json();
//
// Recall@N = positives in the first N / positives of the user, over the candidates of the scenario;
// `pooled` is the mean over all users of all scenarios (the paper's), `macro` the mean over the
// scenarios' means. Ties: models/few_shot_ranking.h [S14].
// "never worse": the share of scenarios where the adapted recommender's Recall@20 is below that of
// the model before adaptation, and below ItemPop's on the same support.
// Source: specs/s2meta.md 6. Errors: Error{kInternal} for a score that is not finite,
// Error{kBadInput} when there is no user to ask.
// Threads: scenarios run in parallel; the result does not depend on their number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/models/few_shot.h"
#include "kindling/models/few_shot_ranking.h"

namespace kindling {

struct FewShotEvaluation {
  std::uint64_t seed = 0;
  std::vector<std::int64_t> cutoffs{10, 20, 50};
  Ties ties = Ties::kExpectedRank;
  bool compare = true;  // with the model before adaptation and with ItemPop
};

struct ScenarioResult {
  std::string name;
  std::size_t candidates = 0;
  std::size_t support = 0;
  std::vector<UserStanding> users;
  std::vector<std::size_t> histories;  // of `users`: interactions in the world, the source's
  double recall = 0.0;                 // @20, mean over users
  double recall_itempop = 0.0;         // the same of ItemPop
  double recall_unadapted = 0.0;       // the same before adaptation, where the model has that
  bool has_unadapted = false;
  std::size_t steps = 0;
  double adapt_seconds = 0.0;
};

struct FewShotResult {
  FewShotEvaluation options;
  std::vector<ScenarioResult> scenarios;
  double seconds = 0.0;

  // "recall@20", "ndcg@10", "hr@10": over users, or over scenarios. Error{kBadOption} otherwise.
  double pooled(const std::string& metric) const;
  double macro(const std::string& metric) const;
  // "recall@10", …: at every cut-off of the options.
  std::vector<std::string> metrics() const;
  // One value for each user, scenario after scenario: what compare.h takes.
  std::vector<double> values(const std::string& metric) const;
  // Pooled metrics over the users with a history of so many source interactions, and over those of
  // scenarios with so many candidates: {"history 3-4":{"queries":…,"metrics":{…}},…}.
  Json slices() const;
  // Shares of scenarios; 0 when not compared.
  double below_itempop() const;
  double below_unadapted() const;
  Json to_json() const;
};

FewShotResult evaluate_few_shot(const FewShotModel& model, const FewShotTask& task,
                                const std::vector<Scenario>& scenarios,
                                const FewShotEvaluation& options);

}  // namespace kindling
