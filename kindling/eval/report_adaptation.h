// An adapted recommender's directory -> a report of how its scenario was learnt.
//
//   if (auto report = read_adaptation("models/campaign")) write(render_html(*report));
//
// Shown: loss and stop probability over the steps, and the mean gates of each layer (Du et al., KDD
// 2019, figure 2). Errors: Error{kBadInput} for an adaptation.json of another form.
#pragma once

#include <optional>
#include <string>

#include "kindling/eval/report.h"

namespace kindling {

// Nothing when the directory has no adaptation.json.
std::optional<RunReport> read_adaptation(const std::string& directory);

}  // namespace kindling
