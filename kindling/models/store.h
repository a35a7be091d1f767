// The model directory: config.json, model.safetensors, README.md (model card), manifest.json
// (SHA-256 of each).
//
// load_model verifies the manifest first; one flipped byte is Error{kCorrupt} naming the file.
// Never TorchScript, never pickle.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kindling/models/recommender.h"
#include "kindling/models/registry.h"

namespace kindling {

// What is known of a fitted model besides its parameters.
struct ModelRecord {
  std::string model;     // registry name
  OptionValues options;  // every option with its effective value
  std::uint64_t seed = 0;
  Json data =
      Json::object();  // source: name, fingerprint, counts; vectors: encoder, fingerprint, dim
  Json details = Json::object();     // Recommender::details()
  std::vector<EpochRecord> history;  // learning curve
  Json metrics = Json::object();     // best validation figures
  std::string version;               // of Kindling
};

void save_model(const Recommender& model, const ModelRecord& record, const std::string& directory,
                bool force = false);

struct LoadedModel {
  std::unique_ptr<Recommender> model;
  ModelRecord record;
};
LoadedModel load_model(const std::string& directory);
inline constexpr const char* kModelMarker = "config.json";

// The parts that directories of other kinds of models share (few_shot_store.h).
//
// `more` writes further files into the folder and returns their names, which the manifest then
// holds too. `source` is the model's origin, for the card.
using MoreFiles = std::function<std::vector<std::string>(const std::string& folder)>;
void save_model_files(const ModelState& state, const ModelRecord& record, const std::string& source,
                      const std::string& directory, bool force, const MoreFiles& more = {});
struct StoredModel {
  ModelRecord record;
  ModelState state;
};
// After verifying the manifest.
StoredModel load_model_files(const std::string& directory);

// Error{kUnsupported} when the model learnt the ids of a target whose items, or users where
// `by_users`, are not those of `target` in the same order. Silent for a model that learnt no
// target.
void check_target(const ModelRecord& record, const Dataset& target, bool by_users);

// Error{kBadInput} when `vectors` are not of the space that the model was trained on (width,
// encoder fingerprint); names both.
void check_vectors(const ModelRecord& record, const ItemVectors& vectors);

}  // namespace kindling
