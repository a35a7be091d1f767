// Epochs of gradient steps: progress, divergence, clipping, plateau, early stop, best weights,
// checkpoints, time limit, resume.
//
//   LoopResult result = run_epochs(job, *optimizer, options);   // the best weights are in place
//
// The model says what an epoch consists of and computes gradients; everything else is here.
// Resuming from a checkpoint gives the same weights, bit for bit on CPU, as a run that was never
// interrupted, provided that the job draws its random numbers from (seed, epoch, batch) only.
// Errors: Error{kBadOption} when a loss is not finite (the checkpoint of the last good epoch
//         stays) or when a checkpoint belongs to another run; Error{kIo} when should_stop says so.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kindling/train/optimizers.h"
#include "kindling/train/plateau.h"

namespace kindling::train {

// Losses are sums over `count` targets.
struct BatchLoss {
  double sum = 0.0;
  std::int64_t count = 0;
};

struct Validation {
  double loss = 0.0;  // mean; its fall decides what "best" is
  double ndcg = 0.0;  // shown and recorded only
};

struct EpochResult {
  std::int64_t epoch = 0;  // 1-based
  double train_loss = 0.0;
  Validation validation;
  double seconds = 0.0;  // since the start of training, over all resumed parts
  double learning_rate = 0.0;
};

struct Job {
  std::string name;      // "zesrec"
  std::string identity;  // seed, options, data: a checkpoint with another identity is refused
  // Prepares epoch 1, 2, …; returns its number of batches.
  std::function<std::int64_t(std::int64_t epoch)> begin_epoch;
  // Computes gradients and calls `step` once for each update (a batch of long sequences has
  // several).
  using Step = std::function<void(BatchLoss)>;
  std::function<void(std::int64_t epoch, std::int64_t batch, const Step& step)> run_batch;
  std::function<Validation(double train_loss)> validate;
  std::function<void(const EpochResult&)> on_epoch;  // may be empty
  std::function<bool()> should_stop;                 // may be empty; asked before each batch
};

struct LoopOptions {
  std::int64_t epochs = 20;
  double clip = 0.0;  // global norm; 0: none
  PlateauOptions plateau{};
  double max_seconds = 0.0;  // 0: none. When over, the running epoch ends early and is the last
  std::string checkpoint{};  // folder; empty: none
  bool resume = false;
};

struct LoopResult {
  std::vector<EpochResult> history;
  std::int64_t best_epoch = 0;
  double best_loss = 0.0;
};

LoopResult run_epochs(const Job& job, Optimizer& optimizer, const LoopOptions& options);

}  // namespace kindling::train
