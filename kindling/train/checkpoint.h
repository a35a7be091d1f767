// The whole state of a training run in one file, replaced atomically after each epoch.
//
//   save_checkpoint("run.ckpt", {.tensors = …, .facts = {{"epoch", 3}}});
//   if (auto checkpoint = load_checkpoint("run.ckpt")) …           // nothing when there is none
//
// A folder holding checkpoint.safetensors: float tensors by name, and the facts as JSON in its
// metadata, so that numbers and counts can never be of different epochs. No generator state is
// kept: every random stream of training follows from (seed, epoch, batch).
// Errors: Error{kCorrupt} for a damaged file, naming it.
#pragma once

#include <optional>
#include <string>

#include "kindling/base/json.h"
#include "kindling/train/optimizers.h"

namespace kindling::train {

struct Checkpoint {
  Tensors tensors;  // float32; written from, and read to, the CPU
  Json facts = Json::object();
};

void save_checkpoint(const std::string& folder, const Checkpoint& checkpoint);
std::optional<Checkpoint> load_checkpoint(const std::string& folder);
// After success: removes the file, and the folder when nothing else lies in it.
void remove_checkpoint(const std::string& folder);

}  // namespace kindling::train
