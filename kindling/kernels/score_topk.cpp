#include "kindling/kernels/score_topk.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/dot.h"
#include "kindling/kernels/packed_items.h"

namespace kindling::kernels {

namespace {

// Users that go through the panels together: a panel is fetched from memory once for all of them,
// and their integers stay in a core's second cache. For 300 numbers a vector, 256 users are 25 %
// faster than 64 and 512 no faster than 256.
constexpr std::size_t kLargestGroup = 256;
constexpr std::size_t kSmallestGroup = 64;

// Smaller when there are too few queries to keep all threads busy with large ones.
std::size_t group_size(std::size_t queries) {
  const std::size_t share = queries / (4 * static_cast<std::size_t>(threads()));
  return std::clamp(share / kTileUsers * kTileUsers, kSmallestGroup, kLargestGroup);
}

// work(first, size) for each group of queries.
template <class Work>
void for_each_group(std::size_t queries, const Work& work) {
  const std::size_t group = group_size(queries);
  parallel_for((queries + group - 1) / group, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t g = begin; g < end; ++g) work(g * group, std::min(group, queries - g * group));
  });
}

}  // namespace

// The users of a group in integers, and the mark of each.
struct ScoredCatalogue::UserBlock {
  UserBlock(const ScoredCatalogue& catalogue, const float* users, std::size_t count)
      : tiles((count + kTileUsers - 1) / kTileUsers),
        values(tiles * catalogue.packed_->pairs * kTileUsers),
        quantised(tiles * kTileUsers),
        marks(tiles * kTileUsers),
        dim(catalogue.dim_),
        pairs(catalogue.packed_->pairs) {
    std::vector<std::int16_t> integers(pairs * 2);
    for (std::size_t r = 0; r < count; ++r) {
      quantised[r] = quantise(users + r * dim, dim, integers.data());
      std::int32_t* column = values.data() + r / kTileUsers * pairs * kTileUsers + r % kTileUsers;
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        column[pair * kTileUsers] = join_pair(integers[2 * pair], integers[2 * pair + 1]);
      }
    }
  }

  // Scores are compared with `score` from now on.
  void set_mark(std::size_t r, float score) {
    const Quantised& q = quantised[r];
    // What float arithmetic adds to the errors of packed_items.h: the dot product itself (a share
    // of |u||v|), the few operations of compare() (another 8 roundings), and the division below.
    const double rounding = dot_error_factor(dim) + 8.0 * 0x1p-24;
    const double smallest = static_cast<double>(dim) * std::numeric_limits<float>::min();
    const double mark = static_cast<double>(score) / q.scale;
    const double slack = std::abs(mark) * 0x1p-22 + smallest / q.scale;
    marks[r].high = static_cast<float>(mark + slack);
    marks[r].low = static_cast<float>(mark - slack);
    marks[r].error_weight = static_cast<float>(q.integer_norm * (1.0 + 1e-6));
    marks[r].norm_weight =
        static_cast<float>((q.error + rounding * q.norm) / q.scale * (1.0 + 1e-6));
  }

  const std::int32_t* tile(std::size_t t) const { return values.data() + t * pairs * kTileUsers; }

  std::size_t tiles;
  AlignedArray<std::int32_t> values;  // [tiles, pairs, kTileUsers]
  std::vector<Quantised> quantised;
  std::vector<Mark> marks;
  std::size_t dim;
  std::size_t pairs;
};

ScoredCatalogue::ScoredCatalogue(const float* items, std::size_t count, std::size_t dim)
    : items_(items),
      count_(count),
      dim_(dim),
      packed_(std::make_unique<PackedPanels>(pack_items(items, count, dim))) {
  check(count < std::numeric_limits<std::uint32_t>::max(), "too many items for 32-bit ids");
}

ScoredCatalogue::~ScoredCatalogue() = default;

void ScoredCatalogue::count_ranks(const float* users, std::size_t queries,
                                  const std::uint32_t* targets, RankCount* counts) const {
  for (std::size_t q = 0; q < queries; ++q) {
    check(targets[q] < count_, "the target of a rank is not among the items");
  }
  const auto rank_group = [&](std::size_t first, std::size_t size) {
    UserBlock block(*this, users + first * dim_, size);
    std::vector<float> target_scores(size);
    for (std::size_t r = 0; r < size; ++r) {
      target_scores[r] = dot(users + (first + r) * dim_, item(targets[first + r]), dim_);
      block.set_mark(r, target_scores[r]);
      counts[first + r] = {};
    }
    TileResult tile;
    for (std::size_t panel = 0; panel < packed_->panels; ++panel) {
      for (std::size_t t = 0; t < block.tiles; ++t) {
        compare_tile(*packed_, panel, block.tile(t), block.marks.data() + t * kTileUsers, tile);
        const std::size_t here = std::min(kTileUsers, size - t * kTileUsers);
        for (std::size_t r = 0; r < here; ++r) {
          const std::size_t local = t * kTileUsers + r;
          const std::size_t query = first + local;
          counts[query].greater += tile.above[r];
          for (std::uint64_t bits = tile.unsure[r]; bits != 0; bits &= bits - 1) {
            const std::size_t j =
                panel * kTileItems + static_cast<std::size_t>(std::countr_zero(bits));
            if (j >= count_ || j == targets[query]) continue;
            const float score = dot(users + query * dim_, item(j), dim_);
            counts[query].greater += score > target_scores[local] ? 1U : 0U;
            counts[query].equal += score == target_scores[local] ? 1U : 0U;
          }
        }
      }
    }
  };
  for_each_group(queries, rank_group);
}

RankCount ScoredCatalogue::without(RankCount all, const float* user, std::uint32_t target,
                                   std::span<const std::uint32_t> left_out) const {
  if (left_out.empty()) return all;
  std::vector<std::uint32_t> once(left_out.begin(), left_out.end());
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  const float mark = dot(user, item(target), dim_);
  for (const std::uint32_t j : once) {
    check(j < count_, "an item to leave out is not among the items");
    if (j == target) continue;
    const float score = dot(user, item(j), dim_);
    all.greater -= score > mark ? 1U : 0U;
    all.equal -= score == mark ? 1U : 0U;
  }
  return all;
}

void ScoredCatalogue::best(const float* users, std::size_t queries, std::size_t k,
                           std::span<const std::vector<std::uint32_t>> left_out,
                           std::vector<Scored>* lists) const {
  check(left_out.empty() || left_out.size() == queries, "one list of left-out items a query");
  k = std::min(k, count_);
  const auto best_of_group = [&](std::size_t first, std::size_t size) {
    UserBlock block(*this, users + first * dim_, size);
    std::vector<TopK> best(size, TopK(k));
    for (std::size_t r = 0; r < size; ++r) block.set_mark(r, best[r].threshold());
    const auto offer = [&](std::size_t local, std::size_t j) {
      const std::size_t query = first + local;
      if (j >= count_) return;
      const auto id = static_cast<std::uint32_t>(j);
      if (!left_out.empty() &&
          std::binary_search(left_out[query].begin(), left_out[query].end(), id)) {
        return;
      }
      best[local].offer(dot(users + query * dim_, item(j), dim_), id);
    };
    TileResult tile;
    for (std::size_t panel = 0; panel < packed_->panels; ++panel) {
      for (std::size_t t = 0; t < block.tiles; ++t) {
        compare_tile(*packed_, panel, block.tile(t), block.marks.data() + t * kTileUsers, tile);
        const std::size_t here = std::min(kTileUsers, size - t * kTileUsers);
        for (std::size_t r = 0; r < here; ++r) {
          const std::size_t local = t * kTileUsers + r;
          for (std::uint64_t bits = tile.candidates[r]; bits != 0; bits &= bits - 1) {
            offer(local, panel * kTileItems + static_cast<std::size_t>(std::countr_zero(bits)));
          }
          block.set_mark(local, best[local].threshold());
        }
      }
    }
    for (std::size_t r = 0; r < size; ++r) lists[first + r] = best[r].sorted();
  };
  for_each_group(queries, best_of_group);
}

void count_ranks_reference(const float* users, std::size_t queries, const float* items,
                           std::size_t count, std::size_t dim, const std::uint32_t* targets,
                           RankCount* counts) {
  std::vector<float> scores(count);
  for (std::size_t q = 0; q < queries; ++q) {
    for (std::size_t j = 0; j < count; ++j) {
      scores[j] = dot(users + q * dim, items + j * dim, dim);
    }
    counts[q] = rank_count_reference(scores.data(), count, targets[q]);
  }
}

}  // namespace kindling::kernels
