// Cells of two domains with common users: both domains' train parts are learnt, the target's next
// items ranked among fixed lists.
//
//   two-domain   leave-two-out; the overlap may be thinned and the users capped first; metrics
//                among popularity-drawn lists, "full:…" and "uniform:…" beside them, and
//                "warm:…" of the queries whose true item has an event in the train part
//
// Thinning, caps and lists follow from `data_seed` alone: every model, every seed and both
// directions of a pair see the same users and the same candidates [R12].
// Source: specs/recguru.md 2.2, 2.3 and 6.
#pragma once

#include "kindling/eval/experiment_cells.h"

namespace kindling {

const CellRunner& two_domain_cells();

}  // namespace kindling
