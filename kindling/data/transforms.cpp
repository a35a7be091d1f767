#include "kindling/data/transforms.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/hash.h"
#include "kindling/base/random.h"
#include "kindling/base/text.h"
#include "kindling/data/history_lengths.h"

namespace kindling {

namespace {

// What stays: flags for users, items and events (by index into data.events()).
struct Kept {
  explicit Kept(const Dataset& data)
      : users(data.user_count(), true),
        items(data.item_count(), true),
        events(data.event_count(), true) {}

  std::vector<bool> users;
  std::vector<bool> items;
  std::vector<bool> events;
};

// Calls use(user, index) for every event that is still kept together with its user and item.
template <class Use>
void for_kept(const Dataset& data, const Kept& kept, const Use& use) {
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (!kept.users[user]) continue;
    for (std::uint64_t at = data.offsets()[user]; at < data.offsets()[user + 1]; ++at) {
      if (kept.events[at] && kept.items[data.events()[at].item]) use(user, at);
    }
  }
}

// The items in the order of their new numbers.
std::vector<ItemId> item_sequence(const Dataset& data, bool lexicographic) {
  std::vector<ItemId> order(data.item_count());
  std::iota(order.begin(), order.end(), ItemId{0});
  if (!lexicographic) return order;
  std::sort(order.begin(), order.end(),
            [&](ItemId a, ItemId b) { return data.item_ids().name(a) < data.item_ids().name(b); });
  return order;
}

Dataset rebuild(const Dataset& data, const Kept& kept, bool lexicographic = false) {
  DatasetBuilder builder(data.has_times);
  std::vector<ItemId> items(data.item_count());
  for (const ItemId item : item_sequence(data, lexicographic)) {
    if (!kept.items[item]) continue;
    items[item] = builder.item(data.item_ids().name(item));
    builder.set_item(items[item], data.items()[item]);
  }
  std::vector<UserId> users(data.user_count());
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (kept.users[user]) users[user] = builder.user(data.user_ids().name(user));
  }
  for_kept(data, kept, [&](UserId user, std::uint64_t at) {
    const Event& event = data.events()[at];
    builder.add(users[user], items[event.item], event.time, event.value);
  });
  Dataset result = std::move(builder).build(data.name);
  result.origin = data.origin;
  return result;
}

std::vector<std::uint64_t> user_lengths(const Dataset& data, const Kept& kept) {
  std::vector<std::uint64_t> lengths(data.user_count(), 0);
  for_kept(data, kept, [&](UserId user, std::uint64_t) { ++lengths[user]; });
  return lengths;
}

void drop_short_users(const Dataset& data, std::int64_t least, Kept& kept) {
  const auto lengths = user_lengths(data, kept);
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (lengths[user] < static_cast<std::uint64_t>(least)) kept.users[user] = false;
  }
}

void keep_part(const Dataset& data, const std::string& part, Kept& kept) {
  const auto numbers = split(part, '/');
  const auto index = to_int(numbers[0]);
  const auto count = numbers.size() == 2 ? to_int(numbers[1]) : std::nullopt;
  if (!index || !count || *count < 1 || *index < 1 || *index > *count) {
    throw Error(Kind::kBadOption, "option user_part cannot be " + quote(part), {},
                "expected i/n, for example 1/2");
  }
  for (UserId user = 0; user < data.user_count(); ++user) {
    // Eight hex digits of SHA-256: the same part on every machine and in every version.
    const auto hash = std::stoull(sha256(data.user_ids().name(user)).substr(0, 8), nullptr, 16);
    if (hash % static_cast<std::uint64_t>(*count) != static_cast<std::uint64_t>(*index - 1)) {
      kept.users[user] = false;
    }
  }
}

void filter_categories(const Dataset& data, const std::string& list, bool include, Kept& kept) {
  std::vector<std::string_view> names;
  for (const std::string_view name : split(list, '|')) names.push_back(trim(name));
  std::vector<bool> used(names.size(), false);
  for (ItemId item = 0; item < data.item_count(); ++item) {
    bool has = false;
    for (const auto& category : data.items()[item].categories) {
      const auto found = std::find(names.begin(), names.end(), category);
      if (found == names.end()) continue;
      has = true;
      used[static_cast<std::size_t>(found - names.begin())] = true;
    }
    if (has != include) kept.items[item] = false;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (used[i]) continue;
    throw Error(Kind::kBadOption, fmt::format("option {}_categories names {}, which no item has",
                                              include ? "include" : "exclude", quote(names[i])));
  }
}

void drop_textless(const Dataset& data, const std::string& mode, Kept& kept) {
  const auto textless = [](const Item& item) { return item.text.empty(); };
  const bool all = std::all_of(data.items().begin(), data.items().end(), textless);
  if (mode == "auto" && all) return;
  for (ItemId item = 0; item < data.item_count(); ++item) {
    if (textless(data.items()[item])) kept.items[item] = false;
  }
}

void collapse_repeats(const Dataset& data, bool any, Kept& kept) {
  std::vector<UserId> seen_by(any ? data.item_count() : 0, ~UserId{0});
  std::optional<UserId> last_user;
  ItemId last_item = 0;
  for_kept(data, kept, [&](UserId user, std::uint64_t at) {
    const ItemId item = data.events()[at].item;
    const bool repeat = any ? seen_by[item] == user : last_user == user && last_item == item;
    if (any) seen_by[item] = user;
    last_user = user;
    last_item = item;
    if (repeat) kept.events[at] = false;
  });
}

void keep_last_events(const Dataset& data, std::int64_t last, Kept& kept) {
  auto left = user_lengths(data, kept);
  for_kept(data, kept, [&](UserId user, std::uint64_t at) {
    if (left[user]-- > static_cast<std::uint64_t>(last)) kept.events[at] = false;
  });
}

// Dropping users makes items rarer and the other way round: until nothing changes.
void keep_core(const Dataset& data, std::int64_t user_core, std::int64_t item_core, Kept& kept) {
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<std::int64_t> items(data.item_count(), 0);
    std::vector<std::int64_t> users(data.user_count(), 0);
    for_kept(data, kept, [&](UserId user, std::uint64_t at) {
      ++users[user];
      ++items[data.events()[at].item];
    });
    for (UserId user = 0; user < users.size(); ++user) {
      if (!kept.users[user] || users[user] >= user_core) continue;
      kept.users[user] = false;
      changed = true;
    }
    for (ItemId item = 0; item < items.size(); ++item) {
      if (!kept.items[item] || items[item] >= item_core) continue;
      kept.items[item] = false;
      changed = true;
    }
  }
}

// One pass, as RecGURU's code has it: items by all their rows, then users by what is left [R1].
void keep_core_once(const Dataset& data, std::int64_t user_core, std::int64_t item_core,
                    Kept& kept) {
  std::vector<std::int64_t> items(data.item_count(), 0);
  for_kept(data, kept, [&](UserId, std::uint64_t at) { ++items[data.events()[at].item]; });
  for (ItemId item = 0; item < items.size(); ++item) {
    if (items[item] < item_core) kept.items[item] = false;
  }
  drop_short_users(data, user_core, kept);
}

void keep_random_users(const Dataset& data, std::int64_t most, std::int64_t seed, Kept& kept) {
  std::vector<UserId> users;
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (kept.users[user]) users.push_back(user);
  }
  if (users.size() <= static_cast<std::size_t>(most)) return;
  Rng rng = Rng(static_cast<std::uint64_t>(seed)).fork("max_users");
  shuffle(std::span<UserId>(users), rng);
  for (auto i = static_cast<std::size_t>(most); i < users.size(); ++i) {
    kept.users[users[i]] = false;
  }
}

void drop_unseen_items(const Dataset& data, Kept& kept) {
  std::vector<bool> seen(data.item_count(), false);
  for_kept(data, kept, [&](UserId, std::uint64_t at) { seen[data.events()[at].item] = true; });
  for (ItemId item = 0; item < data.item_count(); ++item) {
    if (!seen[item]) kept.items[item] = false;
  }
}

struct Counts {
  std::uint64_t users = 0;
  std::uint64_t items = 0;
  std::uint64_t events = 0;

  friend bool operator==(const Counts&, const Counts&) = default;
};

Counts count(const Dataset& data, const Kept& kept) {
  Counts counts;
  counts.users = static_cast<std::uint64_t>(std::count(kept.users.begin(), kept.users.end(), true));
  counts.items = static_cast<std::uint64_t>(std::count(kept.items.begin(), kept.items.end(), true));
  for_kept(data, kept, [&](UserId, std::uint64_t) { ++counts.events; });
  return counts;
}

[[noreturn]] void refuse_empty(const Dataset& data, const TransformOptions& options,
                               const Json& steps) {
  std::string emptied = "none is left by itself";
  for (const Json& step : steps) {
    if (step["items"] != 0 && (step["events"] != 0 || data.event_count() == 0)) continue;
    emptied = step["step"].get<std::string>() + " left none";
    break;
  }
  throw Error(
      Kind::kBadInput,
      fmt::format("nothing is left of dataset {}: of {} users, {} items and {} events, {}",
                  quote(data.name), data.user_count(), data.item_count(), data.event_count(),
                  emptied),
      {},
      fmt::format("the longest history has length {}; --min-user-length is {}, --user-core {}, "
                  "--item-core {}",
                  longest_history(data), options.min_user_length, options.user_core,
                  options.item_core));
}

// How many of the source's users and items are in the target too, as a sentence.
std::string shared_counts(const Dataset& source, const Kept& apart) {
  const auto gone = [](const std::vector<bool>& kept) {
    return std::count(kept.begin(), kept.end(), false);
  };
  return fmt::format("{} of its {} users and {} of its {} items are in both", gone(apart.users),
                     source.user_count(), gone(apart.items), source.item_count());
}

}  // namespace

Dataset apply_transforms(const Dataset& data, const TransformOptions& options, Json& steps) {
  Kept kept(data);
  Counts before = count(data, kept);
  steps = Json::array();
  const auto step = [&](const std::string& name, bool wanted, const std::function<void()>& body) {
    if (!wanted) return;
    body();
    const Counts after = count(data, kept);
    if (after == before) return;
    before = after;
    steps.push_back(
        {{"step", name}, {"users", after.users}, {"items", after.items}, {"events", after.events}});
  };
  const TransformOptions& o = options;
  // A catalogue without interactions keeps its items whatever the filters of users say.
  const bool has_events = data.event_count() > 0;
  step("user_part " + o.user_part, !o.user_part.empty(),
       [&] { keep_part(data, o.user_part, kept); });
  step("include_categories " + o.include_categories, !o.include_categories.empty(),
       [&] { filter_categories(data, o.include_categories, true, kept); });
  step("exclude_categories " + o.exclude_categories, !o.exclude_categories.empty(),
       [&] { filter_categories(data, o.exclude_categories, false, kept); });
  step("drop_textless", o.drop_textless != "no",
       [&] { drop_textless(data, o.drop_textless, kept); });
  step("collapse " + o.collapse, o.collapse != "off",
       [&] { collapse_repeats(data, o.collapse == "any", kept); });
  step("keep_last", o.keep_last > 0, [&] { keep_last_events(data, o.keep_last, kept); });
  step("core", has_events && (o.user_core > 0 || o.item_core > 0), [&] {
    (o.core_passes == "once" ? keep_core_once : keep_core)(data, o.user_core, o.item_core, kept);
  });
  step("min_user_length", o.min_user_length > 0,
       [&] { drop_short_users(data, o.min_user_length, kept); });
  step("max_users", o.max_users > 0,
       [&] { keep_random_users(data, o.max_users, o.transform_seed, kept); });
  step("unseen_items", has_events && !o.keep_unseen_items, [&] { drop_unseen_items(data, kept); });
  if (before.items == 0 || (has_events && before.events == 0)) {
    refuse_empty(data, o, steps);
  }
  return rebuild(data, kept, o.item_order == "lexicographic");
}

Dataset keep_users(const Dataset& data, const std::vector<bool>& users) {
  check(users.size() == data.user_count(), "one mark for each user");
  Kept kept(data);
  kept.users = users;
  drop_unseen_items(data, kept);
  return rebuild(data, kept);
}

Overlap overlap_named(const std::string& name) {
  if (name == "both") return Overlap::kBoth;
  if (name == "users") return Overlap::kUsers;
  if (name == "items") return Overlap::kItems;
  if (name == "none") return Overlap::kNone;
  throw Error(Kind::kBadOption, "what of the target leaves the source cannot be " + quote(name),
              "remove_overlap", "expected both, users, items or none");
}

Dataset remove_overlap(const Dataset& source, const Dataset& target, std::int64_t min_user_length,
                       Overlap removed) {
  const bool users = removed == Overlap::kBoth || removed == Overlap::kUsers;
  const bool items = removed == Overlap::kBoth || removed == Overlap::kItems;
  Kept kept(source);
  for (UserId user = 0; users && user < source.user_count(); ++user) {
    if (target.user_ids().find(source.user_ids().name(user))) kept.users[user] = false;
  }
  for (ItemId item = 0; items && item < source.item_count(); ++item) {
    if (target.item_ids().find(source.item_ids().name(item))) kept.items[item] = false;
  }
  const std::string shared = shared_counts(source, kept);
  drop_short_users(source, min_user_length, kept);
  drop_unseen_items(source, kept);
  const Counts left = count(source, kept);
  if (left.events == 0 && (users || items)) {
    const char* what = users && items ? "users and items" : users ? "users" : "items";
    throw Error(Kind::kBadInput,
                fmt::format("nothing is left of {} without the {} of {}: {}", quote(source.name),
                            what, quote(target.name), shared),
                {},
                fmt::format("users need {} events that stay; models of shared users learn with "
                            "--protocol leave-two-out, which keeps them, and --remove-overlap "
                            "(users, items or none) takes less away",
                            min_user_length));
  }
  if (left.events == 0) {
    throw Error(Kind::kBadInput,
                fmt::format("no user of {} has {} events, the longest history has {}",
                            quote(source.name), min_user_length, longest_history(source)));
  }
  Dataset result = rebuild(source, kept);
  if (users || items) result.origin["without_overlap_with"] = target.name;
  return result;
}

std::vector<ItemId> matching_items(const Dataset& part, const Dataset& whole) {
  std::vector<ItemId> rows;
  rows.reserve(part.item_count());
  for (ItemId item = 0; item < part.item_count(); ++item) {
    const auto found = whole.item_ids().find(part.item_ids().name(item));
    if (!found) {
      throw Error(Kind::kBadInput,
                  fmt::format("item {} is not in dataset {}", quote(part.item_ids().name(item)),
                              quote(whole.name)));
    }
    rows.push_back(*found);
  }
  return rows;
}

}  // namespace kindling
