#include "kindling/data/scenarios.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/data/scenario_roles.h"

namespace kindling {

namespace {

bool chosen_before(const UserItem& a, const UserItem& b) {
  return a.user != b.user ? a.user < b.user : a.item < b.item;
}

}  // namespace

ChosenItems::ChosenItems(std::vector<UserItem> pairs) : pairs_(std::move(pairs)) {
  std::sort(pairs_.begin(), pairs_.end(), chosen_before);
}

bool ChosenItems::has(UserId user, ItemId item) const {
  return std::binary_search(pairs_.begin(), pairs_.end(), UserItem{user, item}, chosen_before);
}

namespace {

enum Side : std::uint8_t { kSource = 1, kTrain = 2, kTest = 4 };
constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();

struct SideEvent {
  UserId user = 0;
  Event event;
};

// All datasets in one id space. Items keep the description of the scenario side.
struct Union {
  Vocabulary users;
  Vocabulary items;
  std::vector<Item> descriptions;
  std::vector<std::uint8_t> sides;  // of each item
  std::vector<SideEvent> source;
  std::vector<SideEvent> train;
  std::vector<SideEvent> test;
  bool has_times = true;

  std::vector<SideEvent>& events(Side side) {
    return side == kSource ? source : side == kTrain ? train : test;
  }
};

// A scenario before its roles and bounds are settled; ids of the Union.
struct Draft {
  std::string name;
  bool test = false;
  std::vector<ItemId> items;
  std::size_t users = 0;
  std::vector<UserItem> shared;
};

std::uint64_t key_of(UserId user, ItemId item) {
  return (static_cast<std::uint64_t>(user) << 32U) | item;
}

void add_side(const std::vector<const Dataset*>& datasets, Side side, Union& all) {
  for (const Dataset* data : datasets) {
    all.has_times = all.has_times && data->has_times;
    std::vector<ItemId> item_of(data->item_count());
    for (ItemId item = 0; item < data->item_count(); ++item) {
      const ItemId joint = all.items.add(data->item_ids().name(item));
      item_of[item] = joint;
      if (joint == all.descriptions.size()) {
        all.descriptions.emplace_back();
        all.sides.push_back(0);
      }
      if (all.sides[joint] == 0 || side != kSource) all.descriptions[joint] = data->items()[item];
      all.sides[joint] |= side;
    }
    for (UserId user = 0; user < data->user_count(); ++user) {
      const UserId joint = all.users.add(data->user_ids().name(user));
      for (Event event : data->history(user)) {
        event.item = item_of[event.item];
        all.events(side).push_back({joint, event});
      }
    }
  }
}

// Items of the scenarios' datasets leave the source.
void separate_source(Union& all) {
  std::erase_if(all.source,
                [&](const SideEvent& row) { return all.sides[row.event.item] != kSource; });
}

// After the bounds: an item of both sides is meta-test's, or its pairs would be learnt from.
void separate_test(Union& all, std::vector<Draft>& drafts) {
  const auto is_test = [&](ItemId item) { return (all.sides[item] & kTest) != 0; };
  for (Draft& draft : drafts) {
    if (draft.test) continue;
    std::erase_if(draft.shared, [&](const UserItem& pair) { return is_test(pair.item); });
    std::erase_if(draft.items, is_test);
  }
  std::erase_if(all.train, [&](const SideEvent& row) { return is_test(row.event.item); });
}

std::vector<std::string> scenario_names(const Item& item, const std::string& by) {
  // A path that ends at the catalogue's root: the root is its leaf.
  if (item.categories.empty()) {
    return by == "leaf" ? std::vector<std::string>{"(root)"} : std::vector<std::string>{};
  }
  if (by == "leaf") return {item.categories.back()};
  const std::set<std::string> names(item.categories.begin(), item.categories.end());
  return {names.begin(), names.end()};
}

// Sets of items with their scenarios' names, and pairs, of one side; in order of names.
std::vector<Draft> drafts_of(const Union& all, Side side, const ScenarioOptions& options) {
  std::map<std::string, std::size_t> places;
  std::vector<Draft> drafts;
  std::vector<std::vector<std::size_t>> of_item(all.sides.size());
  for (ItemId item = 0; item < all.sides.size(); ++item) {
    if ((all.sides[item] & side) == 0) continue;
    for (const std::string& name : scenario_names(all.descriptions[item], options.by)) {
      const auto [place, fresh] = places.emplace(name, drafts.size());
      if (fresh) drafts.push_back({name, side == kTest, {}, 0, {}});
      of_item[item].push_back(place->second);
    }
  }
  std::unordered_set<std::uint64_t> seen;
  std::vector<std::unordered_set<UserId>> users(drafts.size());
  std::vector<std::unordered_set<ItemId>> items(drafts.size());
  for (const SideEvent& row : side == kTrain ? all.train : all.test) {
    if (!seen.insert(key_of(row.user, row.event.item)).second) continue;
    for (const std::size_t at : of_item[row.event.item]) {
      if (items[at].insert(row.event.item).second) drafts[at].items.push_back(row.event.item);
      users[at].insert(row.user);
      drafts[at].shared.push_back({row.user, row.event.item});
    }
  }
  for (std::size_t at = 0; at < drafts.size(); ++at) drafts[at].users = users[at].size();
  // Without any category there are no scenarios, and no root.
  if (drafts.size() == 1 && drafts[0].name == "(root)") drafts.clear();
  std::sort(drafts.begin(), drafts.end(),
            [](const Draft& a, const Draft& b) { return a.name < b.name; });
  return drafts;
}

void keep_sizes(std::vector<Draft>& drafts, const ScenarioOptions& options) {
  std::erase_if(drafts, [&](const Draft& draft) {
    const auto items = static_cast<std::int64_t>(draft.items.size());
    return items < options.min_items || (options.max_items > 0 && items > options.max_items) ||
           static_cast<std::int64_t>(draft.users) < options.min_users;
  });
}

// Without a source dataset: what belongs to no scenario is the source.
void take_source_from_train(Union& all, const std::vector<Draft>& drafts) {
  std::vector<bool> in_scenario(all.sides.size(), false);
  for (const Draft& draft : drafts) {
    for (const ItemId item : draft.items) in_scenario[item] = true;
  }
  for (ItemId item = 0; item < all.sides.size(); ++item) {
    if (!in_scenario[item]) all.sides[item] = kSource;
  }
  for (const SideEvent& row : all.train) {
    if (all.sides[row.event.item] == kSource) all.source.push_back(row);
  }
  std::erase_if(all.train,
                [&](const SideEvent& row) { return all.sides[row.event.item] == kSource; });
}

std::vector<bool> shared_users(const Union& all, const ScenarioOptions& options, const Rng& rng) {
  std::vector<bool> shared(all.users.size(), false);
  for (const SideEvent& row : all.source) shared[row.user] = true;
  if (options.vector_users <= 0.0) return shared;
  Rng draw = rng.fork("vector users");
  const auto order = permutation(shared.size(), draw);
  const auto count = std::llround(options.vector_users * static_cast<double>(shared.size()));
  for (std::int64_t n = 0; n < count; ++n) shared[order[static_cast<std::size_t>(n)]] = false;
  return shared;
}

void keep_shared_pairs(std::vector<Draft>& drafts, const std::vector<bool>& shared,
                       const ScenarioOptions& options) {
  std::erase_if(drafts, [&](Draft& draft) {
    std::erase_if(draft.shared, [&](const UserItem& pair) { return !shared[pair.user]; });
    return static_cast<std::int64_t>(draft.shared.size()) < options.min_pairs;
  });
}

// Pairs whose item will have a vector: target-only users have chosen it [S4].
void keep_usable_pairs(std::vector<Draft>& drafts, const Union& all,
                       const std::vector<bool>& shared) {
  std::vector<bool> has_vector(all.sides.size(), false);
  for (const auto* events : {&all.train, &all.test}) {
    for (const SideEvent& row : *events) {
      if (!shared[row.user]) has_vector[row.event.item] = true;
    }
  }
  std::erase_if(drafts, [&](Draft& draft) {
    std::erase_if(draft.shared, [&](const UserItem& pair) { return !has_vector[pair.item]; });
    return !is_task(draft.shared);
  });
}

// Ids of the world: the source's items first, then those of the scenarios.
class WorldIds {
 public:
  WorldIds(const Union& all, const std::vector<Draft>& drafts, DatasetBuilder& builder)
      : all_(all), users_(all.users.size(), kAbsent), items_(all.sides.size(), kAbsent) {
    for (const SideEvent& row : all.source) add_item(row.event.item, builder);
    source_items_ = static_cast<std::uint32_t>(builder.item_count());
    for (const Draft& draft : drafts) {
      for (const ItemId item : draft.items) add_item(item, builder);
    }
  }

  UserId user(UserId joint, DatasetBuilder& builder) {
    if (users_[joint] == kAbsent) users_[joint] = builder.user(all_.users.name(joint));
    return users_[joint];
  }
  bool has_item(ItemId joint) const { return items_[joint] != kAbsent; }
  ItemId item(ItemId joint) const { return items_[joint]; }
  std::uint32_t source_items() const { return source_items_; }

 private:
  void add_item(ItemId joint, DatasetBuilder& builder) {
    if (items_[joint] != kAbsent) return;
    items_[joint] = builder.item(all_.items.name(joint));
    builder.set_item(items_[joint], all_.descriptions[joint]);
  }
  const Union& all_;
  std::vector<UserId> users_;
  std::vector<ItemId> items_;
  std::uint32_t source_items_ = 0;
};

std::vector<bool> test_roles(const std::vector<Draft>& drafts, bool random,
                             const ScenarioOptions& options, const Rng& rng) {
  std::vector<bool> is_test(drafts.size(), random);
  if (!random) {
    for (std::size_t n = 0; n < drafts.size(); ++n) is_test[n] = drafts[n].test;
    return is_test;
  }
  Rng draw = rng.fork("scenarios");
  const auto order = permutation(drafts.size(), draw);
  const auto train = static_cast<std::size_t>(
      std::llround(options.train_share * static_cast<double>(drafts.size())));
  for (std::size_t n = 0; n < train; ++n) is_test[order[n]] = false;
  return is_test;
}

Json names_of(const std::vector<const Dataset*>& datasets) {
  Json names = Json::array();
  for (const Dataset* data : datasets) {
    names.push_back({{"name", data->name}, {"fingerprint", data->fingerprint()}});
  }
  return names;
}

void require_tasks(const ScenarioSet& set, std::size_t named, const ScenarioOptions& options) {
  if (!set.meta_train.empty() && !set.meta_test.empty()) return;
  throw Error(
      Kind::kBadInput,
      fmt::format("{} scenarios are left for meta-training and {} for meta-testing, of {} "
                  "categories",
                  set.meta_train.size(), set.meta_test.size(), named),
      "scenarios",
      fmt::format("the bounds are min_items {}, max_items {}, min_users {}, min_pairs {}; "
                  "users must be shared with the source (or vector_users above 0), and items of "
                  "test scenarios leave the others (overlap=keep: stay)",
                  options.min_items, options.max_items, options.min_users, options.min_pairs));
}

}  // namespace

ScenarioSet build_scenarios(const ScenarioSources& sources, const ScenarioOptions& options) {
  if (sources.meta_train.empty()) {
    throw Error(Kind::kBadOption, "which dataset holds the scenarios to learn from?",
                "--meta-train");
  }
  const Rng rng = Rng(static_cast<std::uint64_t>(options.split_seed)).fork("scenarios");
  Union all;
  add_side(sources.source, kSource, all);
  add_side(sources.meta_train, kTrain, all);
  add_side(sources.meta_test, kTest, all);
  separate_source(all);
  std::vector<Draft> drafts = drafts_of(all, kTrain, options);
  const std::vector<Draft> test = drafts_of(all, kTest, options);
  drafts.insert(drafts.end(), test.begin(), test.end());
  const std::size_t named = drafts.size();
  keep_sizes(drafts, options);
  if (sources.source.empty()) take_source_from_train(all, drafts);
  const std::vector<bool> shared = shared_users(all, options, rng);
  keep_shared_pairs(drafts, shared, options);
  separate_test(all, drafts);
  keep_usable_pairs(drafts, all, shared);

  ScenarioSet set;
  DatasetBuilder builder(all.has_times);
  WorldIds ids(all, drafts, builder);
  set.source_items = ids.source_items();
  for (const auto* events : {&all.source, &all.train, &all.test}) {
    for (const auto& [user, event] : *events) {
      if (!ids.has_item(event.item)) continue;
      if (shared[user] && ids.item(event.item) >= set.source_items) continue;  // a task's pair
      builder.add(ids.user(user, builder), ids.item(event.item), event.time, event.value);
    }
  }
  std::vector<Scenario> tasks;
  for (const Draft& draft : drafts) {
    Scenario task{draft.name, {}, {}, {}, {}};
    for (const auto& [user, item] : draft.shared) {
      task.pairs.push_back({ids.user(user, builder), ids.item(item)});
    }
    task.candidates = items_of(task.pairs);
    tasks.push_back(std::move(task));
  }
  set.world = std::move(builder).build("world");
  const bool random = sources.meta_test.empty();
  assign_roles(std::move(tasks), test_roles(drafts, random, options, rng), options, rng, set);
  require_tasks(set, named, options);
  set.recipe = {{"options", options_to_json(options)},
                {"source", names_of(sources.source)},
                {"meta_train", names_of(sources.meta_train)},
                {"meta_test", names_of(sources.meta_test)}};
  return set;
}

}  // namespace kindling
