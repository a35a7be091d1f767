#include "kindling/models/registry.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling {
namespace {

TEST(Registry, NamesAreUniqueAndFound) {
  std::set<std::string> names;
  for (const ModelInfo& info : all_models()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_STREQ(find_model(info.name).name, info.name);
  }
}

TEST(Registry, SuggestsTheNearestName) {
  try {
    find_model("zesrek");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
    EXPECT_NE(error.hint().find("zesrec"), std::string::npos);
  }
}

}  // namespace
}  // namespace kindling
