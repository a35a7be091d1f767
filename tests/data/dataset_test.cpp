#include "kindling/data/dataset.h"

#include <filesystem>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::TempDir;

Dataset small(bool has_times = true) {
  DatasetBuilder builder(has_times);
  const UserId anna = builder.user("anna");
  const UserId ben = builder.user("ben/ü");
  const ItemId lamp = builder.item("lamp");
  const ItemId desk = builder.item("desk");
  builder.set_item(lamp, {"Lamp", "Lamp. A bright one", {"Home", "Light"}, "Acme"});
  builder.add(ben, desk, 30, 4.0F);
  builder.add(anna, desk, 20);
  builder.add(anna, lamp, 10);
  builder.add(anna, desk, 10);
  Dataset data = std::move(builder).build("small");
  data.origin = {{"format", "test"}};
  return data;
}

std::vector<ItemId> items_of(std::span<const Event> history) {
  std::vector<ItemId> items;
  for (const Event& event : history) items.push_back(event.item);
  return items;
}

TEST(DatasetBuilder, SortsByTimeAndKeepsTheOrderOfTies) {
  const Dataset data = small();

  // anna: lamp (10), desk (10), desk (20)
  EXPECT_EQ(items_of(data.history(0)), (std::vector<ItemId>{0, 1, 1}));
  EXPECT_EQ(data.history(1)[0].value, 4.0F);
}

TEST(DatasetBuilder, NumbersEventsWithoutTimes) {
  const Dataset data = small(false);

  EXPECT_EQ(items_of(data.history(0)), (std::vector<ItemId>{1, 0, 1}));
  EXPECT_EQ(data.history(0)[2].time, 2);
}

TEST(Dataset, FingerprintChangesWithEachPart) {
  const std::string same = small().fingerprint();
  EXPECT_EQ(small().fingerprint(), same);
  EXPECT_NE(small(false).fingerprint(), same);

  DatasetBuilder builder(true);
  builder.item("lamp");
  EXPECT_NE(std::move(builder).build("small").fingerprint(), same);
}

TEST(DatasetDirectory, GivesBackWhatWasSaved) {
  const TempDir dir;
  const Dataset data = small();

  save_dataset(data, dir.file("d"));
  const Dataset loaded = load_dataset(dir.file("d"));

  EXPECT_EQ(loaded.fingerprint(), data.fingerprint());
  EXPECT_EQ(loaded.name, "small");
  EXPECT_EQ(loaded.origin, data.origin);
  EXPECT_EQ(loaded.items(), data.items());
  EXPECT_TRUE(std::equal(loaded.events().begin(), loaded.events().end(), data.events().begin()));
}

TEST(DatasetDirectory, HoldsAnEmptyDataset) {
  const TempDir dir;

  save_dataset(DatasetBuilder(false).build("empty"), dir.file("d"));

  EXPECT_EQ(load_dataset(dir.file("d")).item_count(), 0U);
}

TEST(DatasetDirectory, IsReplacedOnlyByForceAndOnlyWhenItIsOne) {
  const TempDir dir;
  save_dataset(small(), dir.file("d"));
  dir.write("other/notes.txt", "mine");

  EXPECT_THROW(save_dataset(small(), dir.file("d")), Error);
  EXPECT_NO_THROW(save_dataset(small(), dir.file("d"), true));
  EXPECT_THROW(save_dataset(small(), dir.file("other"), true), Error);
  EXPECT_EQ(read_file(dir.file("other/notes.txt")), "mine");
}

TEST(DatasetDirectory, SaysHowToMakeOneWhenThereIsNone) {
  try {
    load_dataset("/nowhere/at/all");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kNotFound);
    EXPECT_THAT(error.hint(), ::testing::HasSubstr("kindling import"));
  }
}

// Every file of the directory: each prefix and each flipped byte is found.
TEST(DatasetDirectory, NoticesEveryTruncationAndFlippedByte) {
  const TempDir dir;
  save_dataset(small(), dir.file("d"));
  for (const auto& entry : std::filesystem::directory_iterator(dir.file("d"))) {
    const std::string name = "d/" + entry.path().filename().string();
    const std::string whole = read_file(entry.path().string());
    const bool marker = entry.path().filename() == kDatasetMarker;
    for (std::size_t at = 0; at < whole.size(); at += marker ? 7 : 1) {
      if (marker && at + 2 >= whole.size()) continue;  // a cut final line end changes nothing
      dir.write(name, whole.substr(0, at));
      EXPECT_THROW(load_dataset(dir.file("d")), Error) << name << " cut at " << at;
      if (marker) continue;
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      dir.write(name, flipped);
      EXPECT_THROW(load_dataset(dir.file("d")), Error) << name << " changed at " << at;
    }
    dir.write(name, whole);
  }
  EXPECT_NO_THROW(load_dataset(dir.file("d")));
}

TEST(DatasetDirectory, RefusesValuesThatAreNoNumbers) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const TempDir dir;
    DatasetBuilder builder(true);
    builder.add(builder.user("u"), builder.item("a"), 1, value);
    save_dataset(std::move(builder).build("odd"), dir.file("d"));

    try {
      load_dataset(dir.file("d"));
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::kCorrupt);
      EXPECT_THAT(error.place(), ::testing::HasSubstr("event_values.bin"));
    }
  }
}

TEST(DatasetDirectory, RefusesAnotherVersion) {
  const TempDir dir;
  save_dataset(small(), dir.file("d"));
  Json record = read_json(dir.file("d/dataset.json"));
  record["version"] = 99;
  dir.write("d/dataset.json", record.dump());

  try {
    load_dataset(dir.file("d"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kUnsupported);
  }
}

}  // namespace
}  // namespace kindling
