#include "kindling/data/transforms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/inspect.h"

namespace kindling {
namespace {

using ::testing::HasSubstr;

// Rows such as "u: a a b": a user and their items.
Dataset world(const std::vector<std::pair<std::string, std::string>>& users,
              const std::string& prefix = "") {
  DatasetBuilder builder(false);
  for (const auto& [name, items] : users) {
    const UserId user = builder.user(name);
    for (const char item : items) builder.add(user, builder.item(prefix + item), 0);
  }
  for (ItemId item = 0; item < builder.item_count(); ++item) {
    const std::string id = builder.item_ids().name(item);
    builder.set_item(item, {id, "text of " + id, {id < "c" ? "low" : "high"}, ""});
  }
  return std::move(builder).build("world");
}

TransformOptions nothing() {
  TransformOptions options;
  options.collapse = "off";
  options.drop_textless = "no";
  options.min_user_length = 0;
  return options;
}

std::string history(const Dataset& data, UserId user) {
  std::string text;
  for (const Event& event : data.history(user)) text += data.item_ids().name(event.item);
  return text;
}

TEST(Transforms, CollapseRunsOrAnyRepeat) {
  Json steps;
  TransformOptions options = nothing();
  const Dataset data = world({{"u", "aabba"}, {"v", "a"}});

  options.collapse = "runs";
  EXPECT_EQ(history(apply_transforms(data, options, steps), 0), "aba");
  options.collapse = "any";
  EXPECT_EQ(history(apply_transforms(data, options, steps), 0), "ab");
  options.collapse = "off";
  EXPECT_EQ(history(apply_transforms(data, options, steps), 0), "aabba");
}

TEST(Transforms, CoreInOnePassTakesItemsFirstAndLetsThemFallBack) {
  Json steps;
  TransformOptions options = nothing();
  options.user_core = 2;
  options.item_core = 2;
  const Dataset data = world({{"u", "ab"}, {"v", "ab"}, {"w", "cd"}, {"x", "c"}});

  // d goes as an item; then w and x are too short, which leaves c without anybody.
  EXPECT_EQ(apply_transforms(data, options, steps).item_count(), 2U);
  const Dataset loose = world({{"u", "ab"}, {"v", "ab"}, {"w", "ca"}, {"x", "c"}});
  options.core_passes = "once";
  const Dataset once = apply_transforms(loose, options, steps);
  EXPECT_EQ(once.user_count(), 3U);  // x goes, and c keeps its one row
  EXPECT_EQ(once.item_count(), 3U);
  options.core_passes = "repeat";
  EXPECT_EQ(apply_transforms(loose, options, steps).item_count(), 2U);
}

TEST(Transforms, CanNumberItemsByTheirIds) {
  Json steps;
  TransformOptions options = nothing();
  options.item_order = "lexicographic";

  const Dataset result = apply_transforms(world({{"u", "cba"}}), options, steps);

  EXPECT_EQ(result.item_ids().name(0), "a");
  EXPECT_EQ(result.item_ids().name(2), "c");
  EXPECT_EQ(history(result, 0), "cba");
}

TEST(Transforms, DropShortUsersAfterCollapsing) {
  Json steps;
  const Dataset result = apply_transforms(world({{"u", "ab"}, {"v", "aaa"}}), {}, steps);

  EXPECT_EQ(result.user_count(), 1U);
  EXPECT_EQ(result.user_ids().name(0), "u");
  EXPECT_EQ(steps.size(), 2U);
}

TEST(Transforms, KeepOneOfNPartsWithoutOverlap) {
  std::vector<std::pair<std::string, std::string>> users;
  for (int u = 0; u < 100; ++u) users.emplace_back("user" + std::to_string(u), "ab");
  const Dataset data = world(users);
  Json steps;
  std::size_t total = 0;
  for (const char* part : {"1/3", "2/3", "3/3"}) {
    TransformOptions options = nothing();
    options.user_part = part;
    total += apply_transforms(data, options, steps).user_count();
  }

  EXPECT_EQ(total, 100U);
}

TEST(Transforms, RefuseAPartThatIsNone) {
  Json steps;
  for (const char* part : {"0/2", "3/2", "1", "a/b", "1/0"}) {
    TransformOptions options = nothing();
    options.user_part = part;
    EXPECT_THROW(apply_transforms(world({{"u", "ab"}}), options, steps), Error) << part;
  }
}

TEST(Transforms, KeepOrDropCategories) {
  Json steps;
  TransformOptions options = nothing();
  const Dataset data = world({{"u", "abcd"}});

  options.include_categories = "low";
  EXPECT_EQ(history(apply_transforms(data, options, steps), 0), "ab");
  options = nothing();
  options.exclude_categories = "low | none such";
  EXPECT_THROW(apply_transforms(data, options, steps), Error);
  options.exclude_categories = "low";
  EXPECT_EQ(history(apply_transforms(data, options, steps), 0), "cd");
}

TEST(Transforms, RepeatTheCoreUntilItHolds) {
  Json steps;
  TransformOptions options = nothing();
  options.user_core = 2;
  options.item_core = 2;
  // c is rare; without it w has one event left, and without w so has d.
  const Dataset result =
      apply_transforms(world({{"u", "ab"}, {"v", "abd"}, {"w", "cd"}}), options, steps);

  EXPECT_EQ(result.user_count(), 2U);
  EXPECT_EQ(result.item_count(), 2U);
}

TEST(Transforms, KeepTheLastEvents) {
  Json steps;
  TransformOptions options = nothing();
  options.keep_last = 2;

  EXPECT_EQ(history(apply_transforms(world({{"u", "abcd"}}), options, steps), 0), "cd");
}

TEST(Transforms, KeepARandomSubsetOfUsers) {
  std::vector<std::pair<std::string, std::string>> users;
  for (int u = 0; u < 50; ++u) users.emplace_back("u" + std::to_string(u), "ab");
  Json steps;
  TransformOptions options = nothing();
  options.max_users = 10;
  const auto fingerprint = [&](int seed) {
    options.transform_seed = seed;
    const Dataset result = apply_transforms(world(users), options, steps);
    EXPECT_EQ(result.user_count(), 10U);
    return result.fingerprint();
  };

  EXPECT_EQ(fingerprint(1), fingerprint(1));
  EXPECT_NE(fingerprint(1), fingerprint(2));
}

TEST(Transforms, DropItemsWithoutTextUnlessNoneHasText) {
  DatasetBuilder builder(false);
  const UserId user = builder.user("u");
  for (const char* item : {"a", "b", "c"}) builder.add(user, builder.item(item), 0);
  const Dataset bare = DatasetBuilder(builder).build("bare");
  builder.set_item(0, {"A", "A", {}, ""});
  builder.set_item(1, {"B", "B", {}, ""});
  const Dataset texted = std::move(builder).build("texted");
  Json steps;

  EXPECT_EQ(apply_transforms(bare, {}, steps).item_count(), 3U);
  EXPECT_EQ(apply_transforms(texted, {}, steps).item_count(), 2U);
}

TEST(Transforms, SayWhenNothingIsLeft) {
  Json steps;
  TransformOptions options;
  options.min_user_length = 10;

  try {
    apply_transforms(world({{"u", "ab"}, {"v", "abc"}}), options, steps);
    FAIL() << "nothing is left, and nobody says so";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_EQ(error.message(),
              "nothing is left of dataset 'world': of 2 users, 3 items and 5 events, "
              "min_user_length left none");
    EXPECT_THAT(error.hint(), HasSubstr("longest history has length 3"));
    EXPECT_THAT(error.hint(), HasSubstr("--min-user-length is 10"));
  }
}

TEST(RemoveOverlap, TakesSharedUsersAndItemsFromTheSource) {
  const Dataset source = world({{"u", "ab"}, {"v", "abcd"}, {"w", "ad"}});
  const Dataset target = world({{"u", "x"}, {"t", "a"}});

  const Dataset result = remove_overlap(source, target);

  // u is shared, a is shared; then w has only d left.
  EXPECT_EQ(result.user_count(), 1U);
  EXPECT_EQ(history(result, 0), "bcd");
}

TEST(RemoveOverlap, TakesUsersOrItemsAloneOrNeither) {
  const Dataset source = world({{"u", "ab"}, {"v", "abcd"}, {"w", "ad"}, {"x", "d"}});
  const Dataset target = world({{"u", "x"}, {"t", "a"}});
  const auto left = [&](const char* removed) {
    std::string text;
    const Dataset result = remove_overlap(source, target, 2, overlap_named(removed));
    for (UserId user = 0; user < result.user_count(); ++user) {
      text += result.user_ids().name(user) + ":" + history(result, user) + " ";
    }
    return text;
  };

  EXPECT_EQ(left("users"), "v:abcd w:ad ");
  EXPECT_EQ(left("items"), "v:bcd ");  // u and w are left with one event, x has one anyway
  EXPECT_EQ(left("none"), "u:ab v:abcd w:ad ");
  EXPECT_EQ(left("both"), "v:bcd ");
  EXPECT_THROW(overlap_named("all"), Error);
}

TEST(RemoveOverlap, SaysWhatIsSharedWhenNothingIsLeft) {
  const Dataset source = world({{"u", "ab"}, {"v", "cd"}, {"w", "a"}});
  const Dataset target = world({{"u", "xa"}, {"v", "y"}});
  const auto said = [&](const char* removed) {
    try {
      remove_overlap(source, target, 2, overlap_named(removed));
    } catch (const Error& error) {
      return error.message() + " / " + error.hint();
    }
    return std::string("nothing");
  };

  EXPECT_THAT(said("both"), HasSubstr("2 of its 3 users and 1 of its 4 items are in both"));
  EXPECT_THAT(said("both"), HasSubstr("--protocol leave-two-out"));
  EXPECT_EQ(said("none"), "nothing");
}

TEST(MatchingItems, FindsRowsByOutsideId) {
  const Dataset whole = world({{"u", "abc"}});
  const Dataset part = world({{"v", "ca"}});

  EXPECT_EQ(matching_items(part, whole), (std::vector<ItemId>{2, 0}));
  EXPECT_THROW(matching_items(world({{"v", "z"}}), whole), Error);
}

TEST(DuplicateTexts, FindsEqualAndNearlyEqualOnes) {
  DatasetBuilder builder(false);
  const char* texts[] = {"Red desk lamp with a long arm and a heavy foot",
                         "red desk-lamp with a long arm and a heavy foot!",
                         "Blue desk lamp with a long arm and a heavy foot", "Green chair", ""};
  for (int i = 0; i < 5; ++i) {
    const ItemId item = builder.item("i" + std::to_string(i));
    builder.set_item(item, {"", texts[i], {}, ""});
  }
  const Dataset data = std::move(builder).build("texts");

  const DuplicateReport report = duplicate_texts(data);

  EXPECT_EQ(report.same_text_items, 1U);
  EXPECT_EQ(report.near_pairs, 2U);  // the blue lamp and both red ones
}

TEST(InspectAgainst, CountsWhatIsShared) {
  const Json audit = inspect_against(world({{"u", "ab"}, {"v", "bc"}}), world({{"v", "cd"}}));

  EXPECT_EQ(audit.at("shared_users"), 1);
  EXPECT_EQ(audit.at("shared_items"), 1);
  EXPECT_EQ(audit.at("same_texts"), 1);
  EXPECT_TRUE(audit.at("time").is_null());
}

}  // namespace
}  // namespace kindling
