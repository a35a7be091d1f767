// Where a training run of RecGURU stands, apart from its tensors: saved with every checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/models/recguru/options.h"
#include "kindling/models/recommender.h"
#include "kindling/nn/torch.h"
#include "kindling/train/optimizers.h"

namespace kindling::recguru {

inline constexpr int kPhases = 3;
inline constexpr const char* kPhaseNames[kPhases] = {"reconstruct", "adversarial", "finetune"};

struct RunState {
  int phase = 0;          // of kPhaseNames
  std::int64_t step = 0;  // done in this phase
  bool finished = false;
  double slowed = 1.0;  // factor on the rate of phase 2 or 3 after divergences
  int divergences = 0;
  double best_hit_rate = -1.0;   // HR@10; none yet
  std::int64_t best_step = 0;    // of phase 3
  double loss_sum = 0.0;         // of phase 3's steps since the last validation
  double seconds = 0.0;          // of training up to here
  Json curves = Json::object();  // by name, [[step, value], …]
  Json alike = Json::object();   // Alikeness "before" and "after" phase 2
  std::vector<EpochRecord> history;

  const char* phase_name() const { return kPhaseNames[phase]; }
  // Every tenth step only.
  void add_point(const char* curve, double value, std::int64_t steps_before = 0);
};

Json to_json(const RunState& state);
// What a model card says of it: curves, divergences, steps of phase 3, the validation of the state
// that is kept.
Json facts_of(const RunState& state, const Options& options);
// Error{kCorrupt} for what is not such a record, naming `place`.
RunState run_state_from_json(const Json& json, const std::string& place);

// Named tensors of several parts in one list: "net/…", "critic/…".
train::Tensors with_prefix(const std::string& prefix, const train::Tensors& tensors);
train::Tensors of_prefix(const std::string& prefix, const train::Tensors& tensors);
void append(train::Tensors& all, const train::Tensors& more);
train::Tensors copies(const train::Tensors& tensors);
// Copies values in order; Error{kCorrupt} when names or shapes differ, naming `place`.
void restore(const train::Tensors& from, const train::Tensors& to, const std::string& place = {});

}  // namespace kindling::recguru
