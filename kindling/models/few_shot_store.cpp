#include "kindling/models/few_shot_store.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/data/safetensors.h"

namespace kindling::few_shot_store {

namespace {

constexpr const char* kFrozenFile = "frozen.safetensors";
constexpr const char* kWorldFolder = "world";
constexpr const char* kAdaptationFile = "adaptation.json";

std::vector<std::string> write_frozen(const std::string& folder, const FrozenVectors& vectors,
                                      const Dataset& world) {
  write_safetensors(folder + "/" + kFrozenFile,
                    {tensor_view("users", vectors.users), tensor_view("items", vectors.items)},
                    {{"recipe", vectors.recipe.dump()}});
  save_dataset(world, folder + "/" + kWorldFolder);
  return {kFrozenFile, std::string(kWorldFolder) + "/" + kDatasetMarker};
}

FrozenVectors read_frozen(const std::string& directory, const Dataset& world) {
  const std::string path = directory + "/" + kFrozenFile;
  const SafetensorsFile file(path);
  FrozenVectors vectors{file.matrix("users"), file.matrix("items"), Json::object()};
  if (vectors.users.rows() != world.user_count() || vectors.items.rows() != world.item_count() ||
      vectors.users.cols() != vectors.items.cols()) {
    throw Error(Kind::kCorrupt, "the vectors do not fit the world's users and items", path);
  }
  const auto recipe = file.metadata().find("recipe");
  if (recipe != file.metadata().end()) vectors.recipe = parse_json(recipe->second, path);
  return vectors;
}

StoredModel load_kind(const std::string& directory, const char* kind) {
  StoredModel stored = load_model_files(directory);
  const std::string found = stored.record.data.value("kind", std::string("model"));
  if (found != kind) {
    throw Error(Kind::kBadInput,
                fmt::format("holds {} {}, expected {} {}", found == kAdaptedKind ? "an" : "a",
                            found, std::string(kind) == kAdaptedKind ? "an" : "a", kind),
                directory,
                std::string(kind) == kAdaptedKind
                    ? "make one with kindling adapt MODEL_DIR --scenario FILE --out DIR"
                    : "make one with kindling train MODEL --scenarios DIR --out MODEL_DIR");
  }
  return stored;
}

// The candidates as a world of their own, with the support as history; all users keep their ids.
Dataset world_of(const Dataset& world, const Scenario& scenario) {
  DatasetBuilder builder(false);
  for (UserId user = 0; user < world.user_count(); ++user) {
    builder.user(world.user_ids().name(user));
  }
  for (const ItemId item : scenario.candidates) {
    builder.set_item(builder.item(world.item_ids().name(item)), world.items()[item]);
  }
  for (const auto& [user, item] : scenario.support) {
    const auto place =
        std::lower_bound(scenario.candidates.begin(), scenario.candidates.end(), item);
    builder.add(user, static_cast<ItemId>(place - scenario.candidates.begin()), 0);
  }
  return std::move(builder).build(scenario.name);
}

}  // namespace

}  // namespace kindling::few_shot_store

namespace kindling {

void save_few_shot(const FewShotModel& model, const ModelRecord& record, const FewShotTask& task,
                   const std::string& directory, bool force) {
  ModelRecord marked = record;
  marked.data["kind"] = kFewShotKind;
  marked.data["source_items"] = task.scenarios->source_items;
  save_model_files(model.state(), marked, find_few_shot(record.model).source, directory, force,
                   [&](const std::string& folder) {
                     return few_shot_store::write_frozen(folder, *task.vectors,
                                                         task.scenarios->world);
                   });
}

LoadedFewShot load_few_shot(const std::string& directory) {
  StoredModel stored = few_shot_store::load_kind(directory, kFewShotKind);
  LoadedFewShot loaded;
  loaded.record = std::move(stored.record);
  loaded.model = make_few_shot(loaded.record.model, loaded.record.options);
  loaded.model->load_state(stored.state, loaded.record.details);
  loaded.set.world = load_dataset(directory + "/" + few_shot_store::kWorldFolder);
  loaded.set.source_items = json_get<std::uint32_t>(loaded.record.data, "source_items", directory);
  loaded.vectors = few_shot_store::read_frozen(directory, loaded.set.world);
  return loaded;
}

void save_adapted(const ScenarioScorer& scorer, const ModelRecord& record, const FewShotTask& task,
                  const Scenario& scenario, const Json& adaptation, const std::string& directory,
                  bool force) {
  const ModelState state = scorer.state();
  if (state.empty()) {
    throw Error(Kind::kUnsupported,
                fmt::format("an adapted {} cannot be saved: it belongs to its whole training data",
                            record.model),
                {}, "evaluate it with kindling evaluate NAME --scenarios DIR");
  }
  FrozenVectors vectors{task.vectors->users,
                        Matrix(scenario.candidates.size(), task.vectors->dim()),
                        task.vectors->recipe};
  for (std::size_t c = 0; c < scenario.candidates.size(); ++c) {
    const auto row = task.vectors->items.row(scenario.candidates[c]);
    std::copy(row.begin(), row.end(), vectors.items.row(c).begin());
  }
  ModelRecord marked = record;
  marked.data["kind"] = kAdaptedKind;
  marked.data["scenario"] = scenario.name;
  save_model_files(
      state, marked, find_few_shot(record.model).source, directory, force,
      [&](const std::string& folder) {
        auto names = few_shot_store::write_frozen(
            folder, vectors, few_shot_store::world_of(task.scenarios->world, scenario));
        write_file(folder + "/" + few_shot_store::kAdaptationFile, adaptation.dump(2) + "\n");
        names.emplace_back(few_shot_store::kAdaptationFile);
        return names;
      });
}

LoadedAdapted load_adapted(const std::string& directory) {
  StoredModel stored = few_shot_store::load_kind(directory, kAdaptedKind);
  LoadedAdapted loaded;
  loaded.record = std::move(stored.record);
  loaded.model = make_few_shot(loaded.record.model, loaded.record.options);
  loaded.world = load_dataset(directory + "/" + few_shot_store::kWorldFolder);
  loaded.vectors =
      std::make_unique<FrozenVectors>(few_shot_store::read_frozen(directory, loaded.world));
  loaded.scorer = loaded.model->restore(*loaded.vectors, stored.state);
  return loaded;
}

std::string few_shot_kind(const std::string& directory) {
  const std::string path = directory + "/" + kModelMarker;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  const Json config = read_json(path);
  const Json data = config.is_object() ? config.value("data", Json::object()) : Json::object();
  return data.is_object() ? data.value("kind", std::string()) : std::string();
}

}  // namespace kindling
