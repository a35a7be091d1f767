#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

// Three items in the plane: (2, 0), (0, 1), (1, 1).
ItemVectors plane() {
  ItemVectors vectors{Matrix(3, 2), "file", "plane"};
  vectors.values(0, 0) = 2.0F;
  vectors.values(1, 1) = 1.0F;
  vectors.values(2, 0) = 1.0F;
  vectors.values(2, 1) = 1.0F;
  return vectors;
}

Event event(ItemId item) { return {.item = item, .value = 1.0F, .time = 0}; }

std::vector<float> user_vector(const OptionValues& options, const std::vector<Event>& history) {
  const ItemVectors vectors = plane();
  const auto model = make_model("embknn", options);
  const Query query{history};
  const Matrix user = dynamic_cast<const VectorRecommender&>(*model).user_vectors(
      {nullptr, &vectors}, std::span(&query, 1));
  return {user.row(0).begin(), user.row(0).end()};
}

TEST(EmbKnn, AveragesTheHistory) {
  EXPECT_EQ(user_vector({}, {event(0), event(1)}), (std::vector<float>{1.0F, 0.5F}));
}

TEST(EmbKnn, AnswersAnEmptyHistoryWithTheMeanItem) {
  EXPECT_EQ(user_vector({}, {}), (std::vector<float>{1.0F, 2.0F / 3.0F}));
}

TEST(EmbKnn, TakesTheLastItem) {
  EXPECT_EQ(user_vector({{"history", "last"}}, {event(0), event(1)}),
            (std::vector<float>{0.0F, 1.0F}));
}

TEST(EmbKnn, WeighsRecentItemsMore) {
  // Weights 1 for item 1 and 0.5 for item 0; the item before them is outside the window.
  const std::vector<float> user =
      user_vector({{"history", "recency"}, {"window", "2"}}, {event(2), event(0), event(1)});

  EXPECT_FLOAT_EQ(user[0], 1.0F / 1.5F);
  EXPECT_FLOAT_EQ(user[1], 1.0F / 1.5F);
}

TEST(EmbKnn, ScoresByCosineWhenAsked) {
  const ItemVectors vectors = plane();
  const auto model = make_model("embknn", {{"vectors", "cosine"}});
  const std::vector<Event> history{event(2)};
  const Query query{history};
  const std::vector<ItemId> candidates{0, 1, 2};

  const Matrix scores = model->score({nullptr, &vectors}, std::span(&query, 1), candidates);

  EXPECT_FLOAT_EQ(scores(0, 0), std::sqrt(0.5F));
  EXPECT_FLOAT_EQ(scores(0, 1), std::sqrt(0.5F));
  EXPECT_FLOAT_EQ(scores(0, 2), 1.0F);
}

TEST(EmbKnn, WhitensTheItemsOfTheDomain) {
  // Four corners of a rectangle 20 by 2: whitening makes it a square about the origin.
  ItemVectors vectors{Matrix(4, 2), "file", "rectangle"};
  for (std::size_t j = 0; j < 4; ++j) {
    vectors.values(j, 0) = j % 2 == 0 ? 100.0F : 120.0F;
    vectors.values(j, 1) = j < 2 ? 5.0F : 7.0F;
  }
  const auto model = make_model("embknn", {{"vectors", "whiten-cosine"}});
  const std::vector<Event> history{event(0)};
  const Query query{history};
  const std::vector<ItemId> candidates{0, 1, 2, 3};

  const Matrix scores = model->score({nullptr, &vectors}, std::span(&query, 1), candidates);

  EXPECT_NEAR(scores(0, 0), 1.0F, 1e-3);
  EXPECT_NEAR(scores(0, 1), 0.0F, 1e-3);
  EXPECT_NEAR(scores(0, 2), 0.0F, 1e-3);
  EXPECT_NEAR(scores(0, 3), -1.0F, 1e-3);
}

TEST(EmbKnn, NoticesOtherVectorsAtTheSamePlace) {
  ItemVectors vectors = plane();
  const auto model = make_model("embknn", {});
  const std::vector<Event> history{event(0)};
  const Query query{history};
  const std::vector<ItemId> candidates{0};
  EXPECT_FLOAT_EQ(model->score({nullptr, &vectors}, std::span(&query, 1), candidates)(0, 0), 4.0F);

  vectors.values(0, 0) = 3.0F;

  EXPECT_FLOAT_EQ(model->score({nullptr, &vectors}, std::span(&query, 1), candidates)(0, 0), 9.0F);
}

TEST(EmbKnn, SaysThatItNeedsVectors) {
  const auto model = make_model("embknn", {});
  const Query empty{};
  const std::vector<ItemId> candidates{0};
  EXPECT_THROW(model->score({}, std::span(&empty, 1), candidates), Error);
}

}  // namespace
}  // namespace kindling
