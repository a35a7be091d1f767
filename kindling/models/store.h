// The model directory: config.json, model.safetensors, README.md (model card), manifest.json
// (SHA-256 of each).
//
// load_model verifies the manifest first; one flipped byte is Error{kCorrupt} naming the file.
// Never TorchScript, never pickle.
#pragma once

#include <memory>
#include <string>

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

// Error{kBadInput} when `vectors` are not of the space that the model was trained on (width,
// encoder fingerprint); names both.
void check_vectors(const ModelRecord& record, const ItemVectors& vectors);

}  // namespace kindling
