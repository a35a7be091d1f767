#include "kindling/eval/metrics.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"

namespace kindling {

double recall_at(double rank, std::int64_t k) { return rank <= static_cast<double>(k) ? 1.0 : 0.0; }

double hit_at(double rank, std::int64_t k) { return recall_at(rank, k); }

double ndcg_at(double rank, std::int64_t k) {
  return rank <= static_cast<double>(k) ? 1.0 / std::log2(rank + 1.0) : 0.0;
}

double mrr_at(double rank, std::int64_t k) {
  return rank <= static_cast<double>(k) ? 1.0 / rank : 0.0;
}

double reciprocal_rank(double rank) { return 1.0 / rank; }

double random_recall_at(std::int64_t k, std::size_t items) {
  if (items == 0) return 0.0;
  return std::min(1.0, static_cast<double>(k) / static_cast<double>(items));
}

double random_ndcg_at(std::int64_t k, std::size_t items) {
  if (items == 0) return 0.0;
  const auto last = std::min(k, static_cast<std::int64_t>(items));
  double sum = 0.0;
  for (std::int64_t rank = 1; rank <= last; ++rank) sum += ndcg_at(static_cast<double>(rank), k);
  return sum / static_cast<double>(items);
}

std::string history_slice(std::size_t length) {
  if (length <= 2) return fmt::format("history {}", length);
  if (length <= 4) return "history 3-4";
  return length <= 9 ? "history 5-9" : "history 10+";
}

std::vector<std::string> history_slices() {
  return {history_slice(0), history_slice(1), history_slice(2),
          history_slice(3), history_slice(5), history_slice(10)};
}

MetricTable::MetricTable(std::vector<std::int64_t> cutoffs) : cutoffs_(std::move(cutoffs)) {
  for (const std::int64_t k : cutoffs_) {
    if (k < 1)
      throw Error(Kind::kBadOption, fmt::format("a cut-off must be at least 1, not {}", k));
  }
  sums_.assign(cutoffs_.size() * 4 + 1, 0.0);
}

void MetricTable::add(double rank, double weight) {
  if (!(rank >= 1.0)) throw Error(Kind::kInternal, fmt::format("{} is not a rank", rank));
  std::size_t at = 0;
  for (const std::int64_t k : cutoffs_) {
    sums_[at++] += weight * ndcg_at(rank, k);
    sums_[at++] += weight * recall_at(rank, k);
    sums_[at++] += weight * hit_at(rank, k);
    sums_[at++] += weight * mrr_at(rank, k);
  }
  sums_[at] += weight * reciprocal_rank(rank);
  weights_ += weight;
  ++queries_;
}

std::vector<std::string> MetricTable::names() const {
  std::vector<std::string> all;
  for (const std::int64_t k : cutoffs_) {
    for (const char* metric : {"ndcg", "recall", "hr", "mrr"})
      all.push_back(fmt::format("{}@{}", metric, k));
  }
  all.emplace_back("mrr");
  return all;
}

std::vector<double> MetricTable::values() const {
  std::vector<double> means = sums_;
  for (double& mean : means) mean = weights_ > 0.0 ? mean / weights_ : 0.0;
  return means;
}

Json MetricTable::to_json() const {
  Json table = Json::object();
  const auto labels = names();
  const auto means = values();
  for (std::size_t i = 0; i < labels.size(); ++i) table[labels[i]] = means[i];
  return table;
}

namespace {

std::optional<double> value_of(const std::string& name, double rank) {
  if (name == "mrr") return reciprocal_rank(rank);
  const auto parts = split(name, '@');
  const auto k = parts.size() == 2 ? to_int(parts[1]) : std::nullopt;
  if (!k || *k < 1) return std::nullopt;
  if (parts[0] == "ndcg") return ndcg_at(rank, *k);
  if (parts[0] == "recall") return recall_at(rank, *k);
  if (parts[0] == "hr") return hit_at(rank, *k);
  if (parts[0] == "mrr") return mrr_at(rank, *k);
  return std::nullopt;
}

constexpr std::string_view kMacro = "macro_";

}  // namespace

bool is_macro(const std::string& name) { return name.starts_with(kMacro); }

std::string without_macro(const std::string& name) {
  return is_macro(name) ? name.substr(kMacro.size()) : name;
}

bool is_metric(const std::string& name) { return value_of(name, 1.0).has_value(); }

bool is_metric_at(const std::string& name, std::span<const std::int64_t> cutoffs) {
  if (!is_metric(name)) return false;
  const auto at = name.find('@');
  if (at == std::string::npos) return true;
  return std::find(cutoffs.begin(), cutoffs.end(), to_int(name.substr(at + 1))) != cutoffs.end();
}

double metric_value(const std::string& name, double rank) {
  if (const auto value = value_of(name, rank)) return *value;
  throw Error(Kind::kBadOption, fmt::format("unknown metric {}", quote(name)), {},
              "metrics are ndcg@K, recall@K, hr@K, mrr@K and mrr");
}

}  // namespace kindling
