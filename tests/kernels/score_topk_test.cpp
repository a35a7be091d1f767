#include "kindling/kernels/score_topk.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/kernels/dot.h"

namespace kindling::kernels {
namespace {

// Users and items with a given width; `spread` stretches single items by up to that factor.
struct Case {
  Case(std::size_t users, std::size_t items, std::size_t width, double spread, std::uint64_t seed)
      : queries(users), count(items), dim(width) {
    Rng rng(seed);
    for (std::size_t i = 0; i < users * width; ++i) {
      user_values.push_back(static_cast<float>(rng.normal()));
    }
    for (std::size_t j = 0; j < items; ++j) {
      const double stretch = rng.uniform(1.0 / spread, spread);
      for (std::size_t i = 0; i < width; ++i) {
        item_values.push_back(static_cast<float>(rng.normal() * stretch));
      }
    }
    for (std::size_t q = 0; q < users; ++q) {
      targets.push_back(static_cast<std::uint32_t>(rng.below(items)));
    }
  }

  std::vector<RankCount> reference() const {
    std::vector<RankCount> counts(queries);
    count_ranks_reference(user_values.data(), queries, item_values.data(), count, dim,
                          targets.data(), counts.data());
    return counts;
  }
  std::vector<RankCount> fast() const {
    std::vector<RankCount> counts(queries);
    ScoredCatalogue(item_values.data(), count, dim)
        .count_ranks(user_values.data(), queries, targets.data(), counts.data());
    return counts;
  }

  std::size_t queries;
  std::size_t count;
  std::size_t dim;
  std::vector<float> user_values;
  std::vector<float> item_values;
  std::vector<std::uint32_t> targets;
};

TEST(ScoredCatalogue, CountsExactlyLikeTheReference) {
  for (const std::size_t dim : {1U, 2U, 7U, 64U, 300U, 385U}) {
    for (const std::size_t items : {1U, 47U, 48U, 49U, 500U}) {
      const Case data(70, items, dim, 10.0, dim * 1000 + items);
      EXPECT_EQ(data.fast(), data.reference()) << dim << " wide, " << items << " items";
    }
  }
}

TEST(ScoredCatalogue, CountsExactlyWhenScoresAreNearlyTied) {
  Case data(40, 300, 32, 1.0, 5);
  // Every item is the first one, changed in the last bits of one coordinate.
  for (std::size_t j = 1; j < data.count; ++j) {
    std::copy_n(data.item_values.begin(), data.dim,
                data.item_values.begin() + static_cast<std::ptrdiff_t>(j * data.dim));
    data.item_values[j * data.dim + j % data.dim] *= 1.0F + static_cast<float>(j % 5) * 1e-7F;
  }

  EXPECT_EQ(data.fast(), data.reference());
}

TEST(ScoredCatalogue, CountsExactlyForTinyLongAndSpikyVectors) {
  for (const float factor : {1e-25F, 1e-3F, 1e6F}) {
    Case data(20, 200, 24, 1.0, 9);
    for (auto& value : data.item_values) value *= factor;
    for (std::size_t q = 0; q < data.queries; ++q) data.user_values[q * data.dim] *= 1e5F;
    EXPECT_EQ(data.fast(), data.reference()) << factor;
  }
}

TEST(ScoredCatalogue, GivesTheMiddleWhenAllVectorsAreZero) {
  const std::vector<float> items(10 * 4, 0.0F);
  const std::vector<float> user(4, 1.0F);
  const std::uint32_t target = 3;
  RankCount count;

  ScoredCatalogue(items.data(), 10, 4).count_ranks(user.data(), 1, &target, &count);

  EXPECT_EQ(count, (RankCount{0, 9}));
}

TEST(ScoredCatalogue, DoesNotDependOnBatchOrThreads) {
  const Case data(150, 333, 40, 3.0, 11);
  const std::vector<RankCount> together = data.fast();
  const ScoredCatalogue catalogue(data.item_values.data(), data.count, data.dim);

  set_threads(1);
  for (std::size_t q = 0; q < data.queries; ++q) {
    RankCount alone;
    catalogue.count_ranks(data.user_values.data() + q * data.dim, 1, &data.targets[q], &alone);
    ASSERT_EQ(alone, together[q]);
  }
  set_threads(2);
}

TEST(ScoredCatalogue, TakesLeftOutItemsFromTheCount) {
  const std::vector<float> items{5.0F, 4.0F, 4.0F, 3.0F, 4.0F};
  const float user = 1.0F;
  const ScoredCatalogue catalogue(items.data(), 5, 1);
  const std::uint32_t target = 2;
  RankCount all;
  catalogue.count_ranks(&user, 1, &target, &all);
  EXPECT_EQ(all, (RankCount{1, 2}));

  // The target stays a candidate though it is listed; a repeated item counts once.
  const std::vector<std::uint32_t> seen{0, 2, 4, 0};

  EXPECT_EQ(catalogue.without(all, &user, target, seen), (RankCount{0, 1}));
}

TEST(ScoredCatalogue, FindsTheBestItemsExactly) {
  const Case data(70, 400, 30, 5.0, 21);
  const ScoredCatalogue catalogue(data.item_values.data(), data.count, data.dim);
  std::vector<std::vector<Scored>> lists(data.queries);
  catalogue.best(data.user_values.data(), data.queries, 10, {}, lists.data());

  std::vector<float> scores(data.count);
  for (std::size_t q = 0; q < data.queries; ++q) {
    for (std::size_t j = 0; j < data.count; ++j) {
      scores[j] = dot(&data.user_values[q * data.dim], &data.item_values[j * data.dim], data.dim);
    }
    ASSERT_EQ(lists[q], topk_reference(scores.data(), data.count, 10));
  }
}

TEST(ScoredCatalogue, NeverListsLeftOutItems) {
  const std::vector<float> items{1.0F, 2.0F, 3.0F, 4.0F};
  const float user = 1.0F;
  const std::vector<std::vector<std::uint32_t>> left_out{{1, 3}};
  std::vector<Scored> list;

  ScoredCatalogue(items.data(), 4, 1).best(&user, 1, 10, left_out, &list);

  EXPECT_EQ(list, (std::vector<Scored>{{3.0F, 2}, {1.0F, 0}}));
}

TEST(ScoredCatalogue, RefusesVectorsThatAreNotFinite) {
  std::vector<float> items(12, 1.0F);
  items[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(ScoredCatalogue(items.data(), 3, 4), Error);

  items[7] = 1.0F;
  const ScoredCatalogue catalogue(items.data(), 3, 4);
  const std::vector<float> user{1.0F, std::numeric_limits<float>::infinity(), 0.0F, 0.0F};
  const std::uint32_t target = 0;
  RankCount count;
  EXPECT_THROW(catalogue.count_ranks(user.data(), 1, &target, &count), Error);
}

}  // namespace
}  // namespace kindling::kernels
