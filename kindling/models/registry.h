// The table of models: everything that lists, makes or describes models reads it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/models/recommender.h"

namespace kindling {

using OptionValues = std::vector<std::pair<std::string, std::string>>;

struct ModelInfo {
  const char* name;
  const char* source;  // paper or origin
  std::unique_ptr<Recommender> (*make)(const OptionValues&);
  std::vector<OptionInfo> (*describe)();
  bool needs_text = false;          // reads item vectors
  bool needs_source = false;        // fit() reads task.source
  bool needs_target_train = false;  // fit() reads task.target_train
  bool asks_validation = false;     // fit() calls FitContext::validate where it is given
  bool on_device = false;           // fit() reads FitContext::device; the others learn on the CPU
};

std::span<const ModelInfo> all_models();
// Error{kNotFound} with the nearest name.
const ModelInfo& find_model(const std::string& name);
std::unique_ptr<Recommender> make_model(const std::string& name, const OptionValues& options);

// Every option with the value that counts: given, or default; what run records keep. A model whose
// defaults depend on another option (a profile) says in its details' "options" what it used.
OptionValues effective_options(const std::vector<OptionInfo>& known, const OptionValues& given,
                               const Json& details = Json::object());

// Keeps gtest's and ctest's names readable.
void PrintTo(const ModelInfo& info, std::ostream* out);

}  // namespace kindling
