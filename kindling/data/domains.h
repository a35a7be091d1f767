// Two domains and the people who are in both.
//
//   const std::vector<SharedUser> both = shared_users(sports, clothing);     // found by outside id
//
// Source: specs/recguru.md 2 (Li et al., RecGURU, 2022).
#pragma once

#include <vector>

#include "kindling/data/dataset.h"

namespace kindling {

// One person as numbered in each of two domains.
struct SharedUser {
  UserId first = 0;
  UserId second = 0;

  friend bool operator==(const SharedUser&, const SharedUser&) = default;
};

// The users whose outside id is in both, in the order of the first domain's ids.
std::vector<SharedUser> shared_users(const Dataset& first, const Dataset& second);

}  // namespace kindling
