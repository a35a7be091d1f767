// Sequences ready for a network: packed one behind the other, nothing padded.
#pragma once

#include <cstdint>
#include <vector>

namespace kindling {

// The input in front of every sequence, or of every session: stands for the empty history, never a
// candidate [Z7, Z8].
inline constexpr std::int64_t kDummyItem = -1;

// B sequences with N steps in all. Step n of a sequence reads inputs[n] and is asked for
// targets[n]. With a user's items i_1 … i_N: inputs = [dummy, i_1, …, i_{N-1}], targets = [i_1, …,
// i_N] [Z7]. With a dummy in each session the last item of a session is read, but asked for
// nothing: then `asked` tells the M < N steps that targets belong to.
struct SequenceBatch {
  std::vector<std::int64_t> offsets{0};     // [B + 1], offsets.back() == N
  std::vector<std::int64_t> inputs;         // [N] ItemId or kDummyItem
  std::vector<std::int64_t> targets;        // [M] ItemId; empty when only states are wanted
  std::vector<std::int64_t> asked;          // [M] steps of the targets; empty: all N, in order
  std::vector<std::uint8_t> session_start;  // [N] 1 where a session begins [Z17]
  std::vector<std::uint8_t>
      gap_bucket;  // [N] floor(log2(1 + hours since the event before)), below 16

  std::int64_t sequences() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
  std::int64_t steps() const { return static_cast<std::int64_t>(inputs.size()); }
};

}  // namespace kindling
