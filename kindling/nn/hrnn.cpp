#include "kindling/nn/hrnn.h"

#include <cmath>
#include <string>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/nn/init.h"
#include "kindling/nn/sessions.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

constexpr std::int64_t kGapBuckets = 16;

bool is_fresh(const NetworkState* carried) { return carried == nullptr || carried->parts.empty(); }

// [B] 1 where the count in `column` [B, 1] is not 0.
std::vector<std::uint8_t> open_sessions(const torch::Tensor& column) {
  const torch::Tensor counts = column.to(torch::kCPU, torch::kFloat32).contiguous();
  std::vector<std::uint8_t> open(static_cast<std::size_t>(counts.numel()));
  for (std::size_t b = 0; b < open.size(); ++b) open[b] = counts.data_ptr<float>()[b] > 0.0F;
  return open;
}

torch::Tensor float_column(const std::vector<float>& values, const torch::Tensor& like) {
  torch::Tensor column = torch::empty({std::ssize(values), 1}, torch::kFloat32);
  std::copy(values.begin(), values.end(), column.data_ptr<float>());
  return column.to(like.options());
}

// Where sessions stand once the open one at the end of each sequence is set apart.
struct ClosedSessions {
  std::vector<std::int64_t> offsets{0};  // [B + 1] into `sessions`
  std::vector<std::int64_t> sessions;    // the closed ones, sequence by sequence
  // [sessions] of every session, the row of [S_start (B rows); S after each closed session] that
  // holds its memory S_{k-1}.
  std::vector<std::int64_t> memory;
  std::vector<std::int64_t> last_memory;  // [B] the same for the open session (S_start when none)
  std::vector<std::int64_t> last;         // [B] the open session; -1: none
};

ClosedSessions close_sessions(const SessionPlan& plan) {
  ClosedSessions closed;
  const std::int64_t sequences = std::ssize(plan.first) - 1;
  for (std::int64_t b = 0; b < sequences; ++b) {
    const auto at = static_cast<std::size_t>(b);
    const std::int64_t first = plan.first[at];
    const std::int64_t end = plan.first[at + 1];
    for (std::int64_t s = first; s < end; ++s) {
      closed.memory.push_back(s == first ? b : sequences + closed.offsets.back() + s - first - 1);
      if (s + 1 < end) closed.sessions.push_back(s);
    }
    closed.last.push_back(end > first ? end - 1 : -1);
    closed.last_memory.push_back(end > first ? closed.memory.back() : b);
    closed.offsets.push_back(std::ssize(closed.sessions));
  }
  return closed;
}

// Sum of the inputs and number of steps of each session, begun by what the window before carried.
struct SessionSums {
  torch::Tensor sum;    // [sessions, D]
  torch::Tensor count;  // [sessions, 1]
};

SessionSums sum_sessions(const torch::Tensor& inputs, const SessionPlan& plan,
                         const std::vector<std::uint8_t>& open, const NetworkState* carried) {
  const std::int64_t sessions = std::ssize(plan.begin) - 1;
  const torch::Tensor of_step = index_tensor(plan.of_step, inputs.device());
  torch::Tensor sum = torch::zeros({sessions, inputs.size(1)}, inputs.options());
  torch::Tensor count = torch::zeros({sessions, 1}, inputs.options());
  if (!is_fresh(carried)) {
    std::vector<std::int64_t> rows, sequences;
    for (std::size_t b = 0; b < open.size(); ++b) {
      if (open[b] == 0) continue;
      rows.push_back(plan.first[b]);
      sequences.push_back(static_cast<std::int64_t>(b));
    }
    const torch::Tensor at = index_tensor(rows, inputs.device());
    const torch::Tensor from = index_tensor(sequences, inputs.device());
    sum.index_copy_(0, at, carried->parts[2].index_select(0, from));
    count.index_copy_(0, at, carried->parts[3].index_select(0, from));
  }
  count.index_add_(0, of_step, torch::ones({inputs.size(0), 1}, inputs.options()));
  return {sum.index_add(0, of_step, inputs), count};
}

// rows of `table`, zeros where the number is -1
torch::Tensor select_or_zero(const torch::Tensor& table, const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> moved(rows);
  for (auto& row : moved) ++row;
  const torch::Tensor zero = torch::zeros({1, table.size(1)}, table.options());
  return torch::cat({zero, table}).index_select(0, index_tensor(moved, table.device()));
}

void check_batch(const torch::Tensor& inputs, const SequenceBatch& batch,
                 const NetworkState* carried) {
  check(inputs.dim() == 2 && inputs.size(0) == batch.offsets.back(), "one input for each step");
  check(is_fresh(carried) || carried->parts[0].size(0) == batch.sequences(),
        "the carried state has one row for each sequence");
}

}  // namespace

Hrnn::Hrnn(const UserNetworkOptions& options, Rng& rng) {
  const std::int64_t dim = options.dim;
  session_gru_ = register_module("session_gru", std::make_shared<Gru>(dim, dim, rng));
  event_gru_ = register_module("event_gru", std::make_shared<Gru>(dim, dim, rng));
  gap_embedding_ =
      register_parameter("gap_embedding", uniform_tensor({kGapBuckets, options.gap_dim}, 0.1, rng));
  project_ =
      register_parameter("project", xavier_uniform_tensor(dim, 2 * dim + 1 + options.gap_dim, rng));
  project_bias_ = register_parameter("project_bias", torch::zeros({dim}));
}

torch::Tensor Hrnn::control_inputs(const SequenceBatch& batch, const std::vector<float>& starts,
                                   const torch::Tensor& like) const {
  std::vector<std::int64_t> buckets(starts.size(), 0);
  check(batch.gap_bucket.empty() || batch.gap_bucket.size() == starts.size(),
        "a batch has the gap of every step or of none");
  for (std::size_t n = 0; n < batch.gap_bucket.size(); ++n) {
    check(batch.gap_bucket[n] < kGapBuckets, "gap buckets are below 16");
    buckets[n] = batch.gap_bucket[n];
  }
  const torch::Tensor gaps = gap_embedding_.index_select(0, index_tensor(buckets, like.device()));
  return torch::cat({float_column(starts, like), gaps}, 1);
}

torch::Tensor Hrnn::forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                            NetworkState* carried, Rng&) {
  check_batch(inputs, batch, carried);
  const bool fresh = is_fresh(carried);
  const auto open = fresh ? std::vector<std::uint8_t>{} : open_sessions(carried->parts[3]);
  const SessionPlan plan = plan_sessions(batch, open);
  const ClosedSessions closed = close_sessions(plan);
  const SessionSums sums = sum_sessions(inputs, plan, open, carried);

  const torch::Tensor start =
      fresh ? torch::zeros({batch.sequences(), inputs.size(1)}, inputs.options())
            : carried->parts[1];
  const torch::Tensor which = index_tensor(closed.sessions, inputs.device());
  const torch::Tensor means = sums.sum.index_select(0, which) / sums.count.index_select(0, which);
  const torch::Tensor memory =
      torch::cat({start, session_gru_->forward(means, closed.offsets, start)});

  std::vector<std::int64_t> of_step(plan.of_step);
  for (auto& session : of_step) session = closed.memory[static_cast<std::size_t>(session)];
  const torch::Tensor x =
      torch::cat({inputs, memory.index_select(0, index_tensor(of_step, inputs.device())),
                  control_inputs(batch, plan.starts, inputs)},
                 1);  // [N, 2 D + 1 + gap_dim]
  torch::Tensor last;
  const torch::Tensor states =
      event_gru_->forward(torch::addmm(project_bias_, x, project_.t()), batch.offsets,
                          fresh ? torch::Tensor() : carried->parts[0], &last);
  if (carried != nullptr) {
    const torch::Tensor last_memory =
        memory.detach().index_select(0, index_tensor(closed.last_memory, inputs.device()));
    carried->parts = {last, last_memory, select_or_zero(sums.sum.detach(), closed.last),
                      select_or_zero(sums.count, closed.last)};
  }
  return states;
}

Hgru::Hgru(const UserNetworkOptions& options, Rng& rng) {
  const std::int64_t dim = options.dim;
  session_gru_ = register_module("session_gru", std::make_shared<Gru>(dim, dim, rng));
  event_gru_ = register_module("event_gru", std::make_shared<Gru>(dim, dim, rng));
  reset_ = register_parameter("reset", xavier_uniform_tensor(dim, dim, rng));
  reset_bias_ = register_parameter("reset_bias", torch::zeros({dim}));
}

torch::Tensor Hgru::forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                            NetworkState* carried, Rng&) {
  check_batch(inputs, batch, carried);
  const bool fresh = is_fresh(carried);
  const torch::Device device = inputs.device();
  const auto sequences = static_cast<std::size_t>(batch.sequences());
  auto open = fresh ? std::vector<std::uint8_t>(sequences, 0) : open_sessions(carried->parts[2]);
  const SessionPlan plan = plan_sessions(batch, open);
  const torch::Tensor zeros = torch::zeros({batch.sequences(), inputs.size(1)}, inputs.options());
  torch::Tensor state = fresh ? zeros : carried->parts[0];   // [B, D] h after the newest session
  torch::Tensor memory = fresh ? zeros : carried->parts[1];  // [B, D] S before that session

  std::vector<torch::Tensor> rounds;
  std::vector<std::int64_t> place(
      plan.of_step.size());  // of each step in the rounds laid end to end
  std::int64_t placed = 0;
  for (std::int64_t round = 0;; ++round) {
    // Round k runs session k of every sequence that has one.
    std::vector<std::int64_t> alive, closing, steps, offsets{0};
    std::vector<float> begins;  // 1: starts from its memory; 0: goes on from the carried state
    for (std::size_t b = 0; b < sequences; ++b) {
      const std::int64_t session = plan.first[b] + round;
      if (session >= plan.first[b + 1]) continue;
      alive.push_back(static_cast<std::int64_t>(b));
      begins.push_back(round == 0 && open[b] != 0 ? 0.0F : 1.0F);
      if (round > 0) closing.push_back(static_cast<std::int64_t>(b));
      const auto at = static_cast<std::size_t>(session);
      for (std::int64_t n = plan.begin[at]; n < plan.begin[at + 1]; ++n) {
        place[static_cast<std::size_t>(n)] = placed++;
        steps.push_back(n);
      }
      offsets.push_back(std::ssize(steps));
    }
    if (alive.empty()) break;
    if (!closing.empty()) {
      const torch::Tensor rows = index_tensor(closing, device);
      std::vector<std::int64_t> single(closing.size() + 1);
      for (std::size_t i = 0; i < single.size(); ++i) single[i] = static_cast<std::int64_t>(i);
      memory = memory.index_copy(
          0, rows,
          session_gru_->forward(state.index_select(0, rows), single, memory.index_select(0, rows)));
    }
    const torch::Tensor rows = index_tensor(alive, device);
    const torch::Tensor reset = float_column(begins, inputs);
    const torch::Tensor from_memory =
        torch::tanh(torch::addmm(reset_bias_, memory.index_select(0, rows), reset_.t()));
    const torch::Tensor start = reset * from_memory + (1.0 - reset) * state.index_select(0, rows);
    const torch::Tensor states =
        event_gru_->forward(inputs.index_select(0, index_tensor(steps, device)), offsets, start);
    // The session's last state; its start where a carried session has no further step.
    std::vector<std::int64_t> ends;
    for (std::size_t i = 0; i < alive.size(); ++i) {
      const bool none = offsets[i + 1] == offsets[i];
      ends.push_back(none ? std::ssize(steps) + static_cast<std::int64_t>(i) : offsets[i + 1] - 1);
    }
    state = state.index_copy(
        0, rows, torch::cat({states, start}).index_select(0, index_tensor(ends, device)));
    rounds.push_back(states);
  }
  if (carried != nullptr) {
    std::vector<float> still_open(sequences);
    for (std::size_t b = 0; b < sequences; ++b) {
      still_open[b] = plan.first[b + 1] > plan.first[b] ? 1.0F : 0.0F;
    }
    carried->parts = {state.detach(), memory.detach(), float_column(still_open, inputs)};
  }
  if (rounds.empty()) return torch::zeros_like(inputs);
  return torch::cat(rounds).index_select(0, index_tensor(place, device));
}

}  // namespace kindling::nn
