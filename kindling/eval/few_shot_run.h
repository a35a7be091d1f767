// One few-shot evaluation from files, and recommendations of an adapted model: what `kindling
// evaluate MODEL --scenarios DIR` and `kindling recommend ADAPTED_DIR --user ID` do.
//
//   Json document = run_few_shot_evaluation({.model = "itempop", .scenarios = "scenarios/beauty"});
//
// `model` is a few-shot model directory, used unchanged on the scenarios that it was trained with,
// or the name of a few-shot model, which is then fitted here, once for each seed.
// Errors: Error{kBadInput} when a model directory belongs to other scenarios, Error{kNotFound} for
// an unknown user.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/eval/evaluate_run.h"
#include "kindling/eval/few_shot.h"

namespace kindling {

struct FewShotEvaluateRun {
  std::string model;
  std::string scenarios;
  std::string role = "meta-test";  // or "validation"
  OptionValues options;
  std::string vectors;  // of a model by name: bpr (as empty), als or universal
  OptionValues vector_options;
  std::uint64_t seed = 0;
  std::int64_t seeds = 1;
  std::vector<std::int64_t> cutoffs{10, 20, 50};
  std::string ties = "rank";
  double max_minutes = 0.0;  // of training, for a model by name
  std::string per_query;     // file to write, of the first seed; empty: none
  std::string compare;       // such a file of another evaluation; empty: none
  std::string compare_by = "ndcg@20";
};

// {"model","target","protocol","queries","metrics","macro",…,"details","frozen_vectors"}, and
// "comparison" where there is a file to compare with (eval/few_shot_queries.h). With several seeds
// "metrics" and "macro" are means, "metrics_sd" and "macro_sd" deviations; the rest is of the first
// seed.
Json run_few_shot_evaluation(const FewShotEvaluateRun& run);

// The best candidates of an adapted recommender for a user of its world; without the items of the
// user's support unless `keep_seen`.
std::vector<RecommendedItem> recommend_adapted(const std::string& directory,
                                               const std::string& user, std::size_t k,
                                               bool keep_seen);

}  // namespace kindling
