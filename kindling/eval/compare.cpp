#include "kindling/eval/compare.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/text.h"

namespace kindling {

namespace {

constexpr const char* kHeader = "user\tposition\titem\trank\trank_unseen";
constexpr std::size_t kColumns = 5;
constexpr std::int64_t kMostPositions = std::int64_t{1} << 32U;

SavedQuery parse_query(const LineReader& lines) {
  const auto parts = split(lines.line(), '\t');
  if (parts.size() == kColumns) {
    const std::int64_t position = to_int(parts[1]).value_or(-1);
    const double rank = to_double(parts[3]).value_or(0.0);
    const double unseen = to_double(parts[4]).value_or(0.0);
    if (position >= 0 && position < kMostPositions && rank >= 1.0 && unseen >= 1.0) {
      return {std::string(parts[0]),
              static_cast<std::uint32_t>(position),
              std::string(parts[2]),
              {rank, unseen}};
    }
  }
  throw Error(
      Kind::kBadInput,
      fmt::format("expected user, position, item and two ranks, found {}", quote(lines.line())),
      lines.place());
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
  if (a.size() != b.size() || a.empty()) {
    throw Error(Kind::kBadInput, fmt::format("cannot pair {} results with {}", a.size(), b.size()));
  }
  std::vector<double> differences(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  Comparison result;
  result.pairs = a.size();
  result.difference = mean_sd(differences).mean;
  Rng draws = rng.fork("bootstrap");
  std::vector<double> means(std::max<std::size_t>(resamples, 1));
  for (double& mean : means) {
    double sum = 0.0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      sum += differences[draws.below(differences.size())];
    }
    mean = sum / static_cast<double>(differences.size());
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

void save_queries(const Evaluation& evaluation, const Dataset& target, const std::string& path) {
  write_file(path, [&](const Sink& sink) {
    sink(fmt::format("{}\n", kHeader));
    for (const QueryResult& query : evaluation.queries) {
      sink(fmt::format("{}\t{}\t{}\t{}\t{}\n", target.user_ids().name(query.user), query.position,
                       target.item_ids().name(query.target), query.ranks.rank,
                       query.ranks.rank_unseen));
    }
  });
}

std::vector<SavedQuery> load_queries(const std::string& path) {
  LineReader lines(path);
  if (!lines.next() || lines.line() != kHeader) {
    throw Error(Kind::kBadInput, "this is not a file of per-query results", at_line(path, 1),
                "make one with `kindling evaluate … --per-query FILE`");
  }
  std::vector<SavedQuery> queries;
  while (lines.next()) queries.push_back(parse_query(lines));
  return queries;
}

Comparison compare_with_saved(const Evaluation& evaluation, const Dataset& target,
                              const std::string& path, const std::string& metric, const Rng& rng) {
  const std::vector<SavedQuery> saved = load_queries(path);
  if (saved.size() != evaluation.queries.size()) {
    throw Error(Kind::kBadInput,
                fmt::format("holds {} queries, this evaluation has {}", saved.size(),
                            evaluation.queries.size()),
                path, "compare runs of the same target and protocol");
  }
  std::vector<double> theirs;
  for (std::size_t q = 0; q < saved.size(); ++q) {
    const QueryResult& mine = evaluation.queries[q];
    if (saved[q].user != target.user_ids().name(mine.user) || saved[q].position != mine.position ||
        saved[q].item != target.item_ids().name(mine.target)) {
      throw Error(Kind::kBadInput,
                  fmt::format("query of user {} is not the same as in this evaluation",
                              quote(saved[q].user)),
                  at_line(path, static_cast<std::int64_t>(q) + 2),
                  "compare runs of the same target and protocol");
    }
    theirs.push_back(metric_value(
        metric, evaluation.options.mask_seen ? saved[q].ranks.rank_unseen : saved[q].ranks.rank));
  }
  return compare_paired(evaluation.values(metric), theirs, rng);
}

}  // namespace kindling
