// From models to expected ranks: every item of the domain is a candidate.
//
//   std::vector<RankedQuery> ranks = rank_targets(*model, domain, queries);
//
// Models whose score is a dot product go through kernels/score_topk.h; the others are asked for
// blocks of scores. Both give 1 + greater + equal / 2. Results do not depend on block size, threads
// or the order of queries. Errors: Error{kInternal} for a score that is not finite.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kindling/models/recommender.h"

namespace kindling {

// "Given this history, where does the target stand?"
struct RankingQuery {
  std::span<const Event> history;  // oldest first, may be empty
  ItemId target = 0;
  std::optional<UserId> user = std::nullopt;        // who asks, where that is known
  std::optional<std::int64_t> time = std::nullopt;  // when, where that is known
};

// The expected rank among all items, and among the items that are not in the history (the target
// itself always stays a candidate). ecosystem C4.7: which of the two is reported changes results by
// 10 to 40 %, so both are kept.
struct RankedQuery {
  double rank = 0.0;
  double rank_unseen = 0.0;
  friend bool operator==(const RankedQuery&, const RankedQuery&) = default;
};

struct RankingOptions {
  std::size_t vector_block = 4096;  // queries whose user vectors are held at once
  std::size_t score_block = 64;     // queries whose scores are held at once
};

std::vector<RankedQuery> rank_targets(const Recommender& model, const Domain& domain,
                                      std::span<const RankingQuery> queries,
                                      const RankingOptions& options = {});

// One recommended item.
struct Recommendation {
  ItemId item = 0;
  float score = 0.0F;
};

// The k best items for one history, best first, ties by the smaller id. `keep_seen`: items of the
// history may appear. Fewer than k when the catalogue is too small.
std::vector<Recommendation> recommend(const Recommender& model, const Domain& domain,
                                      std::span<const Event> history, std::size_t k,
                                      bool keep_seen = false);

}  // namespace kindling
