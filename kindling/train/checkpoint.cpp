#include "kindling/train/checkpoint.h"

#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/data/safetensors.h"

namespace kindling::train {

namespace {

constexpr const char* kCheckpointFile = "checkpoint.safetensors";
constexpr const char* kFactsKey = "kindling_checkpoint";

std::string checkpoint_path(const std::string& folder) {
  return (std::filesystem::path(folder) / kCheckpointFile).string();
}

}  // namespace

void save_checkpoint(const std::string& folder, const Checkpoint& checkpoint) {
  make_directories(folder);
  std::vector<torch::Tensor> on_cpu;  // keeps the bytes alive while they are written
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    on_cpu.push_back(tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous());
    const torch::Tensor& values = on_cpu.back();
    TensorView view;
    view.name = name;
    for (const std::int64_t size : values.sizes()) {
      view.shape.push_back(static_cast<std::size_t>(size));
    }
    view.data = std::as_bytes(
        std::span<const float>(values.data_ptr<float>(), static_cast<std::size_t>(values.numel())));
    views.push_back(std::move(view));
  }
  write_safetensors(checkpoint_path(folder), views, {{kFactsKey, checkpoint.facts.dump()}});
}

std::optional<Checkpoint> load_checkpoint(const std::string& folder) {
  const std::string path = checkpoint_path(folder);
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    const SafetensorsFile file(path);
    Checkpoint checkpoint;
    const auto facts = file.metadata().find(kFactsKey);
    if (facts == file.metadata().end()) {
      throw Error(Kind::kCorrupt, "not a checkpoint of Kindling", path);
    }
    checkpoint.facts = parse_json(facts->second, path);
    for (const TensorInfo& info : file.tensors()) {
      const std::vector<float> values = file.floats(info);
      std::vector<std::int64_t> shape(info.shape.begin(), info.shape.end());
      torch::Tensor tensor = torch::empty(shape, torch::kFloat32);
      if (!values.empty()) {
        std::memcpy(tensor.data_ptr<float>(), values.data(), values.size() * sizeof(float));
      }
      checkpoint.tensors.emplace_back(info.name, tensor);
    }
    return checkpoint;
  } catch (const Error& error) {
    if (error.kind() != Kind::kBadInput) throw;
    throw Error(Kind::kCorrupt, error.message(), error.place(),
                "delete the checkpoint folder to start again");
  }
}

void remove_checkpoint(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove(checkpoint_path(folder), ignored);
  std::filesystem::remove(folder, ignored);  // refuses a folder that is not empty
}

}  // namespace kindling::train
