// Negative items for sampled losses, with the log-expected counts that correct for how they were
// drawn.
//
//   NegativeSampler sampler(train, {.uniform_share = 0.5, .power = 0.75});
//   Negatives negatives = sampler.draw(1024, rng);
//   // logit'_j = logit_j - negatives.log_expected[j];  target: logit - sampler.log_expected(item,
//   // 1024)
//
// Nothing is excluded: the loss masks accidental hits of its own targets.
// Source: Walker 1977 / Vose 1991 (alias method); Bengio & Senécal 2008 (log-Q correction).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/data/dataset.h"

namespace kindling {

// Draws i with probability weights[i] / sum in constant time.
class AliasSampler {
 public:
  // Errors: Error{kBadInput} when there is no weight, one is negative or not finite, or all are 0.
  explicit AliasSampler(std::span<const double> weights);

  std::uint32_t draw(Rng& rng) const;
  double probability(std::uint32_t index) const { return probability_[index]; }
  std::size_t size() const { return probability_.size(); }

 private:
  std::vector<double> threshold_;
  std::vector<std::uint32_t> alias_;
  std::vector<double> probability_;
};

struct NegativeOptions {
  double uniform_share = 0.5;  // the rest is drawn by popularity
  double power = 0.75;         // of the item counts (word2vec's)
  bool counted_only = false;   // the uniform part leaves out items with a count of 0, too
};

struct Negatives {
  std::vector<std::int64_t> items;  // [K] ItemId, drawn with replacement
  std::vector<float> log_expected;  // [K] log(K q(item))
};

class NegativeSampler {
 public:
  NegativeSampler(const Dataset& train, const NegativeOptions& options);
  NegativeSampler(std::span<const std::uint64_t> item_counts, const NegativeOptions& options);

  Negatives draw(std::size_t count, Rng& rng) const;
  // log of the expected number of times that `item` is among `count` draws.
  float log_expected(ItemId item, std::size_t count) const;

 private:
  AliasSampler sampler_;
  std::vector<double> log_probability_;  // [items]
};

// How often each item occurs.
std::vector<std::uint64_t> item_counts(const Dataset& data);

}  // namespace kindling
