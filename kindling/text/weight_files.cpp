// Finding a checkpoint's tensors under the names that different programs gave them.
#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "kindling/text/model_dir.h"

namespace kindling {

namespace fs = std::filesystem;

namespace {

// "bert.encoder.layer.0.output.LayerNorm.gamma" -> "encoder.layer.0.output.LayerNorm.weight".
std::string plain_name(std::string name) {
  for (const std::string_view prefix : {"model.", "bert.", "roberta."}) {
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  }
  constexpr std::array<std::array<std::string_view, 2>, 2> kAliases = {
      {{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}}};
  for (const auto& [alias, plain] : kAliases) {
    if (name.ends_with(alias)) name.replace(name.size() - alias.size(), alias.size(), plain);
  }
  return name;
}

}  // namespace

WeightFiles::WeightFiles(const std::string& directory) {
  const auto in = [&](const char* name) { return (fs::path(directory) / name).string(); };
  if (fs::exists(in("model.safetensors"))) {
    open_single(in("model.safetensors"));
  } else if (fs::exists(in("model.safetensors.index.json"))) {
    open_shards(directory, in("model.safetensors.index.json"));
  } else if (fs::exists(in("pytorch_model.bin")) ||
             fs::exists(in("pytorch_model.bin.index.json"))) {
    throw Error(Kind::kUnsupported, "the weights are a pickle (pytorch_model.bin)", directory,
                "a pickle may run code, so it is never opened; save the model again with "
                "save_pretrained(…, safe_serialization=True)");
  } else {
    throw Error(Kind::kNotFound, "model.safetensors is missing", directory);
  }
}

void WeightFiles::open_single(const std::string& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  paths_.push_back(path);
  const SafetensorsFile& file = *files_.back();
  for (const TensorInfo& tensor : file.tensors()) {
    if (!tensors_.emplace(plain_name(tensor.name), Place{&file, &tensor}).second) {
      throw Error(Kind::kBadInput,
                  "tensor " + quote(tensor.name) + ": another tensor stands for the same weights",
                  path);
    }
  }
}

void WeightFiles::open_shards(const std::string& directory, const std::string& index_path) {
  const Json index = read_json(index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index.at("weight_map").is_object()) {
    throw Error(Kind::kBadInput, "\"weight_map\" is missing or not an object", index_path);
  }
  std::map<std::string, std::vector<std::string>> shards;
  if (index.at("weight_map").empty()) {
    throw Error(Kind::kBadInput, "\"weight_map\" names no tensor", index_path);
  }
  for (const auto& [tensor, shard] : index.at("weight_map").items()) {
    if (!shard.is_string()) {
      throw Error(Kind::kBadInput, "tensor " + quote(tensor) + ": its file is not a string",
                  index_path);
    }
    shards[shard.get<std::string>()].push_back(tensor);
  }
  constexpr std::size_t kMaxShards = 1024;
  if (shards.size() > kMaxShards) {
    throw Error(Kind::kBadInput, fmt::format("names {} files", shards.size()), index_path);
  }
  for (const auto& [shard, promised] : shards) {
    const std::string path = path_inside(directory, shard);
    open_single(path);
    for (const std::string& tensor : promised) {
      if (files_.back()->find(tensor) == nullptr) {
        throw Error(Kind::kBadInput, "tensor " + quote(tensor) + " is missing", path,
                    "model.safetensors.index.json says that it stands here");
      }
    }
  }
}

std::vector<float> WeightFiles::take(const std::string& name,
                                     const std::vector<std::size_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw Error(Kind::kBadInput, "tensor " + quote(name) + " is missing", paths_.front(),
                "config.json promises it");
  }
  const auto& [file, tensor] = found->second;
  if (tensor->shape != shape) {
    throw Error(Kind::kBadInput,
                fmt::format("tensor {}: shape [{}], config.json promises [{}]", quote(tensor->name),
                            fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")),
                file->path());
  }
  return file->floats(*tensor);
}

}  // namespace kindling
