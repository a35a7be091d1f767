#include "kindling/models/frozen_vectors.h"

#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "tests/support/few_shot_world.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

double mean_product(const ScenarioSet& set, const FrozenVectors& vectors, bool same_topic) {
  double sum = 0.0;
  double count = 0.0;
  for (UserId user = 0; user < set.world.user_count(); user += 3) {
    if (set.world.history(user).empty()) continue;
    const bool in_source = set.world.history(user)[0].item < set.source_items;
    for (ItemId item = 0; item < set.world.item_count(); item += 7) {
      if (in_source != (item < set.source_items)) continue;
      const bool same = synthetic_topic(set.world.user_ids().name(user), 4) ==
                        synthetic_topic(set.world.item_ids().name(item), 4);
      if (same != same_topic) continue;
      for (std::size_t c = 0; c < vectors.dim(); ++c) {
        sum += static_cast<double>(vectors.users(user, c)) * vectors.items(item, c);
      }
      count += 1.0;
    }
  }
  return sum / count;
}

FrozenOptions small_frozen_options(const std::string& method) {
  FrozenOptions options;
  options.method = method;
  options.dim = 8;
  options.epochs = 10;
  options.sweeps = 5;
  return options;
}

TEST(FrozenVectors, BothMethodsBringUsersNearTheItemsOfTheirTopic) {
  const ScenarioSet set = testing::small_scenarios();
  for (const char* method : {"bpr", "als"}) {
    const FrozenVectors vectors = make_frozen_vectors(set, small_frozen_options(method));

    EXPECT_GT(mean_product(set, vectors, true), mean_product(set, vectors, false) + 0.1) << method;
  }
}

TEST(FrozenVectors, WhoHasNoInteractionHasAZeroRow) {
  ScenarioSet set = testing::small_scenarios();
  DatasetBuilder builder(false);
  builder.add(builder.user("u"), builder.item("a"), 0);
  builder.user("stranger");
  builder.item("b");
  set.world = std::move(builder).build("world");
  set.source_items = 2;

  const FrozenVectors vectors = make_frozen_vectors(set, small_frozen_options("als"));

  EXPECT_NE(vectors.users(0, 0), 0.0F);
  for (std::size_t c = 0; c < vectors.dim(); ++c) {
    EXPECT_EQ(vectors.users(1, c), 0.0F);
    EXPECT_EQ(vectors.items(1, c), 0.0F);
  }
}

TEST(FrozenVectors, AreOfOneLengthWhenAsked) {
  const ScenarioSet set = testing::small_scenarios();
  FrozenOptions options = small_frozen_options("als");
  options.length = 3.0;
  const FrozenVectors vectors = make_frozen_vectors(set, options);

  double squares = 0.0;
  for (const float value : vectors.items.row(0)) squares += static_cast<double>(value) * value;
  EXPECT_NEAR(std::sqrt(squares), 3.0, 1e-5);
}

// Items of 1 and 3 interactions: ln 2 and ln 4, a mean of 1.5 ln 2 and a deviation of 0.5 ln 2.
TEST(FrozenVectors, TellPopularityInACoordinateOfItsOwnWhenAsked) {
  ScenarioSet set = testing::small_scenarios();
  DatasetBuilder builder(false);
  for (const char* user : {"u", "v", "w"}) builder.add(builder.user(user), builder.item("a"), 0);
  builder.add(builder.user("u"), builder.item("b"), 0);
  builder.item("never chosen");
  set.world = std::move(builder).build("world");
  set.source_items = 3;
  FrozenOptions options = small_frozen_options("bpr");
  options.popularity = true;
  const FrozenVectors vectors = make_frozen_vectors(set, options);

  ASSERT_EQ(vectors.dim(), 9U);
  EXPECT_NEAR(vectors.items(0, 8), 1.0F, 1e-6F);
  EXPECT_NEAR(vectors.items(1, 8), -1.0F, 1e-6F);
  EXPECT_EQ(vectors.items(2, 8), 0.0F);  // no vector, and no popularity either
  EXPECT_EQ(vectors.users(0, 8), 1.0F);
}

TEST(FrozenVectors, AreReadFromTheCacheAndMadeAgainWhenDamaged) {
  const testing::TempDir dir;
  const ScenarioSet set = testing::small_scenarios();
  const FrozenOptions options = small_frozen_options("bpr");
  const FrozenVectors first = cached_frozen_vectors(set, options, dir.path());
  const auto file = *std::filesystem::directory_iterator(dir.file("vectors"));
  const auto written = std::filesystem::last_write_time(file);

  const FrozenVectors second = cached_frozen_vectors(set, options, dir.path());
  EXPECT_EQ(std::filesystem::last_write_time(file), written);
  EXPECT_EQ(second.users(3, 1), first.users(3, 1));
  EXPECT_EQ(second.recipe, first.recipe);

  std::filesystem::resize_file(file, 100);
  const FrozenVectors third = cached_frozen_vectors(set, options, dir.path());
  EXPECT_EQ(third.items(5, 2), first.items(5, 2));
}

TEST(FrozenVectors, UniversalNeedsAModel) {
  const ScenarioSet set = testing::small_scenarios();
  try {
    make_frozen_vectors(set, small_frozen_options("universal"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
  }
}

}  // namespace
}  // namespace kindling
