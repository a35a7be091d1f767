#include "kindling/eval/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/eval/metrics.h"
#include "kindling/eval/saved_queries.h"

namespace kindling {

namespace {

// By how much more than a draw of n units makes them, the drawn differ from all of them.
double spread_of(std::size_t n) {
  return n < 2 ? 1.0 : std::sqrt(static_cast<double>(n) / static_cast<double>(n - 1));
}

// The results of both sides, added up for each unit: a row holds the seeds of a, those of b, and
// how many queries the unit has. For a mean over units it holds the unit's means, and 1.
struct Clusters {
  Clusters(const SeedValues& a, const SeedValues& b, std::span<const std::uint32_t> units,
           MeanOver mean_over) {
    check_lists(a, b, units);
    queries = a.front().size();
    columns = a.size() + b.size() + 1;
    std::unordered_map<std::uint32_t, std::size_t> row_of;
    for (std::size_t q = 0; q < queries; ++q) {
      const std::size_t row = units.empty() ? q : row_of.try_emplace(units[q], rows).first->second;
      if (row == rows) {
        ++rows;
        sums.resize(rows * columns, 0.0);
      }
      double* at = sums.data() + row * columns;
      for (const SeedValues* side : {&a, &b}) {
        for (const auto& seed : *side) *at++ += seed[q];
      }
      *at += 1.0;
    }
    if (mean_over == MeanOver::kQueries) return;
    for (auto row = sums.begin(); row != sums.end(); row += static_cast<std::ptrdiff_t>(columns)) {
      const double own = row[static_cast<std::ptrdiff_t>(columns) - 1];
      for (std::size_t c = 0; c < columns; ++c) row[static_cast<std::ptrdiff_t>(c)] /= own;
    }
  }

  static void check_lists(const SeedValues& a, const SeedValues& b,
                          std::span<const std::uint32_t> units) {
    const std::size_t length = a.empty() ? 0 : a.front().size();
    bool same = length > 0 && !b.empty() && (units.empty() || units.size() == length);
    for (const SeedValues* side : {&a, &b}) {
      for (const auto& seed : *side) same = same && seed.size() == length;
    }
    if (same) return;
    throw Error(Kind::kBadInput, fmt::format("cannot pair {} results with {}", length,
                                             b.empty() ? 0 : b.front().size()));
  }

  std::vector<double> sums_of_all() const {
    std::vector<double> total(columns, 0.0);
    for (std::size_t row = 0; row < rows; ++row) add(row, total);
    return total;
  }
  std::vector<double> drawn_sums(Rng& rng) const {
    std::vector<double> total(columns, 0.0);
    for (std::size_t n = 0; n < rows; ++n) add(rng.below(rows), total);
    return total;
  }
  void add(std::size_t row, std::vector<double>& total) const {
    const double* from = sums.data() + row * columns;
    for (std::size_t c = 0; c < columns; ++c) total[c] += from[c];
  }
  // Of the means over queries, or units.
  double difference(const std::vector<double>& total, const std::vector<double>& a,
                    const std::vector<double>& b) const {
    double sum = 0.0;
    for (std::size_t s = 0; s < a.size(); ++s) sum += a[s] * total[s];
    for (std::size_t s = 0; s < b.size(); ++s) sum -= b[s] * total[a.size() + s];
    return sum / total.back();
  }

  std::size_t queries = 0;
  std::size_t columns = 0;
  std::size_t rows = 0;
  std::vector<double> sums;  // [rows, columns]
};

std::vector<double> equal_weights(std::size_t seeds) {
  return std::vector<double>(seeds, 1.0 / static_cast<double>(seeds));
}

// How much each seed counts in a resample; they add up to 1.
std::vector<double> drawn_weights(std::size_t seeds, Rng& rng) {
  std::vector<double> weights = equal_weights(seeds);
  if (seeds < 2) return weights;
  const auto n = static_cast<double>(seeds);
  const double spread = spread_of(seeds);
  std::vector<double> drawn(seeds, 0.0);
  for (std::size_t k = 0; k < seeds; ++k) drawn[rng.below(seeds)] += 1.0 / n;
  for (std::size_t s = 0; s < seeds; ++s) weights[s] += spread * (drawn[s] - 1.0 / n);
  return weights;
}

}  // namespace

MeanSd mean_sd(std::span<const double> values) {
  MeanSd result;
  result.count = values.size();
  if (values.empty()) return result;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / count;
  if (values.size() < 2) return result;
  double square = 0.0;
  for (const double value : values) square += (value - result.mean) * (value - result.mean);
  result.sd = std::sqrt(square / (count - 1.0));
  return result;
}

Json Comparison::to_json() const {
  return {{"difference", difference},
          {"low", low},
          {"high", high},
          {"p_value", p_value},
          {"pairs", pairs}};
}

Comparison compare_paired(std::span<const double> a, std::span<const double> b, const Rng& rng,
                          std::size_t resamples) {
  return compare_seeds({{a.begin(), a.end()}}, {{b.begin(), b.end()}}, {}, rng, resamples);
}

Comparison compare_seeds(const SeedValues& a, const SeedValues& b,
                         std::span<const std::uint32_t> units, const Rng& rng,
                         std::size_t resamples, MeanOver mean_over) {
  const Clusters clusters(a, b, units, mean_over);
  Comparison result;
  result.pairs = clusters.queries;
  const std::vector<double> all = clusters.sums_of_all();
  result.difference = clusters.difference(all, equal_weights(a.size()), equal_weights(b.size()));
  // The means are spread, not the weights: those of a small unit drawn often could fall below 0.
  const double spread = spread_of(clusters.rows);
  Rng draws = rng.fork("bootstrap");
  Rng seeds = rng.fork("seeds");
  std::vector<double> means(std::max<std::size_t>(resamples, 1));
  for (double& mean : means) {
    const std::vector<double> sums = clusters.drawn_sums(draws);
    const std::vector<double> first = drawn_weights(a.size(), seeds);
    const std::vector<double> second = drawn_weights(b.size(), seeds);
    mean = clusters.difference(all, first, second);
    mean += spread * (clusters.difference(sums, first, second) - mean);
  }
  std::sort(means.begin(), means.end());
  const auto quantile = [&](double share) {
    return means[static_cast<std::size_t>(share * static_cast<double>(means.size() - 1))];
  };
  result.low = quantile(0.025);
  result.high = quantile(0.975);
  // A mean of exactly 0 speaks for neither side.
  const auto not_above = std::count_if(means.begin(), means.end(), [](double m) { return m <= 0; });
  const auto not_below = std::count_if(means.begin(), means.end(), [](double m) { return m >= 0; });
  const auto tail = static_cast<double>(std::min(not_above, not_below));
  result.p_value = std::min(1.0, 2.0 * (tail + 1.0) / (static_cast<double>(means.size()) + 1.0));
  return result;
}

SavedComparison::SavedComparison(const Evaluation& first, const Dataset& target,
                                 const std::string& path, std::string metric)
    : metric_(std::move(metric)),
      mean_over_(first.options.mean_over_users ? MeanOver::kUnits : MeanOver::kQueries) {
  const std::vector<SavedQuery> saved = load_queries(path);
  if (saved.size() != first.queries.size()) {
    throw Error(
        Kind::kBadInput,
        fmt::format("holds {} queries, this evaluation has {}", saved.size(), first.queries.size()),
        path, "compare runs of the same target and protocol");
  }
  for (std::size_t q = 0; q < saved.size(); ++q) {
    const QueryResult& mine = first.queries[q];
    if (saved[q].user != target.user_ids().name(mine.user) || saved[q].position != mine.position ||
        saved[q].item != target.item_ids().name(mine.target)) {
      throw Error(Kind::kBadInput,
                  fmt::format("query of user {} is not the same as in this evaluation",
                              quote(saved[q].user)),
                  at_line(path, static_cast<std::int64_t>(q) + 2),
                  "compare runs of the same target and protocol");
    }
    theirs_.push_back(metric_value(
        metric_, first.options.mask_seen ? saved[q].ranks.rank_unseen : saved[q].ranks.rank));
    users_.push_back(mine.user);
  }
}

void SavedComparison::add(const Evaluation& evaluation) {
  ours_.push_back(evaluation.values(metric_));
}

Comparison SavedComparison::result(const Rng& rng) const {
  return compare_seeds(ours_, {theirs_}, users_, rng, kResamples, mean_over_);
}

}  // namespace kindling
