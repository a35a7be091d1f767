// One evaluation or recommendation from files: what `kindling evaluate` and `kindling recommend`
// do.
//
//   Json document = run_evaluation({.model = "models/zesrec", .target = "data/shop"});
//   RecommendResult list = run_recommendation({.model = "embknn", .items = "data/shop"});
//
// `model` is a model directory, used unchanged, or the name of a model that needs no source: that
// one is made here and, when it learns from the target, fitted on the target's train part only.
// Errors: Error{kNotFound} for a model or dataset that does not exist, Error{kBadOption} for a
// model that must be trained first, Error{kBadInput} for vectors of another space or unknown item
// ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/eval/protocol.h"
#include "kindling/models/registry.h"

namespace kindling {

struct EvaluateRun {
  std::string model;
  std::string target;
  std::string vectors;   // name under TARGET/vectors or a file; empty: the only one there
  OptionValues options;  // of a model given by name
  std::uint64_t seed = 0;
  std::int64_t seeds = 1;  // runs with seed, seed + 1, …; for a model given by name
  std::string per_query;   // file to write; empty: none
  std::string compare;     // per-query file of another run; empty: none
  std::string compare_by = "ndcg@20";
  EvaluationOptions evaluation;
};

// {"model","target","protocol","queries","candidates","metrics","slices","seconds",…}. With several
// seeds "metrics" are means, "metrics_sd" their standard deviations, and the rest is of the first.
Json run_evaluation(const EvaluateRun& run);

struct RecommendRun {
  std::string model;
  std::string items;  // dataset directory
  std::string vectors;
  OptionValues options;
  std::vector<std::string> history;  // item ids, oldest first; may be empty
  std::size_t k = 10;
  bool keep_seen = false;
};

struct RecommendedItem {
  std::string id;
  std::string title;  // the item's text when it has no title
  float score = 0.0F;
};

std::vector<RecommendedItem> run_recommendation(const RecommendRun& run);

}  // namespace kindling
