// The cells that rank a target's next item: zero-shot, in-domain, incremental, case study.
//
//   zero-shot    trains on the source as the protocol allows, ranks on the target as it is; models
//                of the target's own past (pop, gru4rec, …) learn its train part: oracles
//   in-domain    the same without a source in the plan
//   incremental  trains on the first so many interactions of the target's train part, drawn user by
//                user; the same queries (specs/zesrec.md 9, figure 2)
//   case-study   query users whose sixth item is right from the first five, and the source users
//                nearest to them (specs/zesrec.md 9)
#pragma once

#include "kindling/eval/experiment_cells.h"
#include "kindling/eval/protocol.h"
#include "kindling/models/train_run.h"

namespace kindling {

const CellRunner& zero_shot_cells();
const CellRunner& in_domain_cells();
const CellRunner& incremental_cells();
const CellRunner& case_study_cells();

// What the four share: the model of a task, fitted, and what it is asked.
struct NextItemCell {
  const ModelInfo* info = nullptr;
  TrainingData data;
  std::unique_ptr<Recommender> model;
  FitContext context;
  EvaluationOptions evaluation;
  std::string removed_from_source;  // both, users, items, none; empty without a source [Z4]

  Domain target() const {
    return {&data.target, info->needs_text ? &data.target_vectors : nullptr};
  }
};
// Loads data sets and vectors and splits the target.
void open_next_item_cell(const CellTask& task, NextItemCell& cell);
void fit_next_item_cell(const CellTask& task, NextItemCell& cell);
CellResult evaluate_next_item_cell(const NextItemCell& cell);
Json history_json(const std::vector<EpochRecord>& history);

// Users of `train` in random order with all their events, until `interactions` are reached; the
// last user is kept whole. A larger number keeps what a smaller one has. All users and items stay,
// so ids do.
Dataset first_interactions(const Dataset& train, std::int64_t interactions, const Rng& rng);

}  // namespace kindling
