// The whole state of a meta-training run between two tasks, and its file.
//
// Errors: Error{kCorrupt} for a damaged file; Error{kBadOption} for one of another run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/models/recommender.h"

namespace kindling::s2meta {

struct TrainingState {
  std::string identity;  // options, seed and data: a checkpoint of others is refused
  std::vector<float> omega;
  std::vector<float> m;  // Adam's moments
  std::vector<float> v;
  std::vector<float> best;  // ω of the best validation
  std::uint64_t tasks = 0;
  std::uint64_t best_tasks = 0;
  std::uint64_t skipped = 0;
  std::uint64_t next_validation = 0;
  std::int64_t steps = 0;  // of the optimiser
  double rate_factor = 1.0;
  double best_recall10 = -1.0;
  double best_recall20 = -1.0;
  std::int64_t since_change = 0;  // validations since the best Recall@10 or the last lowering
  std::int64_t since_best = 0;
  bool finished = false;
  double seconds = 0.0;
  // Since the last validation.
  double loss_sum = 0.0;
  double step_sum = 0.0;
  std::uint64_t loss_count = 0;
  std::vector<double> mean_steps;  // of each validation's tasks
  std::vector<EpochRecord> history;
  std::string note;  // for the progress bar
};

void save_state(const std::string& folder, const TrainingState& state);
// False when there is none. `state.identity` is what the file must be of, its sizes what the arrays
// must have.
bool load_state(const std::string& folder, TrainingState& state);

}  // namespace kindling::s2meta
