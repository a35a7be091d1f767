// s2Meta's update controller: a coordinate-wise LSTM that decides, for every scalar of a tensor,
// how much of it to keep and how far to follow its gradient. Forward and backward in one pass each.
//
// Every scalar θ with gradient g is one row; all rows share the weights, each has its own (h, c):
//   x  = [smooth(g), smooth(θ), loss]            smooth(v) = (ln|v|/10, sign v), or (-1, e^10 v)
//   i, f, ĝ, o = σ, σ, tanh, σ of W x + b + U h + d            c' = f c + i ĝ
//   h' = LayerNorm(o tanh c')                    h' is the gates' input and the state passed on
//   α = σ(w_I·h' + b_I)   β = σ(w_F·h' + b_F)    θ' = β θ − α g
// (specs: s2meta, section 4.2). One vector register holds one unit of 16 (or 8, 4) rows: nothing
// between x and θ' leaves the core's nearest memory.
//
// Backward is of first order: g, the inputs and the loss are constants. It needs θ and g of each
// step only (8 bytes a row): for a few rows at a time it runs all steps again, then back. With a
// ControllerTape, forward stores what backward needs instead (some 550 bytes a row and step).
// Rows are divided into chunks of kControllerChunk; a chunk's gradient does not depend on others,
// so that sums over chunks in order are the same for any number of threads.
//
//   const PackedController controller(shape, parameters);
//   for (chunk …) controller_forward(controller, rows, chunk, step, state, theta_next);
//   for (chunk …) controller_backward(controller, rows, chunk, steps, nullptr, d_theta, gradient);
//
// Threads: a call runs on the caller's thread; calls on different chunks may run at once.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "kindling/kernels/aligned_array.h"

namespace kindling::kernels {

inline constexpr std::size_t kControllerHidden = 16;
inline constexpr std::size_t kControllerGates = 4 * kControllerHidden;
// Rows. A layer of 64 x 128 weights is eight chunks: even for two threads beside smaller layers.
inline constexpr std::size_t kControllerChunk = 1024;

// Where each part of a controller's parameters begins. Matrices are row-major, gates in PyTorch's
// order i, f, g, o.
struct ControllerShape {
  std::size_t loss_inputs = 1;  // 1: log scale of the loss (the code); 2: with its sign (the paper)
  bool layer_norm = true;       // false: h' = o tanh c' (the paper)

  constexpr std::size_t inputs() const { return 4 + loss_inputs; }
  constexpr std::size_t input() const { return 0; }                             // [64, inputs]
  constexpr std::size_t hidden() const { return kControllerGates * inputs(); }  // [64, 16]
  constexpr std::size_t input_bias() const {
    return hidden() + kControllerGates * kControllerHidden;
  }                                                                                      // [64]
  constexpr std::size_t hidden_bias() const { return input_bias() + kControllerGates; }  // [64]
  constexpr std::size_t norm_scale() const { return hidden_bias() + kControllerGates; }  // [16]
  constexpr std::size_t norm_shift() const { return norm_scale() + kControllerHidden; }  // [16]
  constexpr std::size_t alpha() const { return norm_shift() + kControllerHidden; }  // [16], bias
  constexpr std::size_t beta() const { return alpha() + kControllerHidden + 1; }    // [16], bias
  constexpr std::size_t start_hidden() const { return beta() + kControllerHidden + 1; }    // [16]
  constexpr std::size_t start_cell() const { return start_hidden() + kControllerHidden; }  // [16]
  constexpr std::size_t count() const { return start_cell() + kControllerHidden; }         // 1,570
};

// A controller's parameters in the order in which the kernels read them.
class PackedController {
 public:
  // parameters [shape.count()]; `clamp`: limit of |g|, infinity: none.
  PackedController(ControllerShape shape, std::span<const float> parameters,
                   float clamp = std::numeric_limits<float>::infinity());

  static constexpr std::size_t kPairs = kControllerHidden / 2;  // units go two at a time
  static constexpr std::size_t kPair = 8;                       // gates of a pair: i f g o i f g o

  ControllerShape shape;
  float clamp;
  // Scaled by -log2(e) (twice that for ĝ), so that 2^x of a sum is the gate's exponential.
  std::array<float, kPairs * 4 * kPair> input{};                   // [pair, x, gate]
  std::array<float, kPairs * kControllerHidden * kPair> hidden{};  // [pair, h, gate]
  std::array<float, kControllerGates> bias{};                      // [pair, gate]
  std::array<float, kControllerGates> start_bias{};                // bias + U h_0: the first step's
  std::array<std::array<float, kControllerGates>, 2> loss{};       // weights of the loss inputs
  // Not scaled.
  std::array<float, kControllerGates * kControllerHidden> back{};  // U as [unit, gate, h]
  std::array<float, kControllerHidden> norm_scale{};
  std::array<float, kControllerHidden> norm_shift{};
  std::array<float, kControllerHidden + 1> alpha{};
  std::array<float, kControllerHidden + 1> beta{};
  std::array<float, kControllerHidden> start_hidden{};
  std::array<float, kControllerHidden> start_cell{};
};

constexpr std::size_t controller_chunks(std::size_t rows) {
  return (rows + kControllerChunk - 1) / kControllerChunk;
}

// What one step of one tensor reads. After the forward call of the run's step t, backward wants the
// same values again.
struct ControllerStep {
  const float* theta = nullptr;     // [rows]
  const float* gradient = nullptr;  // [rows], not clamped
  std::array<float, 2> loss{};      // the loss as the controller sees it
};

// h and c of all rows between steps.
class ControllerState {
 public:
  explicit ControllerState(std::size_t rows);
  float* data() { return values_.data(); }
  std::size_t bytes() const { return values_.bytes(); }

 private:
  AlignedArray<float> values_;  // [blocks, 2, 16, lanes]
};

struct ControllerBlockStep;

// Everything that backward needs, stored by forward: the alternative to recomputing.
class ControllerTape {
 public:
  ControllerTape(std::size_t rows, std::size_t steps);
  ~ControllerTape();
  ControllerTape(ControllerTape&&) noexcept;
  ControllerTape& operator=(ControllerTape&&) noexcept;
  // Steps lie together for each block of rows.
  ControllerBlockStep* block(std::size_t index);
  std::size_t bytes() const;

 private:
  std::size_t steps_;
  std::size_t blocks_;
  std::unique_ptr<ControllerBlockStep[]> values_;
};

// One step of the rows of one chunk. At t = 0 `state` is only written. `gate_sums`, when not null,
// gets the sums of α and of β over the chunk's rows added.
void controller_forward(const PackedController& controller, std::size_t rows, std::size_t chunk,
                        const ControllerStep& step, std::size_t t, ControllerState& state,
                        float* theta_next, double* gate_sums = nullptr,
                        ControllerTape* tape = nullptr);

// From d_theta [rows] = ∂L/∂θ after the last step to ∂L/∂θ before the first (in place, this chunk's
// rows), and `gradient` [shape.count()] of the controller's parameters, overwritten with this
// chunk's share. With a tape nothing is computed again.
void controller_backward(const PackedController& controller, std::size_t rows, std::size_t chunk,
                         std::span<const ControllerStep> steps, ControllerTape* tape,
                         float* d_theta, float* gradient);

// The same in double, row by row, everything stored: the answer the others are held to.
struct ControllerReference {
  ControllerShape shape;
  double clamp = std::numeric_limits<double>::infinity();
  std::vector<double> parameters;

  struct Step {
    std::vector<double> theta;  // that the products use
    std::vector<double> seen;   // that the inputs see: theta itself, kept apart as a constant
    std::vector<double> gradient;
    std::array<double, 2> loss{};
  };
  // θ after the steps; step t + 1 starts from the result of step t, not from its `theta`.
  std::vector<double> run(const std::vector<Step>& steps) const;
  // As controller_backward, over all rows.
  void backward(const std::vector<Step>& steps, std::vector<double>& d_theta,
                std::vector<double>& gradient) const;
};

}  // namespace kindling::kernels
