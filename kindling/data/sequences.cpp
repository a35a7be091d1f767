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

// Appends the input of one step: the dummy (`event` null) or an event after `before` (null for the
// first).
void append_input(SequenceBatch& batch, const Event* before, const Event* event, SessionRule rule,
                  std::int64_t gap_minutes) {
  if (event == nullptr) {
    batch.inputs.push_back(kDummyItem);
    batch.session_start.push_back(1);
    batch.gap_bucket.push_back(0);
    return;
  }
  const bool marked = before != nullptr && starts_session(*before, *event, rule, gap_minutes);
  batch.inputs.push_back(event->item);
  batch.session_start.push_back(marked ? 1 : 0);
  const bool timed = before != nullptr && rule != SessionRule::kNone;
  batch.gap_bucket.push_back(timed ? gap_bucket(event->time - before->time) : 0);
}

// Steps [begin, end) of the sequence over `events`, with targets.
void append_steps(SequenceBatch& batch, std::span<const Event> events, std::size_t begin,
                  std::size_t end, SessionRule rule, std::int64_t gap_minutes) {
  for (std::size_t n = begin; n < end; ++n) {
    append_input(batch, n >= 2 ? &events[n - 2] : nullptr, n >= 1 ? &events[n - 1] : nullptr, rule,
                 gap_minutes);
    batch.targets.push_back(events[n].item);
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
  const SessionRule rule = session_rule(data, options);
  SequenceBatch batch;
  for (const UserId user : users) {
    const auto events = last_events(data.history(user), options.max_length);
    if (events.empty()) continue;
    append_steps(batch, events, 0, events.size(), rule, options.session_gap_minutes);
  }
  return batch;
}

SequenceBatch make_query_batch(std::span<const std::span<const Event>> histories, SessionRule rule,
                               const SequenceOptions& options) {
  SequenceBatch batch;
  for (const auto history : histories) {
    const auto events = last_events(history, options.max_length);
    append_input(batch, nullptr, nullptr, rule, options.session_gap_minutes);
    for (std::size_t n = 0; n < events.size(); ++n) {
      append_input(batch, n > 0 ? &events[n - 1] : nullptr, &events[n], rule,
                   options.session_gap_minutes);
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
  std::vector<SequenceBatch> windows;
  for (std::size_t begin = 0; begin < longest; begin += step) {
    SequenceBatch& batch = windows.emplace_back();
    for (const UserId user : users) {
      const auto events = events_of(user);
      if (events.size() <= begin) break;  // longest first: nobody behind goes on either
      append_steps(batch, events, begin, std::min(begin + step, events.size()), rule_,
                   options_.session_gap_minutes);
    }
  }
  return windows;
}

}  // namespace kindling
