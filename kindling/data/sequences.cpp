#include "kindling/data/sequences.h"

#include <algorithm>
#include <bit>

#include "kindling/base/error.h"

namespace kindling {

namespace {

constexpr std::int64_t kDay = 86400;

std::span<const Event> last_events(std::span<const Event> history, std::int64_t limit) {
  return history.last(std::min(history.size(), static_cast<std::size_t>(limit)));
}

// What the packing of one data set follows.
struct Packing {
  SessionRule rule = SessionRule::kNone;
  std::int64_t gap_minutes = 0;
  bool dummy_per_session = false;

  Packing(SessionRule session_rule, const SequenceOptions& options)
      : rule(session_rule),
        gap_minutes(options.session_gap_minutes),
        dummy_per_session(marks_sessions(options)) {}

  bool opens_session(const Event& before, const Event& event) const {
    return starts_session(before, event, rule, gap_minutes);
  }
};

void append_dummy(SequenceBatch& batch) {
  batch.inputs.push_back(kDummyItem);
  batch.session_start.push_back(1);
  batch.gap_bucket.push_back(0);
}

// Appends the step that reads `event`, which came after `before` (null for the first). A session
// that a dummy has opened is not opened again.
void append_event(SequenceBatch& batch, const Event* before, const Event& event,
                  const Packing& packing) {
  const bool opens = before != nullptr && packing.opens_session(*before, event);
  batch.inputs.push_back(event.item);
  batch.session_start.push_back(opens && !packing.dummy_per_session ? 1 : 0);
  const bool timed = before != nullptr && packing.rule != SessionRule::kNone;
  batch.gap_bucket.push_back(timed ? gap_bucket(event.time - before->time) : 0);
}

// The steps that ask for events [begin, end) of a sequence.
void append_steps(SequenceBatch& batch, std::span<const Event> events, std::size_t begin,
                  std::size_t end, const Packing& packing) {
  for (std::size_t n = begin; n < end; ++n) {
    if (n > 0) append_event(batch, n >= 2 ? &events[n - 2] : nullptr, events[n - 1], packing);
    const bool opens =
        n == 0 || (packing.dummy_per_session && packing.opens_session(events[n - 1], events[n]));
    if (opens) append_dummy(batch);
    batch.targets.push_back(events[n].item);
    if (packing.dummy_per_session) batch.asked.push_back(batch.steps() - 1);
  }
  batch.offsets.push_back(batch.steps());
}

}  // namespace

SessionRule session_rule(const Dataset& data, const SequenceOptions& options) {
  if (options.sessions == "none" || !data.has_times) return SessionRule::kNone;
  if (options.sessions == "day") return SessionRule::kDay;
  if (options.sessions == "gap") return SessionRule::kGap;
  const bool daily = std::all_of(data.events().begin(), data.events().end(),
                                 [](const Event& event) { return event.time % kDay == 0; });
  return daily ? SessionRule::kDay : SessionRule::kGap;
}

bool starts_session(const Event& before, const Event& event, SessionRule rule,
                    std::int64_t gap_minutes) {
  const auto day = [](std::int64_t time) { return (time - ((time % kDay) + kDay) % kDay) / kDay; };
  switch (rule) {
    case SessionRule::kNone:
      return false;
    case SessionRule::kDay:
      return day(before.time) != day(event.time);
    case SessionRule::kGap:
      return event.time - before.time > gap_minutes * 60;
  }
  return false;
}

std::uint8_t gap_bucket(std::int64_t seconds) {
  constexpr std::int64_t kHour = 3600;
  constexpr unsigned kLast = 15;
  const auto hours = static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0) / kHour);
  // floor(log2(1 + h)) is the same for h and floor(h): 1 + h crosses powers of two at whole hours.
  return static_cast<std::uint8_t>(
      std::min(kLast, static_cast<unsigned>(std::bit_width(hours + 1)) - 1U));
}

SequenceBatch make_batch(const Dataset& data, std::span<const UserId> users,
                         const SequenceOptions& options) {
  const Packing packing(session_rule(data, options), options);
  SequenceBatch batch;
  for (const UserId user : users) {
    const auto events = last_events(data.history(user), options.max_length);
    if (events.empty()) continue;
    append_steps(batch, events, 0, events.size(), packing);
  }
  return batch;
}

SequenceBatch make_query_batch(std::span<const std::span<const Event>> histories, SessionRule rule,
                               const SequenceOptions& options, std::span<const QueryTime> times) {
  check(times.empty() || times.size() == histories.size(), "one time for each query, or none");
  const Packing packing(rule, options);
  SequenceBatch batch;
  for (std::size_t q = 0; q < histories.size(); ++q) {
    const auto events = last_events(histories[q], options.max_length);
    append_dummy(batch);
    for (std::size_t n = 0; n < events.size(); ++n) {
      const Event* before = n > 0 ? &events[n - 1] : nullptr;
      const bool opens = before != nullptr && packing.opens_session(*before, events[n]);
      if (opens && packing.dummy_per_session) append_dummy(batch);
      append_event(batch, before, events[n], packing);
    }
    if (packing.dummy_per_session && !events.empty() && !times.empty() && times[q]) {
      Event now = events.back();
      now.time = *times[q];
      if (packing.opens_session(events.back(), now)) append_dummy(batch);
    }
    batch.offsets.push_back(batch.steps());
  }
  return batch;
}

EpochPlan::EpochPlan(const Dataset& data, std::span<const UserId> users,
                     const SequenceOptions& options, Rng rng)
    : data_(&data), options_(options), rule_(session_rule(data, options)) {
  const auto length = [&](UserId user) {
    return last_events(data.history(user), options.max_length).size();
  };
  std::vector<UserId> order;
  for (const UserId user : users) {
    if (length(user) == 0) continue;
    order.push_back(user);
    targets_ += static_cast<std::int64_t>(length(user));
  }
  // Shuffled before the stable sort: which users of one length share a batch changes every epoch.
  shuffle(std::span<UserId>(order), rng);
  std::stable_sort(order.begin(), order.end(),
                   [&](UserId a, UserId b) { return length(a) > length(b); });
  const auto full = static_cast<std::size_t>(options.full_length);
  const auto size = static_cast<std::size_t>(options.batch_size);
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = std::min(begin + size, order.size());
    // Windowed and whole sequences do not share a group.
    if (length(order[begin]) > full) {
      while (length(order[end - 1]) <= full) --end;
    }
    groups_.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(begin),
                         order.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
  shuffle(std::span<std::vector<UserId>>(groups_), rng);
}

std::vector<SequenceBatch> EpochPlan::group(std::size_t g) const {
  const auto& users = groups_.at(g);
  const auto events_of = [&](UserId user) {
    return last_events(data_->history(user), options_.max_length);
  };
  const std::size_t longest = events_of(users.front()).size();
  const auto full = static_cast<std::size_t>(options_.full_length);
  const std::size_t step = longest <= full ? longest : static_cast<std::size_t>(options_.window);
  const Packing packing(rule_, options_);
  std::vector<SequenceBatch> windows;
  for (std::size_t begin = 0; begin < longest; begin += step) {
    SequenceBatch& batch = windows.emplace_back();
    for (const UserId user : users) {
      const auto events = events_of(user);
      if (events.size() <= begin) break;  // longest first: nobody behind goes on either
      append_steps(batch, events, begin, std::min(begin + step, events.size()), packing);
    }
  }
  return windows;
}

}  // namespace kindling
