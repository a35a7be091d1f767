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
  for (const RankingQuery& query : queries) all.push_back({query.history, query.user});
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

// Asks for the union of a block's lists, so that one call serves many queries.
void by_scores(const Recommender& model, const Domain& domain,
               std::span<const RankingQuery> queries, const CandidateLists& lists,
               std::size_t block_size, std::vector<RankedQuery>& ranks) {
  std::vector<std::uint32_t> column(domain.data->item_count());
  for (std::size_t first = 0; first < queries.size(); first += block_size) {
    const auto block = queries.subspan(first, std::min(block_size, queries.size() - first));
    std::vector<std::vector<ItemId>> own(block.size());
    std::vector<ItemId> wanted;
    for (std::size_t q = 0; q < block.size(); ++q) {
      lists.negatives(*block[q].user, own[q]);
      own[q].push_back(block[q].target);
      wanted.insert(wanted.end(), own[q].begin(), own[q].end());
    }
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    for (std::size_t c = 0; c < wanted.size(); ++c) {
      column[wanted[c]] = static_cast<std::uint32_t>(c);
    }
    const Matrix scores = model.score(domain, asked(block), wanted);
    check(scores.rows() == block.size() && scores.cols() == wanted.size(),
          "score gave another shape");
    for (std::size_t q = 0; q < block.size(); ++q) {
      std::vector<float> mine;
      for (const ItemId item : own[q]) mine.push_back(scores(q, column[item]));
      ranks[first + q] = one_rank(kernels::rank_count(mine.data(), mine.size(), mine.size() - 1));
    }
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
    by_scores(model, domain, queries, lists, std::max<std::size_t>(options.score_block, 1), ranks);
  }
  return ranks;
}

}  // namespace kindling
