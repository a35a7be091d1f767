// The dataset directory: the input replaces one file of a valid directory, with its size and
// SHA-256 put right in dataset.json, so that the checks behind those are reached.
#include "fuzz/reader_fuzz.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/dataset.h"

namespace {

using namespace kindling;

const std::string& valid_directory() {
  static const std::string path = [] {
    DatasetBuilder builder(true);
    builder.set_item(builder.item("a"), {"A", "A text", {"x", "y"}, "b"});
    for (const char* user : {"u", "v"}) {
      for (const char* item : {"a", "b", "c"})
        builder.add(builder.user(user), builder.item(item), 1);
    }
    const std::string directory = fuzz::folder() + "/dataset";
    save_dataset(std::move(builder).build("tiny"), directory);
    return directory;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string& directory = valid_directory();
  static const Json record = read_json(directory + "/" + kDatasetMarker);
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::size_t pick = data[0] % (record.at("files").size() + 1);
  std::string changed = kDatasetMarker;
  Json fresh = record;
  for (const auto& [name, entry] : record.at("files").items()) {
    if (pick-- != 1) continue;
    changed = name;
    fresh["files"][name] = {{"bytes", input.size()}, {"sha256", sha256(input)}};
  }
  const std::string before = read_file(directory + "/" + changed);
  fuzz::write("dataset/" + changed, input);
  if (changed != kDatasetMarker) fuzz::write("dataset/dataset.json", fresh.dump());
  try {
    const Dataset loaded = load_dataset(directory);
    if (loaded.offsets().size() != loaded.user_count() + 1) std::abort();
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  fuzz::write("dataset/" + changed, before);
  fuzz::write("dataset/dataset.json", record.dump());
  return 0;
}
