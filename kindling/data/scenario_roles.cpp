#include "kindling/data/scenario_roles.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace kindling {

namespace {

enum class Role : std::uint8_t { kTrain, kValidation, kTest };

// Items of test scenarios leave the others, those of validation leave meta-train: a pair that is
// asked of a user must not have been learnt as that user's. What is too small then goes.
void separate_roles(const ScenarioOptions& options, std::vector<Scenario>& tasks,
                    std::vector<Role>& roles) {
  std::set<ItemId> asked;
  std::vector<bool> kept(tasks.size(), true);
  for (const Role role : {Role::kTest, Role::kValidation, Role::kTrain}) {
    std::set<ItemId> more;
    for (std::size_t n = 0; n < tasks.size(); ++n) {
      if (roles[n] != role) continue;
      Scenario& task = tasks[n];
      const std::size_t before = task.pairs.size();
      if (role != Role::kTest) {
        std::erase_if(task.pairs, [&](const UserItem& p) { return asked.contains(p.item); });
      }
      if (task.pairs.size() < before) {
        task.candidates = items_of(task.pairs);
        const auto items = static_cast<std::int64_t>(task.candidates.size());
        kept[n] = is_task(task.pairs) && items >= options.min_items;
      }
      if (kept[n]) more.insert(task.candidates.begin(), task.candidates.end());
    }
    asked.merge(more);
  }
  std::size_t to = 0;
  for (std::size_t n = 0; n < tasks.size(); ++n) {
    if (!kept[n]) continue;
    roles[to] = roles[n];
    std::swap(tasks[to++], tasks[n]);
  }
  roles.resize(to);
  tasks.resize(to);
}

// A part of the scenarios that are not for test.
void choose_validation(const ScenarioOptions& options, const Rng& rng, std::vector<Role>& roles) {
  std::vector<std::size_t> train;
  for (std::size_t n = 0; n < roles.size(); ++n) {
    if (roles[n] == Role::kTrain) train.push_back(n);
  }
  Rng draw = rng.fork("validation");
  const auto count = static_cast<std::size_t>(
      std::llround(options.validation_share * static_cast<double>(train.size())));
  const auto order = permutation(train.size(), draw);
  for (std::size_t n = 0; n < count; ++n) roles[train[order[n]]] = Role::kValidation;
}

}  // namespace

bool is_task(const std::vector<UserItem>& pairs) {
  std::set<UserId> users;
  std::set<ItemId> items;
  for (const UserItem& pair : pairs) {
    users.insert(pair.user);
    items.insert(pair.item);
  }
  return users.size() >= 2 && items.size() >= 2;
}

void assign_roles(std::vector<Scenario> tasks, const std::vector<bool>& is_test,
                  const ScenarioOptions& options, const Rng& rng, ScenarioSet& set) {
  std::vector<Role> roles;
  roles.reserve(is_test.size());
  for (const bool test : is_test) roles.push_back(test ? Role::kTest : Role::kTrain);
  choose_validation(options, rng, roles);
  if (options.overlap == "separate") separate_roles(options, tasks, roles);
  for (std::size_t n = 0; n < tasks.size(); ++n) {
    if (roles[n] == Role::kTest) {
      set.meta_test.push_back(split_scenario(tasks[n], options, rng.fork(tasks[n].name, 1)));
    } else if (roles[n] == Role::kValidation) {
      set.validation.push_back(split_scenario(tasks[n], options, rng.fork(tasks[n].name, 2)));
    } else {
      set.meta_train.push_back(std::move(tasks[n]));
    }
  }
}

}  // namespace kindling
