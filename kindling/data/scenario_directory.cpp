// The scenario directory: scenarios.json (recipe, counts, SHA-256 of the tasks), tasks.jsonl (one
// scenario a line, pairs as flat lists user, item, user, item, …) and world/ (a dataset directory).
// docs/file_formats.md is the reference; a change of it raises kVersion.
#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/scenarios.h"

namespace kindling {

namespace {

constexpr std::int64_t kVersion = 1;
constexpr const char* kFormat = "kindling scenarios";
constexpr const char* kTasks = "tasks.jsonl";
constexpr const char* kWorld = "world";
constexpr std::size_t kLongestLine = std::size_t{256} << 20U;

[[noreturn]] void fail(const std::string& place, const std::string& what) {
  throw Error(Kind::kCorrupt, what, place,
              "the scenarios are damaged or were changed by hand; build them again");
}

Json flat(const std::vector<UserItem>& pairs) {
  Json numbers = Json::array();
  for (const auto& [user, item] : pairs) {
    numbers.push_back(user);
    numbers.push_back(item);
  }
  return numbers;
}

void append_tasks(const std::vector<Scenario>& tasks, const char* role, std::string& text) {
  for (const Scenario& task : tasks) {
    const Json line = {{"role", role},
                       {"name", task.name},
                       {"candidates", task.candidates},
                       {"pairs", flat(task.pairs)},
                       {"support", flat(task.support)},
                       {"evaluation", flat(task.evaluation)}};
    text += line.dump() + "\n";
  }
}

std::vector<std::uint32_t> numbers_of(const Json& line, const char* key, std::size_t bound,
                                      const std::string& place) {
  const auto list = json_get<Json>(line, key, place);
  if (!list.is_array()) fail(place, fmt::format("{} is no list", key));
  std::vector<std::uint32_t> numbers;
  numbers.reserve(list.size());
  for (const Json& value : list) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= bound) {
      fail(place, fmt::format("{} holds {}, expected numbers below {}", key, value.dump(), bound));
    }
    numbers.push_back(value.get<std::uint32_t>());
  }
  return numbers;
}

std::vector<UserItem> pairs_of(const Json& line, const char* key, const Dataset& world,
                               const std::vector<ItemId>& candidates, const std::string& place) {
  const std::size_t bound = std::max(world.user_count(), world.item_count());
  const auto numbers = numbers_of(line, key, bound, place);
  if (numbers.size() % 2 != 0) fail(place, fmt::format("{} ends in half a pair", key));
  std::vector<UserItem> pairs;
  std::set<std::pair<UserId, ItemId>> seen;
  for (std::size_t n = 0; n < numbers.size(); n += 2) {
    const UserItem pair{numbers[n], numbers[n + 1]};
    if (pair.user >= world.user_count()) {
      fail(place,
           fmt::format("{} names user {}, there are {}", key, pair.user, world.user_count()));
    }
    if (!std::binary_search(candidates.begin(), candidates.end(), pair.item)) {
      fail(place, fmt::format("{} names item {}, which is no candidate", key, pair.item));
    }
    if (!seen.insert({pair.user, pair.item}).second) {
      fail(place, fmt::format("{} holds the pair {}, {} twice", key, pair.user, pair.item));
    }
    pairs.push_back(pair);
  }
  return pairs;
}

Scenario task_of(const Json& line, const ScenarioSet& set, const std::string& place) {
  Scenario task;
  task.name = json_get<std::string>(line, "name", place);
  task.candidates = numbers_of(line, "candidates", set.world.item_count(), place);
  const auto unordered = std::adjacent_find(task.candidates.begin(), task.candidates.end(),
                                            [](ItemId a, ItemId b) { return a >= b; });
  if (unordered != task.candidates.end()) fail(place, "candidates do not ascend");
  if (!task.candidates.empty() && task.candidates.front() < set.source_items) {
    fail(place, fmt::format("candidate {} is an item of the source", task.candidates.front()));
  }
  task.pairs = pairs_of(line, "pairs", set.world, task.candidates, place);
  task.support = pairs_of(line, "support", set.world, task.candidates, place);
  task.evaluation = pairs_of(line, "evaluation", set.world, task.candidates, place);
  std::set<UserId> support;
  for (const UserItem& pair : task.support) support.insert(pair.user);
  for (const UserItem& pair : task.evaluation) {
    if (support.contains(pair.user)) {
      fail(place, fmt::format("user {} is in support and evaluation", pair.user));
    }
  }
  return task;
}

void read_tasks(const std::string& path, ScenarioSet& set) {
  for (LineReader lines(path, kLongestLine); lines.next();) {
    const Json line = parse_json(lines.line(), lines.place());
    const auto role = json_get<std::string>(line, "role", lines.place());
    Scenario task = task_of(line, set, lines.place());
    const bool split = role != "meta-train";
    if (split ? task.support.empty() || task.evaluation.empty() || !task.pairs.empty()
              : task.pairs.empty() || !task.support.empty() || !task.evaluation.empty()) {
      fail(lines.place(), "the scenario's lists do not fit its role");
    }
    if (role == "meta-train") {
      set.meta_train.push_back(std::move(task));
    } else if (role == "validation") {
      set.validation.push_back(std::move(task));
    } else if (role == "meta-test") {
      set.meta_test.push_back(std::move(task));
    } else {
      fail(lines.place(), fmt::format("unknown role {}", quote(role)));
    }
  }
}

}  // namespace

void save_scenarios(const ScenarioSet& set, const std::string& directory, bool force) {
  write_directory(directory, force, kScenarioMarker, [&](const std::filesystem::path& folder) {
    save_dataset(set.world, (folder / kWorld).string());
    std::string text;
    append_tasks(set.meta_train, "meta-train", text);
    append_tasks(set.validation, "validation", text);
    append_tasks(set.meta_test, "meta-test", text);
    write_file((folder / kTasks).string(), text);
    const Json record = {{"format", kFormat},
                         {"version", kVersion},
                         {"meta_train", set.meta_train.size()},
                         {"validation", set.validation.size()},
                         {"meta_test", set.meta_test.size()},
                         {"source_items", set.source_items},
                         {"fingerprint", set.fingerprint()},
                         {"tasks_sha256", sha256(text)},
                         {"recipe", set.recipe}};
    write_file((folder / kScenarioMarker).string(), record.dump(2) + "\n");
  });
}

ScenarioSet load_scenarios(const std::string& directory) {
  const std::string marker = directory + "/" + kScenarioMarker;
  std::error_code status;
  if (!std::filesystem::exists(marker, status)) {
    throw Error(Kind::kNotFound, fmt::format("is no scenario directory (no {})", kScenarioMarker),
                directory, "make one with: kindling scenarios --meta-train DIR … --out DIR");
  }
  const Json record = read_json(marker);
  if (json_get<std::string>(record, "format", marker) != kFormat) {
    fail(marker, "is not the description of scenarios");
  }
  const auto version = json_get<std::int64_t>(record, "version", marker);
  if (version != kVersion) {
    throw Error(Kind::kUnsupported,
                fmt::format("scenarios of version {}, this program reads {}", version, kVersion),
                marker, "build the scenarios again with this version");
  }
  const std::string tasks = directory + "/" + kTasks;
  if (sha256_file(tasks) != json_get<std::string>(record, "tasks_sha256", marker)) {
    fail(tasks, fmt::format("SHA-256 differs from the one in {}", kScenarioMarker));
  }
  ScenarioSet set;
  set.world = load_dataset(directory + "/" + kWorld);
  set.source_items = json_get<std::uint32_t>(record, "source_items", marker);
  set.recipe = json_get<Json>(record, "recipe", marker);
  try {
    read_tasks(tasks, set);
  } catch (const Error& error) {
    // Whatever is wrong inside our own file is damage.
    if (error.kind() != Kind::kBadInput) throw;
    fail(error.place(), error.message());
  }
  const auto count = [&](const char* key) { return json_get<std::uint64_t>(record, key, marker); };
  if (count("meta_train") != set.meta_train.size() || count("meta_test") != set.meta_test.size() ||
      count("validation") != set.validation.size()) {
    fail(marker, "counts other scenarios than the tasks hold");
  }
  if (set.fingerprint() != json_get<std::string>(record, "fingerprint", marker)) {
    fail(marker, "the world or the tasks are not those that the fingerprint says");
  }
  return set;
}

}  // namespace kindling
