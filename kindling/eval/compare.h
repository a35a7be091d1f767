// Is the difference real? Seeds and paired bootstrap.
//
//   MeanSd ndcg = mean_sd(values_of_five_seeds);                    // 0.043 +- 0.002
//   Comparison c = compare_paired(ours, theirs, Rng(seed));         // the same queries, in order
//   c.p_value < 0.01 ? "better" : "not shown";
//
// The bootstrap draws queries with replacement and asks how often the difference changes sign.
// Deterministic for a seed.
// Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/eval/protocol.h"

namespace kindling {

struct MeanSd {
  double mean = 0.0;
  double sd = 0.0;  // of a sample (n - 1); 0 for one value
  std::size_t count = 0;
};
MeanSd mean_sd(std::span<const double> values);

struct Comparison {
  double difference = 0.0;  // mean of a - b
  double low = 0.0;         // 95 % confidence interval of the difference
  double high = 0.0;
  double p_value = 1.0;  // two-sided; at least 2 / (resamples + 1)
  std::size_t pairs = 0;

  Json to_json() const;
};

// Errors: Error{kBadInput} when the two are not equally long or empty.
Comparison compare_paired(std::span<const double> a, std::span<const double> b, const Rng& rng,
                          std::size_t resamples = 2000);

// Results of every query of a run, for later comparison: a tab-separated file with the columns
// user, position, item, rank, rank_unseen and one line a query.
struct SavedQuery {
  std::string user;
  std::uint32_t position = 0;
  std::string item;
  RankedQuery ranks;
};
void save_queries(const Evaluation& evaluation, const Dataset& target, const std::string& path);
// Errors: Error{kBadInput} with file and line for anything that save_queries does not write.
std::vector<SavedQuery> load_queries(const std::string& path);

// `evaluation` against a saved run, by one metric ("ndcg@20"), query by query. Errors:
// Error{kBadInput} when the two did not ask the same queries.
Comparison compare_with_saved(const Evaluation& evaluation, const Dataset& target,
                              const std::string& path, const std::string& metric, const Rng& rng);

}  // namespace kindling
