// Which session each step of a packed batch belongs to [Z17]. Plain C++: the networks make their
// index tensors from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kindling/data/batch.h"

namespace kindling::nn {

// Sessions of sequence b are first[b] … first[b + 1) - 1. Those of a sequence with a session left
// open by the window before begin with that one, which may have no step here.
struct SessionPlan {
  std::vector<std::int64_t> first;    // [B + 1]
  std::vector<std::int64_t> of_step;  // [N] session of each step
  std::vector<std::int64_t> begin;    // [sessions + 1] packed row where each session begins
  std::vector<float> starts;          // [N] 1 where a step begins a session
};

// `open` [B]: 1 where the window before left a session open; empty: nowhere. The first step of a
// sequence begins a session unless one is open; a batch without marks is one session a sequence.
SessionPlan plan_sessions(const SequenceBatch& batch, std::span<const std::uint8_t> open);

}  // namespace kindling::nn
