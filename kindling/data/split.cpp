#include "kindling/data/split.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kindling/base/error.h"
#include "kindling/base/text.h"

namespace kindling {

namespace {

void require_times(const Dataset& data, const char* what) {
  if (data.has_times) return;
  throw Error(Kind::kUnsupported,
              std::string(what) + " needs times, dataset " + quote(data.name) + " has order only",
              {}, "use leave-last-out");
}

// Keeps the events for which keep(user, position, event) holds; ids stay as they are.
template <class Keep>
Dataset filter_events(const Dataset& data, const Keep& keep) {
  std::vector<std::uint64_t> offsets{0};
  offsets.reserve(data.user_count() + 1);
  std::vector<Event> events;
  events.reserve(data.event_count());
  for (UserId user = 0; user < data.user_count(); ++user) {
    const auto history = data.history(user);
    for (std::size_t at = 0; at < history.size(); ++at) {
      if (keep(user, at, history[at])) events.push_back(history[at]);
    }
    offsets.push_back(events.size());
  }
  return DatasetBuilder::replace_events(data, std::move(offsets), std::move(events));
}

// Train: time <= t_s; tests: t_s < time <= last.
TargetSplit split_between(const Dataset& target, std::int64_t time, std::int64_t last) {
  TargetSplit split;
  split.time = time;
  for (UserId user = 0; user < target.user_count(); ++user) {
    const auto history = target.history(user);
    for (std::size_t at = 0; at < history.size(); ++at) {
      if (history[at].time > time && history[at].time <= last) {
        split.tests.push_back({user, static_cast<std::uint32_t>(at)});
      }
    }
  }
  split.train = events_until(target, time);
  check_no_leak(split, target);
  return split;
}

constexpr std::int64_t kDay = 86400;

// Midnight (UTC) six days before the day of the last event.
std::int64_t last_week(const Dataset& target) {
  std::int64_t last = 0;
  for (const Event& event : target.events()) last = std::max(last, event.time);
  return last / kDay * kDay - 6 * kDay;
}

}  // namespace

TargetSplit split_at(const Dataset& target, std::int64_t time) {
  require_times(target, "a split by time");
  return split_between(target, time, std::numeric_limits<std::int64_t>::max());
}

TargetSplit split_by_time(const Dataset& target, double train_share) {
  require_times(target, "a split by time");
  if (!(train_share > 0.0 && train_share < 1.0)) {
    throw Error(Kind::kBadOption, "train share must lie between 0 and 1");
  }
  if (target.event_count() == 0) {
    throw Error(Kind::kBadInput, "dataset " + quote(target.name) + " has no events to split");
  }
  std::vector<std::int64_t> times;
  times.reserve(target.event_count());
  for (const Event& event : target.events()) times.push_back(event.time);
  // The least t with at least train_share of the events at or before it.
  const auto needed =
      static_cast<std::size_t>(std::ceil(train_share * static_cast<double>(times.size()) - 1e-9));
  const auto nth =
      times.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(needed, 1) - 1);
  std::nth_element(times.begin(), nth, times.end());
  return split_at(target, *nth);
}

TargetSplit split_window(const Dataset& target, std::int64_t start, std::int64_t seconds) {
  require_times(target, "a split by time");
  if (seconds <= 0) throw Error(Kind::kBadOption, "the test window must be longer than 0 seconds");
  return split_between(target, start - 1, start + seconds - 1);
}

TargetSplit split_leave_last_out(const Dataset& target) {
  TargetSplit split;
  split.train = filter_events(target, [&](UserId user, std::size_t at, const Event&) {
    const std::size_t length = target.history(user).size();
    return length < 2 || at + 1 < length;
  });
  for (UserId user = 0; user < target.user_count(); ++user) {
    const std::size_t length = target.history(user).size();
    if (length >= 2) split.tests.push_back({user, static_cast<std::uint32_t>(length - 1)});
  }
  check_no_leak(split, target);
  return split;
}

TargetSplit split_leave_two_out(const Dataset& target) {
  constexpr std::size_t kLeast = 3;
  TargetSplit split;
  split.train = filter_events(target, [&](UserId user, std::size_t at, const Event&) {
    const std::size_t length = target.history(user).size();
    return length < kLeast || at + 2 < length;
  });
  for (UserId user = 0; user < target.user_count(); ++user) {
    const auto length = static_cast<std::uint32_t>(target.history(user).size());
    if (length < kLeast) continue;
    split.validation.push_back({user, length - 2});
    split.tests.push_back({user, length - 1});
  }
  check_no_leak(split, target);
  return split;
}

void thin_train(TargetSplit& split, Dataset part) {
  check(part.user_count() == split.train.user_count() &&
            part.item_count() == split.train.item_count(),
        "a thinned train part must keep its ids");
  std::vector<std::size_t> whole(part.user_count());
  for (UserId user = 0; user < part.user_count(); ++user) {
    whole[user] = split.events_before(user);
  }
  split.whole = std::move(whole);
  split.train = std::move(part);
}

const std::vector<std::string>& protocol_names() {
  static const std::vector<std::string> names{"time-split", "leave-last-out", "leave-two-out",
                                              "mind-day", "mind-week"};
  return names;
}

TargetSplit split_by_protocol(const Dataset& target, const std::string& protocol,
                              std::optional<std::int64_t> test_start) {
  if (protocol == "time-split") return split_by_time(target);
  if (protocol == "leave-last-out") return split_leave_last_out(target);
  if (protocol == "leave-two-out") return split_leave_two_out(target);
  if (protocol == "mind-day" || protocol == "mind-week") {
    const std::int64_t start = test_start.value_or(last_week(target));
    return split_window(target, start, protocol == "mind-day" ? kDay : 7 * kDay);
  }
  const auto near = nearest_name(protocol, protocol_names());
  throw Error(
      Kind::kBadOption, "unknown protocol " + quote(protocol), {},
      near ? "did you mean " + *near + "?" : "the protocols are: " + join(protocol_names(), ", "));
}

std::vector<std::vector<ItemId>> items_of(const Dataset& data,
                                          const std::vector<TestEvent>& tests) {
  std::vector<std::vector<ItemId>> items(data.user_count());
  for (const TestEvent& test : tests) {
    items[test.user].push_back(data.history(test.user)[test.position].item);
  }
  return items;
}

Dataset events_until(const Dataset& source, std::int64_t time) {
  require_times(source, "a cut at a time");
  return filter_events(source,
                       [&](UserId, std::size_t, const Event& event) { return event.time <= time; });
}

UserSplit split_users(const Dataset& data, double validation_share, const Rng& rng) {
  if (!(validation_share >= 0.0 && validation_share < 1.0)) {
    throw Error(Kind::kBadOption, "validation share must lie in [0, 1)");
  }
  std::vector<UserId> users;
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (data.history(user).size() >= 2) users.push_back(user);
  }
  Rng own = rng.fork("validation users");
  shuffle(std::span<UserId>(users), own);
  auto count =
      static_cast<std::size_t>(std::llround(validation_share * static_cast<double>(users.size())));
  // A share that was asked for gives at least one user, as long as one is left to train on.
  if (validation_share > 0.0 && count == 0 && users.size() >= 2) count = 1;
  UserSplit split;
  const auto middle = users.begin() + static_cast<std::ptrdiff_t>(count);
  split.validation.assign(users.begin(), middle);
  split.train.assign(middle, users.end());
  std::sort(split.validation.begin(), split.validation.end());
  std::sort(split.train.begin(), split.train.end());
  return split;
}

void check_no_leak(const TargetSplit& split, const Dataset& target) {
  check(split.train.user_count() == target.user_count() &&
            split.train.item_count() == target.item_count(),
        "a split must keep the ids of its dataset");
  const auto check_later = [&](const TestEvent& test) {
    const auto history = target.history(test.user);
    check(test.position < history.size(), "test event outside the history");
    check(split.train.history(test.user).size() <= test.position,
          "the train part reaches a test event");
    if (split.time) check(history[test.position].time > *split.time, "test event before the split");
  };
  for (const TestEvent& test : split.tests) check_later(test);
  for (const TestEvent& test : split.validation) check_later(test);
  if (!split.time) return;
  const bool before = std::all_of(split.train.events().begin(), split.train.events().end(),
                                  [&](const Event& event) { return event.time <= *split.time; });
  check(before, "train event after the split");
}

}  // namespace kindling
