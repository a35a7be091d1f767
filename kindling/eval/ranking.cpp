#include "kindling/eval/ranking.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/rank_count.h"
#include "kindling/kernels/score_topk.h"
#include "kindling/kernels/topk.h"

namespace kindling {

namespace {

std::vector<ItemId> all_items(const Dataset& data) {
  std::vector<ItemId> items(data.item_count());
  std::iota(items.begin(), items.end(), ItemId{0});
  return items;
}

std::vector<ItemId> items_of(std::span<const Event> history) {
  std::vector<ItemId> items;
  items.reserve(history.size());
  for (const Event& event : history) items.push_back(event.item);
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  return items;
}

RankedQuery both_ranks(kernels::RankCount all, kernels::RankCount unseen) {
  return {kernels::expected_rank(all), kernels::expected_rank(unseen)};
}

std::vector<Query> histories_of(std::span<const RankingQuery> queries) {
  std::vector<Query> histories;
  histories.reserve(queries.size());
  for (const RankingQuery& query : queries)
    histories.push_back({query.history, query.user, query.time});
  return histories;
}

void check_shape(const Matrix& got, std::size_t rows, std::size_t cols, const char* what) {
  check(
      got.rows() == rows && got.cols() == cols,
      fmt::format("{} gave [{}, {}], expected [{}, {}]", what, got.rows(), got.cols(), rows, cols));
}

void rank_by_vectors(const VectorRecommender& model, const Domain& domain,
                     std::span<const RankingQuery> queries, std::size_t block_size,
                     std::vector<RankedQuery>& ranks) {
  const Matrix items = model.item_vectors(domain);
  check_shape(items, domain.data->item_count(), items.cols(), "item_vectors");
  const kernels::ScoredCatalogue catalogue(items.data(), items.rows(), items.cols());
  for (std::size_t first = 0; first < queries.size(); first += block_size) {
    const auto block = queries.subspan(first, std::min(block_size, queries.size() - first));
    const Matrix users = model.user_vectors(domain, histories_of(block));
    check_shape(users, block.size(), items.cols(), "user_vectors");
    std::vector<ItemId> targets;
    for (const RankingQuery& query : block) targets.push_back(query.target);
    std::vector<kernels::RankCount> counts(block.size());
    catalogue.count_ranks(users.data(), block.size(), targets.data(), counts.data());
    parallel_for(block.size(), 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t q = begin; q < end; ++q) {
        const auto unseen = catalogue.without(counts[q], users.row(q).data(), targets[q],
                                              items_of(block[q].history));
        ranks[first + q] = both_ranks(counts[q], unseen);
      }
    });
  }
}

kernels::RankCount count_without(std::span<const float> scores, kernels::RankCount all,
                                 ItemId target, std::span<const ItemId> left_out) {
  for (const ItemId item : left_out) {
    if (item == target) continue;
    all.greater -= scores[item] > scores[target] ? 1U : 0U;
    all.equal -= scores[item] == scores[target] ? 1U : 0U;
  }
  return all;
}

void rank_by_scores(const Recommender& model, const Domain& domain,
                    std::span<const RankingQuery> queries, std::size_t block_size,
                    std::vector<RankedQuery>& ranks) {
  const std::vector<ItemId> candidates = all_items(*domain.data);
  for (std::size_t first = 0; first < queries.size(); first += block_size) {
    const auto block = queries.subspan(first, std::min(block_size, queries.size() - first));
    const Matrix scores = model.score(domain, histories_of(block), candidates);
    check_shape(scores, block.size(), candidates.size(), "score");
    parallel_for(block.size(), 4, [&](std::size_t begin, std::size_t end) {
      for (std::size_t q = begin; q < end; ++q) {
        const auto row = scores.row(q);
        const auto all = kernels::rank_count(row.data(), row.size(), block[q].target);
        ranks[first + q] =
            both_ranks(all, count_without(row, all, block[q].target, items_of(block[q].history)));
      }
    });
  }
}

void check_queries(const Dataset& data, std::span<const RankingQuery> queries) {
  for (const RankingQuery& query : queries) {
    check(query.target < data.item_count(), "a ranking target is not an item of the domain");
    for (const Event& event : query.history) {
      check(event.item < data.item_count(), "a history holds an item of another domain");
    }
  }
}

}  // namespace

std::vector<RankedQuery> rank_targets(const Recommender& model, const Domain& domain,
                                      std::span<const RankingQuery> queries,
                                      const RankingOptions& options) {
  check(domain.data != nullptr, "ranking needs a dataset");
  check_queries(*domain.data, queries);
  std::vector<RankedQuery> ranks(queries.size());
  if (const auto* by_vectors = dynamic_cast<const VectorRecommender*>(&model)) {
    rank_by_vectors(*by_vectors, domain, queries, std::max<std::size_t>(options.vector_block, 1),
                    ranks);
  } else {
    rank_by_scores(model, domain, queries, std::max<std::size_t>(options.score_block, 1), ranks);
  }
  return ranks;
}

std::vector<Recommendation> recommend(const Recommender& model, const Domain& domain,
                                      std::span<const Event> history, std::size_t k,
                                      bool keep_seen) {
  check(domain.data != nullptr, "recommending needs a dataset");
  const std::vector<ItemId> candidates = all_items(*domain.data);
  const std::vector<ItemId> seen = keep_seen ? std::vector<ItemId>{} : items_of(history);
  const Query query{history};
  const Matrix scores = model.score(domain, std::span(&query, 1), candidates);
  check_shape(scores, 1, candidates.size(), "score");
  kernels::TopK best(std::min(k, candidates.size()));
  for (const ItemId item : candidates) {
    if (!std::binary_search(seen.begin(), seen.end(), item)) best.offer(scores(0, item), item);
  }
  std::vector<Recommendation> list;
  for (const kernels::Scored& scored : best.sorted()) list.push_back({scored.item, scored.score});
  return list;
}

}  // namespace kindling
