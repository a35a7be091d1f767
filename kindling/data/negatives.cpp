#include "kindling/data/negatives.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kindling/base/error.h"

namespace kindling {

namespace {

std::vector<double> mixture(std::span<const std::uint64_t> counts, const NegativeOptions& options) {
  if (!(options.uniform_share >= 0.0 && options.uniform_share <= 1.0)) {
    throw Error(Kind::kBadOption, "uniform share of the negatives must lie in [0, 1]");
  }
  std::vector<double> weights(counts.size());
  double sum = 0.0;
  const auto drawn = [&](std::uint64_t count) { return count > 0 || !options.counted_only; };
  for (std::size_t i = 0; i < counts.size(); ++i) {
    weights[i] = counts[i] == 0 ? 0.0 : std::pow(static_cast<double>(counts[i]), options.power);
    sum += weights[i];
  }
  const auto known = std::count_if(counts.begin(), counts.end(), drawn);
  const double uniform = 1.0 / static_cast<double>(std::max<std::ptrdiff_t>(known, 1));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (!drawn(counts[i])) continue;
    const double popular = sum > 0.0 ? weights[i] / sum : uniform;
    weights[i] = options.uniform_share * uniform + (1.0 - options.uniform_share) * popular;
  }
  return weights;
}

}  // namespace

AliasSampler::AliasSampler(std::span<const double> weights)
    : threshold_(weights.size(), 1.0), alias_(weights.size(), 0), probability_(weights.size()) {
  double sum = 0.0;
  for (const double weight : weights) {
    if (!(weight >= 0.0) || !std::isfinite(weight)) {
      throw Error(Kind::kBadInput, "a sampling weight is negative or not finite");
    }
    sum += weight;
  }
  if (!(sum > 0.0) || !std::isfinite(sum)) {
    throw Error(Kind::kBadInput, "sampling weights must have a positive sum");
  }
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    probability_[i] = weights[i] / sum;
    threshold_[i] = probability_[i] * static_cast<double>(weights.size());
    alias_[i] = static_cast<std::uint32_t>(i);
    (threshold_[i] < 1.0 ? small : large).push_back(static_cast<std::uint32_t>(i));
  }
  while (!small.empty() && !large.empty()) {
    const std::uint32_t poor = small.back();
    small.pop_back();
    const std::uint32_t rich = large.back();
    alias_[poor] = rich;
    threshold_[rich] -= 1.0 - threshold_[poor];
    if (threshold_[rich] < 1.0) {
      large.pop_back();
      small.push_back(rich);
    }
  }
  // What is left differs from 1 by rounding only.
  for (const std::uint32_t index : small) threshold_[index] = 1.0;
  for (const std::uint32_t index : large) threshold_[index] = 1.0;
}

std::uint32_t AliasSampler::draw(Rng& rng) const {
  const auto cell = static_cast<std::uint32_t>(rng.below(threshold_.size()));
  return rng.uniform() < threshold_[cell] ? cell : alias_[cell];
}

NegativeSampler::NegativeSampler(const Dataset& train, const NegativeOptions& options)
    : NegativeSampler(item_counts(train), options) {}

NegativeSampler::NegativeSampler(std::span<const std::uint64_t> item_counts,
                                 const NegativeOptions& options)
    : sampler_(mixture(item_counts, options)), log_probability_(sampler_.size()) {
  for (std::size_t i = 0; i < log_probability_.size(); ++i) {
    log_probability_[i] = std::log(sampler_.probability(static_cast<std::uint32_t>(i)));
  }
}

Negatives NegativeSampler::draw(std::size_t count, Rng& rng) const {
  Negatives negatives;
  negatives.items.reserve(count);
  negatives.log_expected.reserve(count);
  const double log_count = std::log(static_cast<double>(count));
  for (std::size_t k = 0; k < count; ++k) {
    const ItemId item = sampler_.draw(rng);
    negatives.items.push_back(item);
    negatives.log_expected.push_back(static_cast<float>(log_count + log_probability_[item]));
  }
  return negatives;
}

float NegativeSampler::log_expected(ItemId item, std::size_t count) const {
  return static_cast<float>(std::log(static_cast<double>(count)) + log_probability_[item]);
}

std::vector<std::uint64_t> item_counts(const Dataset& data) {
  std::vector<std::uint64_t> counts(data.item_count(), 0);
  for (const Event& event : data.events()) ++counts[event.item];
  return counts;
}

}  // namespace kindling
