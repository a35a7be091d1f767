// A GRU layer over packed sequences of unequal length: nothing is padded, backward by hand.
//
// With PyTorch's gates (specs: ZESRec section 4), W_* the three row blocks of w_input and U_* those
// of w_hidden, in the order r, z, n:
//   r = σ(W_r x + b_r + U_r h + c_r)         z = σ(W_z x + b_z + U_z h + c_z)
//   n = tanh(W_n x + b_n + r ⊙ (U_n h + c_n))          h' = (1 − z) ⊙ n + z ⊙ h
//
// One product makes the input part of all steps; each time step then multiplies the sequences that
// are still alive (sorted by length, so they are the first rows); weight gradients are products
// over all steps at the end.
//
//   const PackedSteps steps(batch.offsets);
//   gru_forward(size, steps, weights, {x, nullptr}, {out, nullptr, gates, previous});
//
// Shapes: E inputs, D hidden, B sequences, N steps in all. "Packed": row offsets[b] + t is step t
// of sequence b. "Time-major": all first steps, then all second steps, …, as PackedSteps numbers
// them. Threads: uses the threads of base/parallel.h itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kindling::kernels {

// The time-major order of a packed batch.
class PackedSteps {
 public:
  // offsets [B + 1], not decreasing, from 0. Errors: Error{kInternal} otherwise.
  explicit PackedSteps(std::span<const std::int64_t> offsets);

  std::size_t sequences() const { return by_length_.size(); }
  std::size_t steps() const { return packed_row_.size(); }
  std::size_t longest() const { return first_.size() - 1; }
  // Sequences still alive at time t; they are by_length()[0 … alive(t)).
  std::size_t alive(std::size_t t) const { return first_[t + 1] - first_[t]; }
  // The time-major row where time t begins.
  std::size_t first(std::size_t t) const { return first_[t]; }
  // Sequences, longest first; equal lengths keep their order.
  std::span<const std::size_t> by_length() const { return by_length_; }
  // [N] the packed row of each time-major row.
  std::span<const std::size_t> packed_row() const { return packed_row_; }

 private:
  std::vector<std::size_t> by_length_;
  std::vector<std::size_t> first_{0};
  std::vector<std::size_t> packed_row_;
};

struct GruSize {
  std::size_t inputs;
  std::size_t hidden;
};

struct GruWeights {
  const float* input;        // [3D, E]
  const float* hidden;       // [3D, D]
  const float* input_bias;   // [3D]
  const float* hidden_bias;  // [3D]
};

struct GruInput {
  const float* x;      // [N, E] packed
  const float* start;  // [B, D] h_0 of each sequence; null: zeros
};

struct GruOutput {
  float* states;    // [N, D] packed
  float* last;      // [B, D] state after each sequence's last step; null: not wanted
  float* gates;     // [N, 4D] time-major r, z, n, U_n h + c_n, for backward; null: not wanted
  float* previous;  // [N, D] time-major h before each step, for backward; null: not wanted
};

void gru_forward(const GruSize& size, const PackedSteps& steps, const GruWeights& weights,
                 const GruInput& input, const GruOutput& output);
void gru_forward_reference(const GruSize& size, const PackedSteps& steps, const GruWeights& weights,
                           const GruInput& input, const GruOutput& output);

// All are overwritten; each may be null when it is not wanted.
struct GruGradients {
  float* x = nullptr;            // [N, E] packed
  float* start = nullptr;        // [B, D]
  float* input = nullptr;        // [3D, E]
  float* hidden = nullptr;       // [3D, D]
  float* input_bias = nullptr;   // [3D]
  float* hidden_bias = nullptr;  // [3D]
};

// d_states [N, D] packed; `gates` and `previous` as forward left them.
void gru_backward(const GruSize& size, const PackedSteps& steps, const GruWeights& weights,
                  const float* x, const float* gates, const float* previous, const float* d_states,
                  const GruGradients& gradients);

}  // namespace kindling::kernels
