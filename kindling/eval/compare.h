// Is the difference real? Seeds and paired bootstrap.
//
//   MeanSd ndcg = mean_sd(values_of_five_seeds);                    // 0.043 +- 0.002
//   Comparison c = compare_paired(ours, theirs, Rng(seed));         // the same queries, in order
//   Comparison d = compare_seeds(ours_by_seed, theirs_by_seed, units, Rng(seed));
//   c.p_value < 0.01 ? "better" : "not shown";
//
// The bootstrap draws units (users, or scenarios) with all their queries, and the seeds of either
// side, with replacement and asks how often the difference changes sign: what it tells apart would
// be told apart with other users and other seeds. Seeds and scenarios are few: what a draw of n
// changes is spread by √(n/(n−1)), so that the variance is a sample's, not underestimated. With
// MeanOver::kUnits a unit's queries count as one, their mean, as under `mean_over_users`.
// Deterministic for a seed.
// Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16; Rao & Wu,
// Resampling Inference with Complex Survey Data, JASA 1988 (few units, rescaled).
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

inline constexpr std::size_t kResamples = 2000;

// Of one run each, every query being a user's only one.
// Errors: Error{kBadInput} when the two are not equally long or empty.
Comparison compare_paired(std::span<const double> a, std::span<const double> b, const Rng& rng,
                          std::size_t resamples = kResamples);

// Of several runs, a list of the same queries for each seed; `units` says which user (or scenario)
// each query is of (empty: each of another). One list stands for itself, it is not drawn.
// Errors: Error{kBadInput} when the lists are not equally long or there are none.
using SeedValues = std::vector<std::vector<double>>;
enum class MeanOver { kQueries, kUnits };
Comparison compare_seeds(const SeedValues& a, const SeedValues& b,
                         std::span<const std::uint32_t> units, const Rng& rng,
                         std::size_t resamples = kResamples,
                         MeanOver mean_over = MeanOver::kQueries);

// One evaluation, or one for each seed, against a saved run by a metric ("ndcg@20"), query by
// query.
class SavedComparison {
 public:
  // `first` says which queries are asked and how means are taken. Errors: Error{kBadInput} when
  // the saved run did not ask the same.
  SavedComparison(const Evaluation& first, const Dataset& target, const std::string& path,
                  std::string metric);
  // One more seed, `first` too.
  void add(const Evaluation& evaluation);
  Comparison result(const Rng& rng) const;

 private:
  std::string metric_;
  MeanOver mean_over_;
  std::vector<std::uint32_t> users_;
  SeedValues ours_;
  std::vector<double> theirs_;
};

}  // namespace kindling
