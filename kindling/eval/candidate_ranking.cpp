// Ranks among lists of candidates (candidates.h).
#include <algorithm>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/eval/candidates.h"
#include "kindling/kernels/gather_rank.h"

namespace kindling {

namespace {

RankedQuery one_rank(kernels::RankCount count) {
  const double rank = kernels::expected_rank(count);
  return {rank, rank};  // the lists hold nothing that was seen
}

std::vector<Query> asked(std::span<const RankingQuery> queries) {
  std::vector<Query> all;
  for (const RankingQuery& query : queries) all.push_back({query.history, query.user, query.time});
  return all;
}

void by_vectors(const VectorRecommender& model, const Domain& domain,
                std::span<const RankingQuery> queries, const CandidateLists& lists,
                std::size_t block_size, std::vector<RankedQuery>& ranks) {
  const Matrix items = model.item_vectors(domain);
  check(items.rows() == domain.data->item_count(), "item_vectors gave another number of rows");
  for (std::size_t first = 0; first < queries.size(); first += block_size) {
    const auto block = queries.subspan(first, std::min(block_size, queries.size() - first));
    const Matrix users = model.user_vectors(domain, asked(block));
    check(users.rows() == block.size() && users.cols() == items.cols(),
          "user_vectors gave another shape");
    parallel_for(block.size(), 16, [&](std::size_t begin, std::size_t end) {
      std::vector<ItemId> list;
      for (std::size_t q = begin; q < end; ++q) {
        lists.negatives(*block[q].user, list);
        ranks[first + q] =
            one_rank(kernels::gather_count_ranks(users.row(q).data(), items.data(), items.cols(),
                                                 block[q].target, list.data(), list.size()));
      }
    });
  }
}

// One query at a time: what different users' lists have in common is little.
void by_scores(const Recommender& model, const Domain& domain,
               std::span<const RankingQuery> queries, const CandidateLists& lists,
               std::vector<RankedQuery>& ranks) {
  std::vector<ItemId> list;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    lists.negatives(*queries[q].user, list);
    list.push_back(queries[q].target);
    const Matrix scores = model.score(domain, asked(queries.subspan(q, 1)), list);
    check(scores.rows() == 1 && scores.cols() == list.size(), "score gave another shape");
    ranks[q] = one_rank(kernels::rank_count(scores.row(0).data(), list.size(), list.size() - 1));
  }
}

}  // namespace

std::vector<RankedQuery> rank_among(const Recommender& model, const Domain& domain,
                                    std::span<const RankingQuery> queries,
                                    const CandidateLists& lists, const RankingOptions& options) {
  check(domain.data != nullptr, "ranking needs a dataset");
  for (const RankingQuery& query : queries) {
    check(query.user && query.target < domain.data->item_count(),
          "a query needs its user and an item of the domain");
  }
  std::vector<RankedQuery> ranks(queries.size());
  if (const auto* vectors = dynamic_cast<const VectorRecommender*>(&model)) {
    by_vectors(*vectors, domain, queries, lists, std::max<std::size_t>(options.vector_block, 1),
               ranks);
  } else {
    by_scores(model, domain, queries, lists, ranks);
  }
  return ranks;
}

}  // namespace kindling
