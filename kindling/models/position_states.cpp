#include "kindling/models/position_states.h"

#include <algorithm>

#include "kindling/nn/tensors.h"

namespace kindling {

States states_of(const VectorRecommender& model, const Dataset& train, std::size_t most) {
  std::vector<Query> queries;
  States states;
  for (UserId user = 0; user < train.user_count(); ++user) {
    const auto history = train.history(user);
    const std::size_t skipped = history.size() - std::min(history.size(), most);
    for (std::size_t n = skipped + 1; n <= history.size(); ++n) {
      queries.push_back({history.first(n)});
    }
    states.offsets.push_back(static_cast<std::int64_t>(queries.size()));
  }
  states.values = nn::copy_matrix(model.user_vectors({&train, nullptr}, queries));
  return states;
}

void align(const States& here, const States& there, const SharedUser& user,
           std::vector<std::int64_t>& x, std::vector<std::int64_t>& y) {
  const std::int64_t pairs = std::min(here.count(user.first), there.count(user.second));
  for (std::int64_t k = 1; k <= pairs; ++k) {
    x.push_back(here.offsets[user.first + 1] - k);
    y.push_back(there.offsets[user.second + 1] - k);
  }
}

Positions positions_of(const Dataset& target, const States& here, const States& there,
                       const std::vector<SharedUser>& shared, const MapNet& map) {
  std::vector<std::int64_t> partner(target.user_count(), -1);
  for (const SharedUser& user : shared) partner[user.first] = user.second;
  Positions all;
  std::vector<std::int64_t> place, true_states;
  for (UserId user = 0; user < target.user_count(); ++user) {
    const auto history = target.history(user);
    const std::int64_t count = here.count(user);
    for (std::int64_t n = 0; n + 1 < count; ++n) {
      const std::int64_t behind = count - n;  // positions up to the last, this one included
      all.users.push_back(user);
      all.here.push_back(here.offsets[user] + n);
      all.next.push_back(history[history.size() - static_cast<std::size_t>(behind) + 1].item);
      if (partner[user] < 0) continue;
      const auto other = static_cast<UserId>(partner[user]);
      if (there.count(other) < behind) continue;
      place.push_back(static_cast<std::int64_t>(all.here.size()) - 1);
      true_states.push_back(there.offsets[other + 1] - behind);
    }
    all.offsets.push_back(static_cast<std::int64_t>(all.here.size()));
  }
  const torch::NoGradGuard no_grad;
  const auto rows = [](const torch::Tensor& table, const std::vector<std::int64_t>& index) {
    return table.index_select(0, nn::index_tensor(index, torch::kCPU));
  };
  all.other = map.forward(rows(here.values, all.here));
  if (!place.empty()) {
    all.other = all.other.index_copy(0, nn::index_tensor(place, torch::kCPU),
                                     rows(there.values, true_states));
  }
  return all;
}

}  // namespace kindling
