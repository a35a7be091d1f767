#include "kindling/data/synthetic.h"

#include <gtest/gtest.h>

#include "kindling/data/domains.h"

namespace kindling {
namespace {

TEST(SyntheticWorld, DomainsShareNeitherUsersNorItems) {
  const SyntheticWorld world = make_synthetic_world({}, 1);

  for (ItemId item = 0; item < world.source.data.item_count(); ++item) {
    EXPECT_FALSE(world.target.data.item_ids().find(world.source.data.item_ids().name(item)));
  }
  for (UserId user = 0; user < world.source.data.user_count(); ++user) {
    EXPECT_FALSE(world.target.data.user_ids().find(world.source.data.user_ids().name(user)));
  }
}

TEST(SyntheticWorld, SameSeedGivesTheSameWorld) {
  const SyntheticDomain one = make_synthetic_domain("a", {}, 5);
  const SyntheticDomain two = make_synthetic_domain("a", {}, 5);
  const SyntheticDomain other = make_synthetic_domain("a", {}, 6);

  EXPECT_EQ(one.data.fingerprint(), two.data.fingerprint());
  EXPECT_NE(one.data.fingerprint(), other.data.fingerprint());
  EXPECT_EQ(one.vectors.values(3, 2), two.vectors.values(3, 2));
}

TEST(SyntheticWorld, ItemsOfOneTopicAreNearAcrossDomains) {
  const SyntheticWorld world = make_synthetic_world({.topics = 4, .dim = 32}, 2);
  const auto dot = [&](ItemId a, ItemId b) {
    double sum = 0.0;
    for (std::size_t c = 0; c < 32; ++c) {
      sum += world.source.vectors.values(a, c) * world.target.vectors.values(b, c);
    }
    return sum;
  };

  EXPECT_GT(dot(0, 4), dot(0, 5));
  EXPECT_GT(dot(1, 9), dot(1, 10));
}

TEST(SyntheticWorld, SequencesFollowTheRing) {
  const SyntheticDomain domain =
      make_synthetic_domain("a", {.users = 400, .topics = 5, .stay = 0.0, .advance = 1.0}, 3);

  for (UserId user = 0; user < domain.data.user_count(); ++user) {
    const auto history = domain.data.history(user);
    for (std::size_t n = 1; n < history.size(); ++n) {
      EXPECT_EQ(history[n].item % 5, (history[n - 1].item + 1) % 5);
      EXPECT_GT(history[n].time, history[n - 1].time);
    }
  }
}

TEST(SyntheticWorld, LengthsStayInRangeAndItemsHaveTexts) {
  const SyntheticDomain domain =
      make_synthetic_domain("a", {.users = 200, .min_length = 2, .max_length = 4}, 4);

  for (UserId user = 0; user < domain.data.user_count(); ++user) {
    EXPECT_GE(domain.data.history(user).size(), 2U);
    EXPECT_LE(domain.data.history(user).size(), 4U);
  }
  for (const Item& item : domain.data.items()) EXPECT_FALSE(item.text.empty());
}

TEST(SyntheticWorld, HasSharedUsersWhoStartWithTheSameTopic) {
  SyntheticOptions options;
  options.users = 60;
  options.shared_users = 25;
  const SyntheticWorld world = make_synthetic_world(options, 3);

  const auto shared = shared_users(world.source.data, world.target.data);

  ASSERT_EQ(shared.size(), 25U);
  for (const SharedUser& user : shared) {
    const auto topic = [&](const Dataset& data, UserId id) {
      return data.history(id)[0].item % options.topics;
    };
    EXPECT_EQ(topic(world.source.data, user.first), topic(world.target.data, user.second));
  }
}

}  // namespace
}  // namespace kindling
