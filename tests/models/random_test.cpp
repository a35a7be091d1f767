#include <gtest/gtest.h>

#include "kindling/models/registry.h"

namespace kindling {
namespace {

Matrix scores_of(std::uint64_t seed, std::span<const Event> history,
                 const std::vector<ItemId>& candidates) {
  const auto model = make_model("random", {});
  FitContext context;
  context.seed = seed;
  model->fit({}, context);
  const Query query{history};
  return model->score({}, std::span(&query, 1), candidates);
}

TEST(Random, GivesEveryQueryItsOwnOrder) {
  const std::vector<Event> one{{.item = 1, .value = 1.0F, .time = 0}};
  const std::vector<Event> two{{.item = 2, .value = 1.0F, .time = 0}};

  EXPECT_EQ(scores_of(1, one, {0})(0, 0), scores_of(1, one, {0})(0, 0));
  EXPECT_NE(scores_of(1, one, {0})(0, 0), scores_of(1, two, {0})(0, 0));
  EXPECT_NE(scores_of(1, one, {0})(0, 0), scores_of(2, one, {0})(0, 0));
}

TEST(Random, DoesNotDependOnTheCandidateList) {
  const Matrix all = scores_of(1, {}, {0, 1, 2, 3});
  const Matrix one = scores_of(1, {}, {2});

  EXPECT_EQ(all(0, 2), one(0, 0));
}

TEST(Random, KeepsItsSeedInTheDetails) {
  const auto model = make_model("random", {});
  FitContext context;
  context.seed = 42;
  model->fit({}, context);
  const auto copy = make_model("random", {});
  copy->load_state(model->state(), model->details());
  const Query empty{};
  const std::vector<ItemId> candidates{7};

  EXPECT_EQ(copy->score({}, std::span(&empty, 1), candidates)(0, 0),
            model->score({}, std::span(&empty, 1), candidates)(0, 0));
}

}  // namespace
}  // namespace kindling
