#include "kindling/models/store.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/safetensors.h"
#include "kindling/models/few_shot.h"

namespace kindling {

namespace {

constexpr int kFormatVersion = 1;
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kCardFile = "README.md";
constexpr const char* kManifestFile = "manifest.json";

Json history_to_json(const std::vector<EpochRecord>& history) {
  Json all = Json::array();
  for (const EpochRecord& epoch : history) {
    all.push_back({{"epoch", epoch.epoch},
                   {"train_loss", epoch.train_loss},
                   {"seconds", epoch.seconds},
                   {"learning_rate", epoch.learning_rate}});
    // JSON has no NaN.
    if (!std::isnan(epoch.validation_loss)) all.back()["validation_loss"] = epoch.validation_loss;
    if (!std::isnan(epoch.validation_ndcg)) all.back()["validation_ndcg"] = epoch.validation_ndcg;
    if (epoch.validation_hr) all.back()["validation_hr@10"] = *epoch.validation_hr;
  }
  return all;
}

std::vector<EpochRecord> history_from_json(const Json& all, const std::string& place) {
  std::vector<EpochRecord> history;
  for (const Json& epoch : all) {
    EpochRecord record;
    record.epoch = json_get<std::int64_t>(epoch, "epoch", place);
    record.train_loss = json_get<double>(epoch, "train_loss", place);
    record.validation_loss = json_get_or<double>(epoch, "validation_loss", NAN, place);
    // Models of RecGURU were once written with null.
    if (!epoch.value("validation_ndcg", Json()).is_null()) {
      record.validation_ndcg = json_get<double>(epoch, "validation_ndcg", place);
    }
    record.seconds = json_get<double>(epoch, "seconds", place);
    record.learning_rate = json_get<double>(epoch, "learning_rate", place);
    if (epoch.contains("validation_hr@10")) {
      record.validation_hr = json_get<double>(epoch, "validation_hr@10", place);
    }
    history.push_back(record);
  }
  return history;
}

Json record_to_json(const ModelRecord& record) {
  Json config;
  config["kindling_model"] = kFormatVersion;
  config["version"] = record.version;
  config["model"] = record.model;
  config["seed"] = record.seed;
  config["options"] = Json::object();
  for (const auto& [name, value] : record.options) config["options"][name] = value;
  config["data"] = record.data;
  config["details"] = record.details;
  config["metrics"] = record.metrics;
  config["history"] = history_to_json(record.history);
  return config;
}

ModelRecord record_from_json(const Json& config, const std::string& place) {
  const auto version = json_get<int>(config, "kindling_model", place);
  if (version != kFormatVersion) {
    throw Error(Kind::kUnsupported,
                fmt::format("model format {}, this program reads {}", version, kFormatVersion),
                place);
  }
  ModelRecord record;
  record.version = json_get<std::string>(config, "version", place);
  record.model = json_get<std::string>(config, "model", place);
  record.seed = json_get<std::uint64_t>(config, "seed", place);
  const Json options = json_get<Json>(config, "options", place);
  for (const auto& [name, value] : options.items()) {
    record.options.emplace_back(name, options_detail::text_of(value));
  }
  record.data = json_get<Json>(config, "data", place);
  if (!record.data.is_object() || !record.data.value("role", Json("")).is_string()) {
    throw Error(Kind::kCorrupt, "\"data\" does not describe a domain", place);
  }
  record.details = json_get<Json>(config, "details", place);
  record.metrics = json_get<Json>(config, "metrics", place);
  record.history = history_from_json(json_get<Json>(config, "history", place), place);
  return record;
}

void write_weights(const std::string& path, const ModelState& state) {
  std::vector<TensorView> views;
  for (const NamedTensor& tensor : state) {
    TensorView view = tensor_view(tensor.name, std::span<const float>(tensor.values));
    view.shape.assign(tensor.shape.begin(), tensor.shape.end());
    views.push_back(std::move(view));
  }
  write_safetensors(path, views, {{"format", "kindling"}});
}

ModelState read_weights(const std::string& path) {
  const SafetensorsFile file(path);
  ModelState state;
  for (const TensorInfo& info : file.tensors()) {
    state.push_back({info.name, {info.shape.begin(), info.shape.end()}, file.floats(info)});
  }
  return state;
}

std::string table_of(const Json& object) {
  std::string text = "| | |\n|---|---|\n";
  for (const auto& [name, value] : object.items()) {
    text += fmt::format("| {} | {} |\n", name, options_detail::text_of(value));
  }
  return text;
}

// Four decimals, or nothing where nothing was measured.
std::string known(double value) {
  return std::isnan(value) ? std::string() : fmt::format("{:.4f}", value);
}

// For people: what the model is, what it has seen, how it was made.
std::string model_card(const ModelRecord& record, const Json& config, const std::string& source) {
  std::string text = fmt::format("# {}\n\nMade by Kindling {} with seed {}.\n", record.model,
                                 record.version, record.seed);
  text += fmt::format("\nSource: {}.\n", source);
  text += "\n## Data\n\n" + table_of(record.data);
  if (!record.metrics.empty()) text += "\n## Metrics\n\n" + table_of(record.metrics);
  text += "\n## Options\n\n" + table_of(config.at("options"));
  if (!record.details.empty()) text += "\n## Details\n\n" + table_of(record.details);
  if (record.history.empty()) return text;
  const bool by_hits = std::any_of(record.history.begin(), record.history.end(),
                                   [](const EpochRecord& epoch) { return epoch.validation_hr; });
  if (by_hits) {
    text += "\n## Learning curve\n\n| epoch | training loss | validation HR@10 | seconds |\n";
    text += "|---:|---:|---:|---:|\n";
    for (const EpochRecord& epoch : record.history) {
      text += fmt::format("| {} | {:.4f} | {} | {:.0f} |\n", epoch.epoch, epoch.train_loss,
                          epoch.validation_hr ? fmt::format("{:.4f}", *epoch.validation_hr) : "",
                          epoch.seconds);
    }
    return text;
  }
  text +=
      "\n## Learning curve\n\n| epoch | training loss | validation loss | validation N@20 | "
      "seconds |\n|---:|---:|---:|---:|---:|\n";
  for (const EpochRecord& epoch : record.history) {
    text += fmt::format("| {} | {:.4f} | {} | {} | {:.0f} |\n", epoch.epoch, epoch.train_loss,
                        known(epoch.validation_loss), known(epoch.validation_ndcg), epoch.seconds);
  }
  return text;
}

std::string join_path(const std::string& directory, const char* name) {
  return (std::filesystem::path(directory) / name).string();
}

void verify_manifest(const std::string& directory) {
  const std::string path = join_path(directory, kManifestFile);
  if (!std::filesystem::exists(path)) {
    throw Error(Kind::kCorrupt, "the model directory has no manifest", path);
  }
  const Json files = json_get<Json>(read_json(path), "files", path);
  for (const char* name : {kModelMarker, kWeightsFile, kCardFile}) {
    json_get<std::string>(files, name, path);
  }
  for (const auto& [name, entry] : files.items()) {
    const std::string expected = json_get<std::string>(files, name, path);
    const std::string file = path_inside(directory, name);
    if (!std::filesystem::exists(file)) throw Error(Kind::kCorrupt, "the file is missing", file);
    if (sha256_file(file) != expected) {
      throw Error(Kind::kCorrupt, "the file is not what the manifest says", file,
                  "copy the model directory again, or train again");
    }
  }
}

// Loading refuses such weights, so nothing of them is written.
void check_finite(const ModelState& state) {
  for (const NamedTensor& tensor : state) {
    for (const float value : tensor.values) {
      if (std::isfinite(value)) continue;
      throw Error(
          Kind::kDiverged,
          fmt::format("training diverged: a value of tensor {} is {}", quote(tensor.name), value),
          {}, "lower the step sizes; check the scale of the vectors");
    }
  }
}

}  // namespace

void save_model_files(const ModelState& state, const ModelRecord& record, const std::string& source,
                      const std::string& directory, bool force, const MoreFiles& more) {
  check_finite(state);
  write_directory(directory, force, kModelMarker, [&](const std::filesystem::path& folder) {
    const std::string root = folder.string();
    const Json config = record_to_json(record);
    std::vector<std::string> names = {kModelMarker, kWeightsFile, kCardFile};
    write_file(join_path(root, kModelMarker), config.dump(2) + "\n");
    write_weights(join_path(root, kWeightsFile), state);
    write_file(join_path(root, kCardFile), model_card(record, config, source));
    if (more) {
      for (std::string& name : more(root)) names.push_back(std::move(name));
    }
    Json manifest;
    for (const std::string& name : names) {
      manifest["files"][name] = sha256_file(join_path(root, name.c_str()));
    }
    write_file(join_path(root, kManifestFile), manifest.dump(2) + "\n");
    std::string curve;
    for (const Json& epoch : config.at("history")) curve += epoch.dump() + "\n";
    write_file(join_path(root, "history.jsonl"), curve);
  });
}

StoredModel load_model_files(const std::string& directory) {
  const std::string config_path = join_path(directory, kModelMarker);
  if (!std::filesystem::exists(config_path)) {
    throw Error(Kind::kNotFound, "not a model directory: there is no config.json", directory,
                "make one with kindling train");
  }
  verify_manifest(directory);
  return {record_from_json(read_json(config_path), config_path),
          read_weights(join_path(directory, kWeightsFile))};
}

void save_model(const Recommender& model, const ModelRecord& record, const std::string& directory,
                bool force) {
  save_model_files(model.state(), record, find_model(record.model).source, directory, force);
}

LoadedModel load_model(const std::string& directory) {
  StoredModel stored = load_model_files(directory);
  LoadedModel loaded;
  loaded.record = std::move(stored.record);
  if (is_few_shot_model(loaded.record.model)) {
    throw Error(Kind::kUnsupported,
                fmt::format("{} is a few-shot model: it serves scenarios", loaded.record.model),
                directory, "kindling evaluate MODEL_DIR --scenarios DIR, or kindling adapt");
  }
  loaded.model = make_model(loaded.record.model, loaded.record.options);
  loaded.model->load_state(stored.state, loaded.record.details);
  return loaded;
}

void check_vectors(const ModelRecord& record, const ItemVectors& vectors) {
  const Json trained = record.data.value("vectors", Json::object());
  if (trained.empty()) return;
  const std::string place = fmt::format("model {}", record.model);
  const auto dim = json_get<std::int64_t>(trained, "dim", place);
  const auto encoder = json_get<std::string>(trained, "encoder", place);
  const auto fingerprint = json_get<std::string>(trained, "fingerprint", place);
  const auto width = static_cast<std::int64_t>(vectors.dim());
  if (dim == width && fingerprint == vectors.fingerprint) return;
  throw Error(Kind::kBadInput,
              fmt::format("the model was trained on {} vectors of {} dimensions, these are {} "
                          "vectors of {} dimensions{}",
                          encoder, dim, vectors.encoder, width,
                          dim == width ? " from other weights or options" : ""),
              place, "embed both datasets with the same encoder");
}

void check_target(const ModelRecord& record, const Dataset& target, bool by_users) {
  const Json& data = record.data;
  const Json learnt = data.contains("target")                    ? data["target"]
                      : data.value("role", "source") == "target" ? data
                                                                 : Json::object();
  const auto differs = [&](const char* key, const Vocabulary& ids) {
    return learnt.contains(key) && learnt[key] != ids.fingerprint();
  };
  const bool items = differs("item_ids", target.item_ids());
  if (!items && !(by_users && differs("user_ids", target.user_ids()))) return;
  throw Error(Kind::kUnsupported,
              fmt::format("the model learnt the {} of {}; {} has others, or in another order",
                          items ? "items" : "users", quote(learnt.value("name", "another dataset")),
                          quote(target.name)),
              fmt::format("model {}", record.model),
              "it knows ids, not texts: train it on this dataset");
}

}  // namespace kindling
