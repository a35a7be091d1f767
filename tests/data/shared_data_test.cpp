// The real data, when they are there: the counts of their README.
#include <filesystem>

#include <gtest/gtest.h>

#include "kindling/data/inspect.h"
#include "kindling/data/readers/reader.h"
#include "kindling/data/transforms.h"

namespace kindling {
namespace {

struct Folder {
  const char* format;
  const char* name;
  std::size_t users;
  std::size_t items;
  std::size_t events;
  bool has_times;
};

std::string path_of(const std::string& name) {
  return std::string(KINDLING_SHARED_DATA) + "/" + name;
}

Dataset read(const char* format, const std::string& path) {
  ImportReport report;
  return find_reader(format).read({path}, {}, report);
}

class SharedData : public ::testing::TestWithParam<Folder> {};

TEST_P(SharedData, HasTheCountsOfItsReadme) {
  const Folder& folder = GetParam();
  if (!std::filesystem::exists(path_of(folder.name))) {
    GTEST_SKIP() << path_of(folder.name) << " is absent: real data are not part of the project";
  }
  const Dataset data = read(folder.format, path_of(folder.name));

  EXPECT_EQ(data.user_count(), folder.users);
  EXPECT_EQ(data.event_count(), folder.events);
  EXPECT_EQ(data.has_times, folder.has_times);
  TransformOptions options;
  options.collapse = "off";
  options.drop_textless = "no";
  options.min_user_length = 0;
  Json steps;
  EXPECT_EQ(apply_transforms(data, options, steps).item_count(), folder.items);
}

INSTANTIATE_TEST_SUITE_P(
    All, SharedData,
    ::testing::Values(Folder{"sequences", "amazon2018_games", 50546, 16859, 452989, false},
                      Folder{"sequences", "amazon2018_scientific", 8442, 4385, 59384, false},
                      Folder{"sequences", "amazon2014_beauty", 22363, 12101, 198502, false},
                      Folder{"sequences", "amazon2014_sports", 35598, 18357, 296337, false},
                      Folder{"sequences", "amazon2014_clothing", 39387, 23033, 278677, false},
                      Folder{"csv", "amazon2018_office", 3231, 3317, 21290, true},
                      Folder{"csv", "amazon2018_industrial", 3285, 3541, 21737, true},
                      Folder{"recbole", "amazon2018_pantry", 12608, 4926, 109007, true},
                      Folder{"movielens", "movielens_latest_small", 671, 9066, 100004, true}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(SharedMind, IsAFormatSample) {
  if (!std::filesystem::exists(path_of("mind_sample"))) {
    GTEST_SKIP() << path_of("mind_sample") << " is absent: real data are not part of the project";
  }
  ImportReport report;
  const Dataset data = find_reader("mind").read({path_of("mind_sample")}, {}, report);

  EXPECT_EQ(report.rows, 7000);  // 5,000 impressions and 2,000 news
  EXPECT_GT(data.event_count(), 5000U);
}

TEST(SharedPair, ScientificAndGamesShareTheUsersOfTheReadme) {
  if (!std::filesystem::exists(path_of("amazon2018_games"))) {
    GTEST_SKIP() << path_of("amazon2018_games")
                 << " is absent: real data are not part of the project";
  }
  const Dataset games = read("sequences", path_of("amazon2018_games"));
  const Dataset scientific = read("sequences", path_of("amazon2018_scientific"));

  const Dataset source = remove_overlap(games, scientific);

  EXPECT_EQ(games.user_count() - source.user_count(), 559U);
}

}  // namespace
}  // namespace kindling
