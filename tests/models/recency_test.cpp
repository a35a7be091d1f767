#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

constexpr std::int64_t kDay = 86400;

std::vector<float> fitted_scores(const Dataset& shop, const OptionValues& options) {
  const auto model = make_model("recency", options);
  FitContext context;
  model->fit({.source = {}, .target_train = Domain{&shop, nullptr}}, context);
  return model->state().front().values;
}

TEST(Recency, HalvesTheWeightWithEveryHalfLife) {
  DatasetBuilder builder(true);
  const UserId user = builder.user("u");
  builder.add(user, builder.item("old"), 0);
  builder.add(user, builder.item("old"), 10 * kDay);
  builder.add(user, builder.item("new"), 20 * kDay);
  builder.item("never");
  const Dataset shop = std::move(builder).build("dated");

  const auto scores = fitted_scores(shop, {{"half_life_days", "10"}});

  EXPECT_FLOAT_EQ(scores[0], 0.25F + 0.5F);
  EXPECT_FLOAT_EQ(scores[1], 1.0F);
  EXPECT_FLOAT_EQ(scores[2], 0.0F);
}

TEST(Recency, OrdersByTheLastEvent) {
  DatasetBuilder builder(true);
  const UserId user = builder.user("u");
  // One second apart, far from 1970: a float could not tell the times from each other.
  builder.add(user, builder.item("first"), 1700000000);
  builder.add(user, builder.item("second"), 1700000001);
  builder.item("never");
  const Dataset shop = std::move(builder).build("dated");

  EXPECT_EQ(fitted_scores(shop, {{"kind", "last"}}), (std::vector<float>{1.0F, 2.0F, 0.0F}));
}

TEST(Recency, CountsLaterEventsWhereThereAreNoTimes) {
  DatasetBuilder builder(false);
  const UserId user = builder.user("u");
  for (const char* item : {"a", "b", "c"}) builder.add(user, builder.item(item), 0);
  const Dataset shop = std::move(builder).build("ordered");

  EXPECT_EQ(fitted_scores(shop, {{"half_life_events", "1"}}),
            (std::vector<float>{0.25F, 0.5F, 1.0F}));
}

TEST(Recency, RefusesBadOptions) {
  EXPECT_THROW(make_model("recency", {{"kind", "soon"}}), Error);
  EXPECT_THROW(make_model("recency", {{"half_life_days", "0"}}), Error);
}

}  // namespace
}  // namespace kindling
