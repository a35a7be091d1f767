#include "kindling/data/domains.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

// One event of each user with item "i".
Dataset users_of(const std::vector<std::string>& users) {
  DatasetBuilder builder(false);
  for (const std::string& user : users) builder.add(builder.user(user), builder.item("i"), 0);
  return std::move(builder).build("d");
}

TEST(SharedUsers, AreFoundByTheirOutsideIds) {
  const Dataset first = users_of({"anna", "bert", "cleo"});
  const Dataset second = users_of({"cleo", "dora", "anna"});

  EXPECT_EQ(shared_users(first, second), (std::vector<SharedUser>{{0, 2}, {2, 0}}));
}

TEST(SharedUsers, MayBeNobody) {
  EXPECT_TRUE(shared_users(users_of({"anna"}), users_of({"bert"})).empty());
}

// Users u0 … u<count - 1> with an item of their own each and one for all.
Dataset people(const std::string& prefix, int count) {
  DatasetBuilder builder(false);
  for (int u = 0; u < count; ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    builder.add(user, builder.item(prefix + "all"), 0);
    builder.add(user, builder.item(prefix + std::to_string(u)), 0);
  }
  return std::move(builder).build(prefix);
}

TEST(ThinOverlap, KeepsTheShareInBothAndEveryOtherUserInOne) {
  const Dataset first = people("a", 40);
  const Dataset second = people("b", 30);  // all 30 are shared

  const DomainPair pair = thin_overlap(first, second, {.keep = 0.3}, Rng(5));

  EXPECT_EQ(pair.shared, 9U);
  EXPECT_EQ(shared_users(pair.first, pair.second).size(), 9U);
  EXPECT_EQ(pair.first.user_count() + pair.second.user_count(), 40U + 9U);
  EXPECT_EQ(pair.first.item_count(), pair.first.user_count() + 1);  // items nobody took are gone
  EXPECT_GT(pair.second.user_count(), 12U);                         // the sides are drawn evenly
}

TEST(ThinOverlap, KeepsNobodyAtZeroAndAllAtOne) {
  const Dataset first = people("a", 12);
  const Dataset second = people("b", 10);

  EXPECT_EQ(thin_overlap(first, second, {.keep = 0.0}, Rng(5)).shared, 0U);
  const DomainPair all = thin_overlap(first, second, {.keep = 1.0}, Rng(5));
  EXPECT_EQ(all.first.fingerprint(), first.fingerprint());
  EXPECT_EQ(all.second.fingerprint(), second.fingerprint());
}

TEST(ThinOverlap, KeepsMoreUsersOnTopOfTheSameOnes) {
  const Dataset first = people("a", 30);
  const Dataset second = people("b", 30);
  const DomainPair few = thin_overlap(first, second, {.keep = 0.2}, Rng(1));
  const DomainPair many = thin_overlap(first, second, {.keep = 0.6}, Rng(1));

  for (const SharedUser& user : shared_users(few.first, few.second)) {
    const std::string& name = few.first.user_ids().name(user.first);
    EXPECT_TRUE(many.first.user_ids().find(name) && many.second.user_ids().find(name));
  }
}

TEST(ThinOverlap, CountsAShareOfTheFirstDomainAsThePaperDoes) {
  const Dataset first = people("a", 40);
  const Dataset second = people("b", 30);

  EXPECT_EQ(thin_overlap(first, second, {.keep = 0.5, .of = "first"}, Rng(1)).shared, 20U);
  EXPECT_THROW(thin_overlap(first, second, {.keep = 0.9, .of = "first"}, Rng(1)), Error);
}

TEST(ThinOverlap, NeedsCommonUsersAndAShare) {
  const Dataset first = people("a", 3);

  EXPECT_THROW(thin_overlap(first, users_of({"anna"}), {}, Rng(1)), Error);
  EXPECT_THROW(thin_overlap(first, people("b", 3), {.keep = 1.5}, Rng(1)), Error);
}

TEST(SavePair, WritesBothOrNeither) {
  const testing::TempDir dir;
  const DomainPair old = {people("a", 3), people("b", 3)};
  const DomainPair other = {people("a", 5), people("b", 5)};
  save_pair(old, dir.file("a"), dir.file("b"));
  EXPECT_EQ(load_dataset(dir.file("b")).fingerprint(), old.second.fingerprint());

  // A file stands where the second directory's parent should be.
  write_file(dir.file("file"), "x");
  EXPECT_THROW(save_pair(other, dir.file("a"), dir.file("file/b"), true), Error);
  EXPECT_EQ(load_dataset(dir.file("a")).fingerprint(), old.first.fingerprint());
  EXPECT_THROW(save_pair(other, dir.file("file/a"), dir.file("b"), true), Error);
  EXPECT_EQ(load_dataset(dir.file("b")).fingerprint(), old.second.fingerprint());

  save_pair(other, dir.file("a"), dir.file("b"), true);
  EXPECT_EQ(load_dataset(dir.file("a")).fingerprint(), other.first.fingerprint());
  EXPECT_EQ(load_dataset(dir.file("b")).fingerprint(), other.second.fingerprint());
}

TEST(CapUsers, KeepsCommonUsersFirst) {
  const Dataset first = people("a", 30);
  const Dataset second = people("b", 12);  // u0 … u11 are shared

  const DomainPair pair = cap_users(first, second, 15, Rng(1));

  EXPECT_EQ(pair.first.user_count(), 15U);
  EXPECT_EQ(pair.second.fingerprint(), second.fingerprint());  // small enough as it is
  EXPECT_EQ(pair.shared, 12U);
  EXPECT_EQ(pair.first.item_count(), 16U);  // items nobody took are gone
}

TEST(CapUsers, DrawsFromTheCommonUsersWhenTheyAreMore) {
  const DomainPair pair = cap_users(people("a", 30), people("b", 40), 10, Rng(1));

  EXPECT_EQ(pair.shared, 10U);  // the same ones on both sides
  EXPECT_EQ(pair.second.user_count(), 10U);
}

}  // namespace
}  // namespace kindling
