// How long histories are, for the messages that say why nothing is left to learn from or to ask.
//
//   throw Error(kind, "nothing to ask: " + why_nothing_is_asked(data, "leave-two-out"));
#pragma once

#include <cstddef>
#include <string>

#include "kindling/data/dataset.h"

namespace kindling {

// Events of the longest history; 0 without users.
std::size_t longest_history(const Dataset& data);

// What a user needs under that protocol, beside what there is: "a user needs 3 events, the longest
// of 40 histories has 2".
std::string why_nothing_is_asked(const Dataset& data, const std::string& protocol);

}  // namespace kindling
