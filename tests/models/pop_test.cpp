#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

Dataset counted_shop() {
  DatasetBuilder builder(false);
  const ItemId a = builder.item("a");
  const ItemId b = builder.item("b");
  builder.item("never");
  const UserId user = builder.user("u");
  for (const ItemId item : {b, a, b}) builder.add(user, item, 0);
  return std::move(builder).build("counted");
}

TEST(Pop, CountsTrainingInteractions) {
  const Dataset shop = counted_shop();
  const auto model = make_model("pop", {});
  FitContext context;
  model->fit({.source = {}, .target_train = Domain{&shop, nullptr}}, context);
  const Query empty{};
  const std::vector<ItemId> candidates{2, 1, 0};

  const Matrix scores = model->score({&shop, nullptr}, std::span(&empty, 1), candidates);

  EXPECT_EQ(scores(0, 0), 0.0F);
  EXPECT_EQ(scores(0, 1), 2.0F);
  EXPECT_EQ(scores(0, 2), 1.0F);
}

TEST(Pop, SaysThatItNeedsTargetData) {
  const auto model = make_model("pop", {});
  FitContext context;
  EXPECT_THROW(model->fit({}, context), Error);
}

TEST(Pop, RefusesAnotherDomain) {
  const Dataset shop = counted_shop();
  const auto model = make_model("pop", {});
  FitContext context;
  model->fit({.source = {}, .target_train = Domain{&shop, nullptr}}, context);
  DatasetBuilder builder(false);
  builder.item("only");
  const Dataset other = std::move(builder).build("other");
  const Query empty{};
  const std::vector<ItemId> candidates{0};

  EXPECT_THROW(model->score({&other, nullptr}, std::span(&empty, 1), candidates), Error);
}

TEST(Pop, ComesBackFromItsState) {
  const Dataset shop = counted_shop();
  const auto model = make_model("pop", {});
  FitContext context;
  model->fit({.source = {}, .target_train = Domain{&shop, nullptr}}, context);
  const auto copy = make_model("pop", {});

  copy->load_state(model->state(), model->details());

  EXPECT_EQ(copy->state().front().values, model->state().front().values);
}

}  // namespace
}  // namespace kindling
