// Trains RecGURU through its phases: reconstruct, adversarial, fine-tune (specs/recguru.md, section
// 5), with checkpoints, resume, early stopping and recovery of a critic that diverged.
//
// A resumed run ends bit for bit where an uninterrupted one does: all random streams follow from
// (seed, phase, step).
// Errors: Error{kDiverged} from phase 1 or 3, Error{kBadOption} when a checkpoint belongs to
// another
//         run: the last one stays. Error{kIo} when should_stop says so: the checkpoint then holds
//         all that was done.
#pragma once

#include <functional>

#include "kindling/base/json.h"
#include "kindling/models/recguru/steps.h"
#include "kindling/models/recommender.h"

namespace kindling::recguru {

// What a run is told besides the data.
struct TrainingJob {
  const char* name = "recguru";
  Variant variant = Variant::kRecGuru;
  const Dataset* source = nullptr;  // null with one domain
  const Dataset* target = nullptr;
  TestItems leaked;  // what else is no negative [R9]; empty by default
  // HR@10 of the model as it stands, the network in evaluation mode; may be empty.
  std::function<double()> validate;
};

// Trains in place. Returns what the model card and the report show: steps done, best validation,
// divergences, and the curves of Figure 2 as [[step, value], …] by name: reconstruction_a,
// reconstruction_b, wasserstein, critic, adversarial, overlap, finetune, finetune_reconstruction,
// validation_hr@10.
Json train_model(const TrainingJob& job, const Options& options, Net& net, Tables& tables,
                 FitContext& context);

}  // namespace kindling::recguru
