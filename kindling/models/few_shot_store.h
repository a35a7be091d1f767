// Directories of few-shot models and of adapted recommenders.
//
// A few-shot model directory is a model directory (store.h) with frozen.safetensors (the vectors)
// and world/ (a dataset directory): it can adapt to new scenarios without anything else. An adapted
// recommender is a model directory of one scenario: the scorer's state, the vectors of all users
// and of the scenario's candidates, their ids in world/, and adaptation.json (the run's record).
//
// Errors: as store.h; Error{kUnsupported} for a scorer that cannot be saved, Error{kBadInput} for a
// directory of the other kind.
#pragma once

#include <memory>
#include <string>

#include "kindling/models/few_shot.h"
#include "kindling/models/store.h"

namespace kindling {

inline constexpr const char* kFewShotKind = "few-shot model";
inline constexpr const char* kAdaptedKind = "adapted recommender";

void save_few_shot(const FewShotModel& model, const ModelRecord& record, const FewShotTask& task,
                   const std::string& directory, bool force);

struct LoadedFewShot {
  std::unique_ptr<FewShotModel> model;
  ModelRecord record;
  ScenarioSet set;  // the world; no tasks
  FrozenVectors vectors;

  FewShotTask task() const { return {&set, &vectors}; }
};
LoadedFewShot load_few_shot(const std::string& directory);

void save_adapted(const ScenarioScorer& scorer, const ModelRecord& record, const FewShotTask& task,
                  const Scenario& scenario, const Json& adaptation, const std::string& directory,
                  bool force);

// Items are the candidates, 0 … n-1 in their order; users as in the world. `world` holds the
// support as the users' histories. The scorer points into `vectors`: do not move it away from them.
struct LoadedAdapted {
  std::unique_ptr<FewShotModel> model;
  ModelRecord record;
  Dataset world;
  std::unique_ptr<FrozenVectors> vectors;
  std::unique_ptr<ScenarioScorer> scorer;
};
LoadedAdapted load_adapted(const std::string& directory);

// "few-shot model", "adapted recommender", or "" for any other directory or name.
std::string few_shot_kind(const std::string& directory);

}  // namespace kindling
