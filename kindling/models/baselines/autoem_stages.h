// AutoEM's own stages, behind the two AutoRecs: the map between the domains' states and the net
// that merges them.
//
//   learn_map(options, here, there, shared, rng, map);             // stage 2
//   auto hits = learn_merge(options, task, rng, context, ask, merge);   // stage 3
//
// Source: Li et al., RecGURU, WSDM 2022, the script in its code's history (specs/baselines.md C,
// decisions B13 and B15). Includes LibTorch: for models/ only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/models/position_states.h"
#include "kindling/models/recguru/batch.h"
#include "kindling/models/user_map.h"

namespace kindling::autoem {

struct StageOptions {
  std::int64_t map_epochs = 200;
  std::int64_t map_batch = 300;
  double map_learning_rate = 0.008;
  double map_validation = 0.2;
  std::int64_t merge_steps = 450;
  std::int64_t merge_batch = 1024;
  double merge_learning_rate = 0.01;
  std::int64_t merge_validate_every = 25;

  template <class Visitor>
  void fields(Visitor& field) {
    field("map_epochs", map_epochs, kPositive, "passes over the shared users' positions [B15]");
    field("map_batch", map_batch, kPositive, "shared users in a step of the map [B15]");
    field("map_learning_rate", map_learning_rate, kPositive, "Adam's step size for the map [B15]");
    field("map_validation", map_validation, between(0.0, 0.9),
          "share of the shared users that picks the map's epoch [B15]");
    field("merge_steps", merge_steps, kPositive, "steps of the merge net [B15]");
    field("merge_batch", merge_batch, kPositive,
          "users of the target alone in a step of the merge net; shared ones beside them by their "
          "share of the users [B15]");
    field("merge_learning_rate", merge_learning_rate, kPositive,
          "Adam's step size for the merge net [B15]");
    field("merge_validate_every", merge_validate_every, kPositive,
          "steps of the merge net between validations [R14]");
  }
};

// Mean squared error between map(state here) and the state there, the last positions of a user's
// two histories side by side. `map` is left as it was at the epoch with the lowest error on the
// users that are held out.
void learn_map(const StageOptions& options, const States& here, const States& there,
               std::vector<SharedUser> shared, const Rng& rng, MapNet& map);

// What the merge net learns from.
struct MergeTask {
  const recguru::DomainData& data;  // of the target: draws the negatives
  const States& here;
  Positions positions;
  torch::Tensor items;  // [J, D] the target's item vectors, which stay as they are
  std::vector<SharedUser> shared;
  std::int64_t negatives = 5;  // a position
  std::string loss;            // recguru finetune_loss
};

// Each step adds the mean loss (12) over the positions of a batch of shared users and that over a
// batch of the others. With `ask`, HR@10 on validation, `merge` is left at its best, which is
// returned.
std::optional<double> learn_merge(const StageOptions& options, const MergeTask& task,
                                  const Rng& rng, const FitContext& context,
                                  const std::function<double()>& ask, MergeNet& merge);

}  // namespace kindling::autoem
