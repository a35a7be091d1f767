#include "kindling/nn/sessions.h"

#include "kindling/base/error.h"

namespace kindling::nn {

SessionPlan plan_sessions(const SequenceBatch& batch, std::span<const std::uint8_t> open) {
  const std::int64_t sequences = batch.sequences();
  const auto steps = static_cast<std::size_t>(batch.offsets.back());
  check(batch.session_start.empty() || batch.session_start.size() == steps,
        "a batch marks the session start of every step or of none");
  check(open.empty() || std::ssize(open) == sequences, "one open mark for each sequence");
  SessionPlan plan;
  plan.first.push_back(0);
  plan.of_step.resize(steps);
  plan.starts.assign(steps, 0.0F);
  for (std::int64_t b = 0; b < sequences; ++b) {
    const auto at = static_cast<std::size_t>(b);
    bool in_session = !open.empty() && open[at] != 0;
    if (in_session) plan.begin.push_back(batch.offsets[at]);
    for (std::int64_t n = batch.offsets[at]; n < batch.offsets[at + 1]; ++n) {
      const auto step = static_cast<std::size_t>(n);
      const bool marked = !batch.session_start.empty() && batch.session_start[step] != 0;
      if (marked || !in_session) {
        plan.begin.push_back(n);
        plan.starts[step] = 1.0F;
        in_session = true;
      }
      plan.of_step[step] = std::ssize(plan.begin) - 1;
    }
    plan.first.push_back(std::ssize(plan.begin));
  }
  plan.begin.push_back(static_cast<std::int64_t>(steps));
  return plan;
}

}  // namespace kindling::nn
