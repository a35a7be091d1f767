// From histories to the packed batches that networks read.
//
//   SequenceOptions options;
//   EpochPlan epoch(games, split.train, options, rng.fork("epoch", 3));
//   for (std::size_t g = 0; g < epoch.groups(); ++g) {
//     for (const SequenceBatch& window : epoch.group(g)) step(window);   // carry state inside g
//   }
//
// A user's items i_1 … i_N become inputs [dummy, i_1, …, i_{N-1}] and targets [i_1, …, i_N] [Z7].
// The session marks and gaps describe the *input* of a step: the dummy opens the first session
// (flag 1, gap 0), i_1 belongs to it, and i_k opens a session when it lies far enough from i_{k-1}.
//
// dummy_per=session puts a dummy in front of each session: with sessions i_1 i_2 | i_3 the inputs
// are [dummy, i_1, i_2, dummy], the targets [i_1, i_2, none, i_3]. It is one sequence still, states
// go on from session to session; the dummy opens the session (flag 1, gap 0), i_3 keeps its gap.
// All lengths count events, not dummies.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/base/random.h"
#include "kindling/data/batch.h"
#include "kindling/data/dataset.h"

namespace kindling {

struct SequenceOptions {
  std::int64_t max_length = 256;
  std::int64_t full_length = 64;
  std::int64_t window = 32;
  std::int64_t batch_size = 64;
  std::string sessions = "auto";
  std::int64_t session_gap_minutes = 30;
  std::string dummy_per = "user";

  template <class Visitor>
  void fields(Visitor& field) {
    field("max_length", max_length, kPositive, "events kept of a history, the last ones [Z9]");
    field("full_length", full_length, kPositive,
          "sequences up to this length are back-propagated in one piece [Z9]");
    field("window", window, kPositive, "length of the pieces of longer sequences [Z9]");
    field("batch_size", batch_size, kPositive, "sequences in a batch [Z10]");
    field("sessions", sessions, one_of({"auto", "day", "gap", "none"}),
          "a session is one day, or ends with a gap; auto: day when all times are whole days, gap "
          "for finer times, none without times [Z17]");
    field("session_gap_minutes", session_gap_minutes, kPositive,
          "a longer gap starts a session [Z17]");
    field("dummy_per", dummy_per, one_of({"user", "session"}),
          "the dummy item is put in front of each user's sequence, or of each session of it; the "
          "state goes on either way [Z7]");
  }
};

// Whether each session begins with a dummy [Z7].
inline bool marks_sessions(const SequenceOptions& options) {
  return options.dummy_per == "session";
}

// How the sessions of one dataset are told apart: "auto" resolved by looking at its times.
enum class SessionRule { kNone, kDay, kGap };
SessionRule session_rule(const Dataset& data, const SequenceOptions& options);

// Marks of one input after another, apart from the dummy.
bool starts_session(const Event& before, const Event& event, SessionRule rule,
                    std::int64_t gap_minutes);
// floor(log2(1 + hours)) of the gap, below 16.
std::uint8_t gap_bucket(std::int64_t seconds);

// Whole sequences (last max_length events) with targets: for validation losses. Users without
// events are left out.
SequenceBatch make_batch(const Dataset& data, std::span<const UserId> users,
                         const SequenceOptions& options);

// Inputs only, [dummy, last max_length items]: the state at a sequence's last step is the user
// vector for what comes next. An empty history gives the dummy alone. With dummy_per=session,
// times[q] is when query q is asked: the sequence ends with a dummy when that time opens a session.
// No times, or none for a query: it is asked in the session of the history's last event.
using QueryTime = std::optional<std::int64_t>;  // seconds since 1970
SequenceBatch make_query_batch(std::span<const std::span<const Event>> histories, SessionRule rule,
                               const SequenceOptions& options,
                               std::span<const QueryTime> times = {});

// One pass over the training users: sequences of similar length share a batch, batches come in
// random order. Made lazily; the same rng gives the same plan.
class EpochPlan {
 public:
  EpochPlan(const Dataset& data, std::span<const UserId> users, const SequenceOptions& options,
            Rng rng);

  std::size_t groups() const { return groups_.size(); }
  // The windows of group g, in order: one for short sequences. Sequence b of window k + 1 continues
  // sequence b of window k (the longest come first, so those that go on are a prefix): start it
  // from that one's last state, detached.
  std::vector<SequenceBatch> group(std::size_t g) const;
  // Targets of the whole epoch.
  std::int64_t targets() const { return targets_; }

 private:
  const Dataset* data_;  // outlives the plan
  SequenceOptions options_;
  SessionRule rule_;
  std::vector<std::vector<UserId>> groups_;
  std::int64_t targets_ = 0;
};

}  // namespace kindling
