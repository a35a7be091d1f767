// The states of a sequence model after each event of each user: what AutoEM maps and merges.
//
//   const States here = states_of(autorec, target_train, 99);
//   const Positions all = positions_of(target_train, here, there, shared, map);
//
// Positions of a shared user's two histories are aligned from the last one backwards, as they are
// where histories are padded on the left. Includes LibTorch: for models/ only.
#pragma once

#include <cstdint>
#include <vector>

#include "kindling/models/user_map.h"

namespace kindling {

// Of one domain: rows offsets[u] … offsets[u + 1] are the states after 1, 2, … events of user u.
struct States {
  torch::Tensor values;  // [positions, D]
  std::vector<std::int64_t> offsets{0};

  std::int64_t count(UserId user) const { return offsets[user + 1] - offsets[user]; }
};

// States of the last `most` events of each user; each is what the model answers to the events up
// to it.
States states_of(const VectorRecommender& model, const Dataset& train, std::size_t most);

// Appends the pairs of positions of one user of both domains.
void align(const States& here, const States& there, const SharedUser& user,
           std::vector<std::int64_t>& x, std::vector<std::int64_t>& y);

// Positions of the target that have a next event.
struct Positions {
  std::vector<std::int64_t> offsets{0};  // user u has the positions offsets[u] … offsets[u + 1]
  std::vector<UserId> users;
  std::vector<std::int64_t> here;  // row of the target's states
  std::vector<ItemId> next;
  torch::Tensor other;  // [positions, D] the source's state beside it, true or mapped
};
Positions positions_of(const Dataset& target, const States& here, const States& there,
                       const std::vector<SharedUser>& shared, const MapNet& map);

}  // namespace kindling
