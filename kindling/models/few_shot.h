// Models that adapt to a scenario from a few pairs. LibTorch-free.
//
//   auto model = make_few_shot("s2meta", {{"network", "mapping"}});
//   const FewShotTask task{&scenarios, &vectors};
//   model->fit(task, context);                                   // meta-training
//   for (const Scenario& scenario : scenarios.meta_test) {
//     auto scorer = model->adapt(task, scenario, rng.fork(scenario.name), nullptr);
//     Matrix scores = scorer->score(users, scenario.candidates); // larger is better
//   }
//
// adapt() may read the scenario's support, candidates and target_only interactions, the source and
// the vectors, and who will be asked (the users of scenario.evaluation, to gather their source
// interactions) but never what they chose (the contract suite proves it).
// Threads: fit() is called once; afterwards the const methods may be called from many threads.
// Errors: Error{kBadInput} for a support that allows no step (empty, fewer than two candidates).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/base/random.h"
#include "kindling/data/scenarios.h"
#include "kindling/models/recommender.h"
#include "kindling/models/registry.h"

namespace kindling {

// Vectors that no method changes: rows by UserId and ItemId of the world. A zero row: no vector.
struct FrozenVectors {
  Matrix users;                  // [users, dim]
  Matrix items;                  // [items, dim]
  Json recipe = Json::object();  // method, options, seed, fingerprints: recorded with every result

  std::size_t dim() const { return users.cols(); }
};

struct FewShotTask {
  const ScenarioSet* scenarios = nullptr;
  const FrozenVectors* vectors = nullptr;
};

// A fitted or adapted recommender of one scenario. It may point into the FewShotTask and the model
// that made it, and must not outlive them.
class ScenarioScorer {
 public:
  virtual ~ScenarioScorer() = default;
  // [users, items], finite; larger is better.
  virtual Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const = 0;
  // What restore() needs to make the same scorer again; empty: this one cannot be saved.
  virtual ModelState state() const { return {}; }
};

// What happened in one adaptation: the paper's Figure 2.
struct AdaptStep {
  double loss = 0.0;                 // on the step's training batch, before its update
  double stop_probability = 0.0;     // 0 where nothing is asked
  std::vector<double> input_gates;   // mean alpha of each parameter tensor; may be empty
  std::vector<double> forget_gates;  // mean beta
};

struct AdaptRecord {
  std::vector<std::string> tensors;  // names of the parameter tensors, in the order of the gates
  std::vector<AdaptStep> steps;
  bool stopped = false;  // by the model itself, before its last possible step
  double seconds = 0.0;
  // Called with the recommender as it is before each step's update and once at the end (step =
  // steps.size()); may be empty. The scorer is valid during the call only.
  std::function<void(std::size_t step, const ScenarioScorer& scorer)> on_step;

  Json to_json() const;
};

class FewShotModel {
 public:
  virtual ~FewShotModel() = default;

  virtual void fit(const FewShotTask& task, FitContext& context) = 0;
  // The same rng gives the same scorer. `record` may be null.
  virtual std::unique_ptr<ScenarioScorer> adapt(const FewShotTask& task, const Scenario& scenario,
                                                const Rng& rng, AdaptRecord* record) const = 0;
  // The recommender before any step (s2Meta's omega_R); null when the model has no such thing.
  virtual std::unique_ptr<ScenarioScorer> unadapted(const FewShotTask&, const Scenario&) const {
    return nullptr;
  }
  // A scorer from its saved state and the vectors alone. Errors: Error{kUnsupported} when the
  // model's scorers cannot be saved, Error{kCorrupt} for a state that does not fit.
  virtual std::unique_ptr<ScenarioScorer> restore(const FrozenVectors& vectors,
                                                  const ModelState& state) const;

  // As in Recommender.
  virtual ModelState state() const = 0;
  virtual void load_state(const ModelState& state, const Json& details) = 0;
  virtual Json details() const { return Json::object(); }
};

// Error{kBadInput} for a scenario that allows no step: no support, or no second candidate to be a
// negative.
void require_support(const Scenario& scenario);

struct FewShotInfo {
  const char* name;
  const char* source;  // paper or origin
  std::unique_ptr<FewShotModel> (*make)(const OptionValues&);
  std::vector<OptionInfo> (*describe)();
};

std::span<const FewShotInfo> few_shot_models();
bool is_few_shot_model(const std::string& name);
// Error{kNotFound} with the nearest name.
const FewShotInfo& find_few_shot(const std::string& name);
std::unique_ptr<FewShotModel> make_few_shot(const std::string& name, const OptionValues& options);

// Keeps gtest's and ctest's names readable.
void PrintTo(const FewShotInfo& info, std::ostream* out);

}  // namespace kindling
