// The cells that adapt to scenarios: one recommender a scenario, from its support.
//
// Data sets of a pair: "meta-train" (its categories are scenarios), "meta-test" (without it the
// scenarios are split at random), "source" (without it: every item that is in no scenario).
// Scenarios and frozen vectors are made once under the experiment's directory and shared by all
// rows: every method sees the same support, evaluation users and vectors. Only the method's seed
// differs between the seeds of a row. Source: specs/s2meta.md 6.
//
// Metrics: recall@K, ndcg@K, hr@K over all users (the paper's), macro_… over scenarios,
// below_unadapted and below_itempop (shares of scenarios), steps, adapt_seconds (mean of a
// scenario), and with "forced_steps" recall@20/N: what the same learner has after exactly N steps.
#pragma once

#include "kindling/eval/experiment_cells.h"

namespace kindling {

const CellRunner& few_shot_cells();

}  // namespace kindling
