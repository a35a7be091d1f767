// What is asked of scenarios once they exist: their items, splits and fingerprints.
#include <algorithm>
#include <map>
#include <span>

#include <fmt/format.h>

#include "kindling/base/hash.h"
#include "kindling/data/scenarios.h"

namespace kindling {

std::vector<ItemId> items_of(const std::vector<UserItem>& pairs) {
  std::vector<ItemId> items;
  items.reserve(pairs.size());
  for (const UserItem& pair : pairs) items.push_back(pair.item);
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  return items;
}

std::vector<UserItem> ScenarioSet::target_only(const Scenario& scenario) const {
  std::vector<bool> member(world.item_count(), false);
  for (const ItemId item : scenario.candidates) member[item] = true;
  std::vector<UserItem> pairs;
  for (UserId user = 0; user < world.user_count(); ++user) {
    for (const Event& event : world.history(user)) {
      if (member[event.item]) pairs.push_back({user, event.item});
    }
  }
  return pairs;
}

Scenario split_scenario(const Scenario& scenario, const ScenarioOptions& options, const Rng& rng) {
  std::map<UserId, std::vector<ItemId>> by_user;
  std::vector<UserId> users;
  for (const UserItem& pair : scenario.pairs) {
    auto& items = by_user[pair.user];
    if (items.empty()) users.push_back(pair.user);
    items.push_back(pair.item);
  }
  Rng draw = rng;
  shuffle(std::span(users), draw);
  Scenario split{scenario.name, items_of(scenario.pairs), {}, {}, {}};
  std::size_t used = 0;
  for (const UserId user : users) {
    const bool to_support = 2 * used < users.size() &&
                            split.support.size() < static_cast<std::size_t>(options.support_pool);
    auto& pool = to_support ? split.support : split.evaluation;
    for (const ItemId item : by_user[user]) pool.push_back({user, item});
    if (to_support) ++used;
  }
  const auto first = static_cast<std::size_t>(options.support);
  if (split.support.size() > first) split.support.resize(first);
  return split;
}

std::string ScenarioSet::fingerprint() const {
  Sha256 hash;
  hash.add(world.fingerprint());
  const auto add_number = [&](std::uint64_t value) { hash.add(fmt::format("{},", value)); };
  const auto add_pairs = [&](const std::vector<UserItem>& pairs) {
    add_number(pairs.size());
    for (const auto& [user, item] : pairs) {
      add_number(user);
      add_number(item);
    }
  };
  add_number(source_items);
  for (const auto* role : {&meta_train, &validation, &meta_test}) {
    add_number(role->size());
    for (const Scenario& task : *role) {
      add_number(task.name.size());
      hash.add(task.name);
      add_number(task.candidates.size());
      for (const ItemId item : task.candidates) add_number(item);
      add_pairs(task.pairs);
      add_pairs(task.support);
      add_pairs(task.evaluation);
    }
  }
  return hash.hex();
}

}  // namespace kindling
