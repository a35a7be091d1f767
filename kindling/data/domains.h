// Two domains and the people who are in both.
//
//   const std::vector<SharedUser> both = shared_users(sports, clothing);   // found by outside id
//   const DomainPair thin = thin_overlap(sports, clothing, {.keep = 0.3}, Rng(seed));
//
// Thinning is how RecGURU's table 3 makes overlaps of 10, 30, 50 and 75 % out of two domains with
// many common users: some stay in both, every other one keeps the history of one domain only.
// Source: specs/recguru.md 2.2 (Li et al., RecGURU, 2022).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kindling/base/random.h"
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

struct OverlapOptions {
  double keep = 0.3;  // share of the common users who stay in both domains; 0: nobody does
  std::string of =
      "shared";  // or "first": a share of all users of the first domain, as the paper's
  std::string rule =
      "random";  // or "alternate": who loses which history goes by turns (the code's)
};

struct DomainPair {
  Dataset first;
  Dataset second;
  std::size_t shared = 0;  // users in both
};

// Thins the overlap. Items that lose their last event go; users and items get new ids in their old
// order. The same seed with a larger `keep` keeps a superset of the users. Errors: Error{kBadInput}
// without common users, or when `of` first asks for more of them than there are.
DomainPair thin_overlap(const Dataset& first, const Dataset& second, const OverlapOptions& options,
                        const Rng& rng);

// Both as dataset directories, or neither: an error while one is written leaves what stood in
// either place.
void save_pair(const DomainPair& pair, const std::string& first_directory,
               const std::string& second_directory, bool force = false);

// At most `most` users of each domain: the common ones first, then others, both in random order.
// Items that lose their last event go. For experiments on small machines.
DomainPair cap_users(const Dataset& first, const Dataset& second, std::size_t most, const Rng& rng);

}  // namespace kindling
