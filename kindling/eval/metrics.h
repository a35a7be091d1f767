// Metrics of one relevant item per query: pure functions of the expected rank (1 is best).
//
//   MetricTable table(std::vector<std::int64_t>{10, 20});
//   for (double rank : ranks) table.add(rank);
//   Json metrics = table.to_json();          // {"recall@10":…,"ndcg@10":…,"hr@10":…,…,"mrr":…}
//
// With a single relevant item recall@k and hr@k (hit rate) are the same number; both names are
// printed because papers use either. A tie can give a rank of 10.5: it counts as outside the first
// ten, as in the formulas of specs/zesrec.md section 7.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/json.h"

namespace kindling {

double recall_at(double rank, std::int64_t k);  // 1[rank <= k]
double hit_at(double rank, std::int64_t k);     // the same
double ndcg_at(double rank, std::int64_t k);    // 1[rank <= k] / log2(rank + 1)
double mrr_at(double rank, std::int64_t k);     // 1[rank <= k] / rank
double reciprocal_rank(double rank);            // 1 / rank, over the whole list

// What a random order of `items` gives in the mean: recall@20 = 20/items, ndcg@20 = 7.0403/items.
double random_recall_at(std::int64_t k, std::size_t items);
double random_ndcg_at(std::int64_t k, std::size_t items);

// The slice that a query belongs to by the length of its history, and all of them in order:
// "history 0", "history 1", "history 2", "history 3-4", "history 5-9", "history 10+".
std::string history_slice(std::size_t length);
std::vector<std::string> history_slices();

// Running means of all metrics at several cut-offs.
class MetricTable {
 public:
  explicit MetricTable(std::vector<std::int64_t> cutoffs);

  // `weight` is 1, or 1 / (queries of the user) for a mean over users.
  void add(double rank, double weight = 1.0);
  std::size_t queries() const { return queries_; }
  std::vector<std::string> names() const;
  // Means in the order of names(); zeros when nothing was added.
  std::vector<double> values() const;
  Json to_json() const;

 private:
  std::vector<std::int64_t> cutoffs_;
  std::vector<double> sums_;
  double weights_ = 0.0;
  std::size_t queries_ = 0;
};

// Value of a metric by its name ("ndcg@20") for one rank. Error{kBadOption} for an unknown name.
double metric_value(const std::string& name, double rank);
bool is_metric(const std::string& name);
// Of those at one of these cut-offs; mrr has none.
bool is_metric_at(const std::string& name, std::span<const std::int64_t> cutoffs);
// "macro_recall@20": the mean over groups of queries (scenarios) of their means of recall@20.
bool is_macro(const std::string& name);
std::string without_macro(const std::string& name);

}  // namespace kindling
