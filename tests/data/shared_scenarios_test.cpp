// The scenarios of the real data, when they are there: the counts of issue and README.
#include <filesystem>

#include <gtest/gtest.h>

#include "kindling/data/readers/reader.h"
#include "kindling/data/scenarios.h"

namespace kindling {
namespace {

Dataset read(const char* format, const std::string& name) {
  ImportReport report;
  return find_reader(format).read({std::string(KINDLING_SHARED_DATA) + "/" + name}, {}, report);
}

class SharedScenarios : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(KINDLING_SHARED_DATA) + "/amazon2014_clothing")) {
      GTEST_SKIP() << KINDLING_SHARED_DATA << " is absent: real data are not part of the project";
    }
  }

  static ScenarioSet amazon(const ScenarioOptions& options) {
    const Dataset clothing = read("sequences", "amazon2014_clothing");
    const Dataset sports = read("sequences", "amazon2014_sports");
    const Dataset beauty = read("sequences", "amazon2014_beauty");
    return build_scenarios({{&clothing}, {&sports}, {&beauty}}, options);
  }
};

TEST_F(SharedScenarios, SportsAndBeautyGive156And106LeafCategories) {
  const ScenarioSet set = amazon({});

  EXPECT_EQ(set.meta_train.size() + set.validation.size(), 156U);
  EXPECT_EQ(set.validation.size(), 8U);
  EXPECT_EQ(set.meta_test.size(), 106U);
}

TEST_F(SharedScenarios, ThePapersBoundsLeave29And36) {
  ScenarioOptions options;
  options.min_items = 100;
  options.max_items = 1000;
  const ScenarioSet set = amazon(options);

  EXPECT_EQ(set.meta_train.size() + set.validation.size(), 29U);
  EXPECT_EQ(set.meta_test.size(), 36U);
}

}  // namespace
}  // namespace kindling
