// Train and test parts of a domain. Every split keeps the ids of the dataset it came from, so item
// vectors and histories stay valid.
//
//   TargetSplit split = split_by_time(pantry);              // 80 % of the interactions are train
//   Dataset grocery = events_until(source, *split.time);    // the source, cut at the same moment
//   for (const TestEvent& test : split.tests) {
//     const auto context = pantry.history(test.user).first(test.position);   // all before it [Z21]
//     const ItemId truth = pantry.history(test.user)[test.position].item;
//   }
//
// Source: ZESRec, arXiv text, section 4.1 (specs/zesrec.md 2.2); the submission's day and week
// evaluation is split_window. Errors: Error{kUnsupported} for a time split of data without times.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kindling/base/random.h"
#include "kindling/data/dataset.h"

namespace kindling {

// "Predict the event at `position` of the user's history in the full dataset."
struct TestEvent {
  UserId user = 0;
  std::uint32_t position = 0;

  friend bool operator==(const TestEvent&, const TestEvent&) = default;
};

struct TargetSplit {
  Dataset train;                      // users may be left without events
  std::vector<TestEvent> tests;       // by user, then position
  std::vector<TestEvent> validation;  // the same, between train and tests; empty in most protocols
  std::optional<std::int64_t> time;   // t_s: train is time <= t_s; nothing for order-only splits
  std::vector<std::size_t> whole;     // [users] events of a train part that was thinned, else empty

  // How many of a user's events come before the split.
  std::size_t events_before(UserId user) const {
    return whole.empty() ? train.history(user).size() : whole[user];
  }
};

// Puts a part of the train events, of the same ids, in the place of all. Which events are asked
// for, and what is known before them, stays.
void thin_train(TargetSplit& split, Dataset part);

// t_s such that `train_share` of the interactions have time <= t_s; test is everything later.
TargetSplit split_by_time(const Dataset& target, double train_share = 0.8);
// The same with t_s given.
TargetSplit split_at(const Dataset& target, std::int64_t time);
// Train: time < start. Test: start <= time < start + seconds (a day or a week of the submission).
TargetSplit split_window(const Dataset& target, std::int64_t start, std::int64_t seconds);
// For data that has an order but no times: each user's last event is the test, the rest is train.
// Users with one event have it as train.
TargetSplit split_leave_last_out(const Dataset& target);

// Leave-two-out: a user's last event is the test, the last but one the validation event, the rest
// is train. Users with fewer than three events are train as a whole. Source: specs/recguru.md 2.3.
TargetSplit split_leave_two_out(const Dataset& target);

// What commands and files call the splits.
const std::vector<std::string>& protocol_names();
// The split of that name. mind-day and mind-week are of the week that starts at `test_start`
// (seconds since 1970); without it, at midnight (UTC) six days before the day of the last event.
// Error{kBadOption}: there is no such name.
TargetSplit split_by_protocol(const Dataset& target, const std::string& protocol,
                              std::optional<std::int64_t> test_start = std::nullopt);

// The items of `tests`, by user: what an honest model never sees.
std::vector<std::vector<ItemId>> items_of(const Dataset& data, const std::vector<TestEvent>& tests);

// Events with time <= `time`: what a source may be trained on when the target is cut there.
Dataset events_until(const Dataset& source, std::int64_t time);

// Users with at least two events, `validation_share` of them drawn for validation.
struct UserSplit {
  std::vector<UserId> train;
  std::vector<UserId> validation;
};
UserSplit split_users(const Dataset& data, double validation_share, const Rng& rng);

// Throws Error{kInternal} when the train part holds a test event or, in a time split, anything
// later than the earliest test event. Every split runs it; protocols may run it again.
void check_no_leak(const TargetSplit& split, const Dataset& target);

}  // namespace kindling
