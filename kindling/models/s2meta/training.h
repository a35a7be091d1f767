// Meta-training: the outer loop (specs: s2meta 5).
//
//   const TrainedLearner trained = train_learner(learner, task, context);
//
// Every `validate_every` tasks the validation scenarios are adapted to and ranked: Recall@10 drives
// the step sizes, Recall@20 chooses the parameters that are kept [S13]. An EpochRecord is one such
// validation: validation_loss is 1 − Recall@20 pooled over users, train_loss the mean query loss.
// Tasks of a meta-batch run in parallel and their gradients are averaged in order, so that the
// result does not depend on the number of threads. A run continues from its checkpoint bit for bit:
// every random stream follows from the seed and the task's number.
// Errors: as Episodes; Error{kInternal} when no task gave a finite gradient; Error{kIo} when
// context.should_stop says so (the checkpoint then holds all that was done).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kindling/models/few_shot.h"
#include "kindling/models/s2meta/checkpoint.h"
#include "kindling/models/s2meta/learner.h"

namespace kindling::s2meta {

struct TrainedLearner {
  std::vector<float> omega;
  Json details = Json::object();  // tasks, mean steps, skipped tasks, the validations
};

// One step of ω along the sum `gradient` of 1/share tasks' gradients, clipped in place [S12].
void step_omega(const Learner& learner, TrainingState& state, std::span<float> gradient,
                float share);

TrainedLearner train_learner(const Learner& learner, const FewShotTask& task, FitContext& context);

}  // namespace kindling::s2meta
