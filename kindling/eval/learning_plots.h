// A scenario's learning as plots: loss, stop probability and recall over the steps, and the mean
// gates of each layer (Du et al., KDD 2019, figure 2).
//
//   Json plots = learning_plots(record.to_json());   // as in the "plots" of a cell
//
// `learning` is AdaptRecord::to_json(), whose steps may also hold "recall@20". Panels without a
// point (a model without gates) are left out.
// Errors: Error{kBadInput} for a document that holds something else.
#pragma once

#include "kindling/base/json.h"

namespace kindling {

// [{"title","x","y","lines":[{"label","points":[[x, y]…]}…]}…]
Json learning_plots(const Json& learning, const std::string& place = {});

}  // namespace kindling
