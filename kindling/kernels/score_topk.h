// Ranks and best items by dot product over a whole catalogue, without ever storing [queries,
// items].
//
//   ScoredCatalogue catalogue(items.data(), items.rows(), items.cols());   // packs once
//   catalogue.count_ranks(users, n, targets, counts);     // how many items beat each target
//   catalogue.best(users, n, 10, {}, lists);              // ten best items for each user
//
// score(u, j) = dot(u, v_j) of kernels/dot.h, and the results are exactly those of computing every
// score and counting or sorting: integers decide the clear cases, dot() the others
// (packed_items.h). Hence independent of batch and threads.
//
// Threads: const methods may be called from many threads; each uses the pool of base/parallel.h.
// Errors: Error{kInternal} for vectors that are not finite. `items` must outlive the catalogue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kindling/kernels/rank_count.h"
#include "kindling/kernels/topk.h"

namespace kindling::kernels {

struct PackedPanels;

class ScoredCatalogue {
 public:
  ScoredCatalogue(const float* items, std::size_t count, std::size_t dim);
  ~ScoredCatalogue();

  std::size_t items() const { return count_; }
  std::size_t dim() const { return dim_; }

  // users [queries, dim], targets [queries] -> counts [queries].
  void count_ranks(const float* users, std::size_t queries, const std::uint32_t* targets,
                   RankCount* counts) const;

  // The same without the items of `left_out`, of which the target itself does not count: what
  // remains of `all`, the result of count_ranks.
  RankCount without(RankCount all, const float* user, std::uint32_t target,
                    std::span<const std::uint32_t> left_out) const;

  // users [queries, dim] -> the k best items of each, best first, ties by the smaller id.
  // `left_out` is empty or holds a sorted list of items for each query that must not appear.
  void best(const float* users, std::size_t queries, std::size_t k,
            std::span<const std::vector<std::uint32_t>> left_out, std::vector<Scored>* lists) const;

 private:
  struct UserBlock;
  const float* item(std::size_t j) const { return items_ + j * dim_; }

  const float* items_;
  std::size_t count_;
  std::size_t dim_;
  std::unique_ptr<const PackedPanels> packed_;
};

// Every score, one dot() after the other: the answers the catalogue is held to.
void count_ranks_reference(const float* users, std::size_t queries, const float* items,
                           std::size_t count, std::size_t dim, const std::uint32_t* targets,
                           RankCount* counts);

}  // namespace kindling::kernels
