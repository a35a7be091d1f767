// The scenario directory: the input replaces the tasks or scenarios.json of a valid directory, with
// the SHA-256 put right, so that the checks behind it are reached.
#include "fuzz/reader_fuzz.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/scenarios.h"
#include "kindling/data/synthetic_scenarios.h"

namespace {

using namespace kindling;

const std::string& valid_directory() {
  static const std::string path = [] {
    ScenarioOptions options;
    options.min_items = 2;
    options.min_users = 2;
    options.min_pairs = 2;
    const SyntheticScenarios raw = make_synthetic_scenarios({.topics = 2,
                                                             .shared_users = 6,
                                                             .target_users = 6,
                                                             .source_items = 4,
                                                             .train_scenarios = 2,
                                                             .test_scenarios = 1,
                                                             .scenario_items = 4,
                                                             .presence = 1.0},
                                                            1);
    const std::string directory = fuzz::folder() + "/scenarios";
    save_scenarios(build_scenarios(raw.sources(), options), directory);
    return directory;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string& directory = valid_directory();
  static const Json record = read_json(directory + "/" + kScenarioMarker);
  static const std::string tasks = read_file(directory + "/tasks.jsonl");
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 4 == 0) {
    fuzz::write("scenarios/scenarios.json", input);
  } else {
    Json fresh = record;
    fresh["tasks_sha256"] = sha256(input);
    fuzz::write("scenarios/tasks.jsonl", input);
    fuzz::write("scenarios/scenarios.json", fresh.dump());
  }
  try {
    const ScenarioSet loaded = load_scenarios(directory);
    if (loaded.meta_train.empty()) std::abort();
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  fuzz::write("scenarios/tasks.jsonl", tasks);
  fuzz::write("scenarios/scenarios.json", record.dump());
  return 0;
}
