// What is in a dataset, and what two of them have in common: the audit before a transfer.
//
//   Json facts = inspect_dataset(scientific);
//   Json audit = inspect_against(scientific, games);    // target, source
//
// Shared users and items and near-duplicate texts make a zero-shot result look better than it is;
// so does a source that reaches into the target's test period.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/data/dataset.h"

namespace kindling {

// Counts, density, history lengths, repeats, times, coverage and duplicates of texts.
Json inspect_dataset(const Dataset& data);

// {"shared_users", "shared_items", "same_texts", "near_texts", "examples", "time": …}. `time` is
// null unless both have times; else the target's split time (80 % [2.2]), the source's range, and
// how many source events lie behind the split.
Json inspect_against(const Dataset& target, const Dataset& source);

// Groups of items with one normalised text, and pairs whose word sets have a Jaccard similarity of
// at least `threshold` without being equal.
struct DuplicateReport {
  std::uint64_t same_text_items = 0;  // items that repeat the text of an earlier one
  std::uint64_t near_pairs = 0;
  std::vector<std::pair<ItemId, ItemId>> examples;  // up to ten pairs, first of `a`, then of `b`
};
DuplicateReport duplicate_texts(const Dataset& data, double threshold = 0.8);
// The same between two datasets: items of `a` whose text `b` has, and near pairs (a, b).
DuplicateReport duplicate_texts(const Dataset& a, const Dataset& b, double threshold = 0.8);

}  // namespace kindling
