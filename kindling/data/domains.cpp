#include "kindling/data/domains.h"

namespace kindling {

std::vector<SharedUser> shared_users(const Dataset& first, const Dataset& second) {
  std::vector<SharedUser> shared;
  for (UserId user = 0; user < first.user_count(); ++user) {
    if (const auto other = second.user_ids().find(first.user_ids().name(user))) {
      shared.push_back({user, *other});
    }
  }
  return shared;
}

}  // namespace kindling
