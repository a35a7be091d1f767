#include "kindling/data/domains.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace kindling
