// The two halves of the parser of experiment_plan.h: the members of the file, and the names in
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kindling/eval/experiment_plan.h"

namespace kindling::plan_detail {

// Knows the format only, not what models, kinds of cells and encoders there are.
ExperimentPlan read_members(std::string_view text, std::string_view place);

[[noreturn]] void refuse(const std::string& place, const std::string& message,
                         const std::string& hint = {});
// Error{kBadInput} with the nearest known name.
void require_known(const std::string& place, const std::string& what, const std::string& name,
                   const std::vector<std::string>& known);

}  // namespace kindling::plan_detail
