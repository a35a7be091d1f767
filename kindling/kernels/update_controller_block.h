// The inside of the update controller: one step of as many rows as a vector register has lanes.
// For update_controller*.cpp only.
#pragma once

#include "kindling/kernels/float_lanes.h"
#include "kindling/kernels/update_controller.h"

namespace kindling::kernels {

// One step of kFloatLanes rows, with all that its backward pass needs.
struct ControllerBlockStep {
  FloatLanes i[kControllerHidden];
  FloatLanes f[kControllerHidden];
  FloatLanes g[kControllerHidden];
  FloatLanes o[kControllerHidden];
  FloatLanes tanh_c[kControllerHidden];
  FloatLanes c[kControllerHidden];       // c'
  FloatLanes normal[kControllerHidden];  // LayerNorm before scale and shift
  FloatLanes h[kControllerHidden];       // h'
  FloatLanes x[4];
  FloatLanes inverse_sd;
  FloatLanes alpha;
  FloatLanes beta;
  FloatLanes theta;
  FloatLanes gradient;  // clamped
};

// Values of rows [row, row + lanes); 0 behind the last.
static inline FloatLanes load_rows(const float* values, std::size_t row, std::size_t rows) {
  if (row + kFloatLanes <= rows) return load_lanes(values + row);
  FloatLanes lanes{};
  for (std::size_t l = 0; row + l < rows; ++l) lanes[l] = values[row + l];
  return lanes;
}
static inline void store_rows(float* values, std::size_t row, std::size_t rows, FloatLanes lanes) {
  if (row + kFloatLanes <= rows) {
    store_lanes(values + row, lanes);
  } else {
    for (std::size_t l = 0; row + l < rows; ++l) values[row + l] = lanes[l];
  }
}

// The bias of one step: what all rows add alike, the loss included.
using ControllerBias = std::array<float, kControllerGates>;
ControllerBias controller_bias(const PackedController& controller, const ControllerStep& step,
                               bool first);

// Reads `theta` and `gradient` of `now`, fills in the rest. `h`, `c` [16]: before the step; not
// read when it is the first. Returns θ'.
FloatLanes controller_block(const PackedController& controller, const ControllerBias& bias,
                            bool first, const FloatLanes* h, const FloatLanes* c,
                            ControllerBlockStep& now);

}  // namespace kindling::kernels
