// Back-propagation through all steps of the update controller, a block of rows at a time.
//
// Per step of a block: gates' gradients (64 vectors), U's product with them for the step before,
// and their products with the 20 inputs for the weights. The last are the most work: gradients and
// inputs of several steps are collected in a panel, then multiplied tile by tile with the sums in
// registers.
#include <algorithm>
#include <array>
#include <vector>

#include "kindling/kernels/update_controller.h"
#include "kindling/kernels/update_controller_block.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kUnits = kControllerHidden;
constexpr std::size_t kGates = kControllerGates;
constexpr std::size_t kInputs = 4 + kUnits;  // that differ from row to row
constexpr std::size_t kTile = 5;             // inputs of a tile; its gates are one unit's four
constexpr std::size_t kPanel = 16;           // steps collected

struct PanelEntry {
  FloatLanes gates[kGates];  // [unit, gate] gradient before the activation
  FloatLanes inputs[kInputs];
};

// Sums of one chunk, a vector register each: rows are added up at the end.
struct Sums {
  FloatLanes weights[kGates * kInputs];  // [unit, gate, input]
  FloatLanes alpha[kUnits + 1];
  FloatLanes beta[kUnits + 1];
  FloatLanes norm_scale[kUnits];
  FloatLanes norm_shift[kUnits];
  FloatLanes start_cell[kUnits];
};

// What flows from a step to the one before.
struct Flow {
  FloatLanes theta;
  FloatLanes h[kUnits];
  FloatLanes c[kUnits];
};

[[gnu::noinline]] void add_tile(const PanelEntry* panel, std::size_t entries, std::size_t gate,
                                std::size_t input, FloatLanes* sums) {
  FloatLanes tile[4 * kTile];
#pragma GCC unroll 4
  for (std::size_t a = 0; a < 4; ++a) {
#pragma GCC unroll 5
    for (std::size_t k = 0; k < kTile; ++k) tile[a * kTile + k] = sums[a * kInputs + k];
  }
#pragma GCC unroll 1
  for (std::size_t e = 0; e < entries; ++e) {
    const FloatLanes* gates = panel[e].gates + gate;
    const FloatLanes* inputs = panel[e].inputs + input;
#pragma GCC unroll 4
    for (std::size_t a = 0; a < 4; ++a) {
#pragma GCC unroll 5
      for (std::size_t k = 0; k < kTile; ++k) tile[a * kTile + k] += gates[a] * inputs[k];
    }
  }
#pragma GCC unroll 4
  for (std::size_t a = 0; a < 4; ++a) {
#pragma GCC unroll 5
    for (std::size_t k = 0; k < kTile; ++k) sums[a * kInputs + k] = tile[a * kTile + k];
  }
}

void add_panel(const PanelEntry* panel, std::size_t entries, Sums& sums) {
  for (std::size_t gate = 0; gate < kGates; gate += 4) {
    for (std::size_t input = 0; input < kInputs; input += kTile) {
      add_tile(panel, entries, gate, input, &sums.weights[gate * kInputs + input]);
    }
  }
}

// dh [16] = Uᵀ gates.
[[gnu::noinline]] void multiply_back(const float* back, const FloatLanes* gates, FloatLanes* dh) {
  FloatLanes sums[kUnits];
#pragma GCC unroll 16
  for (FloatLanes& sum : sums) sum = FloatLanes{};
#pragma GCC unroll 1
  for (std::size_t a = 0; a < kGates; ++a) {
    const FloatLanes gate = gates[a];
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kUnits; ++k) sums[k] += gate * back[a * kUnits + k];
  }
#pragma GCC unroll 16
  for (std::size_t k = 0; k < kUnits; ++k) dh[k] = sums[k];
}

// Through θ' = βθ − αg and the two heads: flow.h becomes the gradient of this step's h'.
void heads_back(const PackedController& controller, const ControllerBlockStep& now, Flow& flow,
                Sums& sums) {
  const FloatLanes alpha = -now.gradient * flow.theta * now.alpha * (1.0F - now.alpha);
  const FloatLanes beta = now.theta * flow.theta * now.beta * (1.0F - now.beta);
  flow.theta *= now.beta;
  for (std::size_t u = 0; u < kUnits; ++u) {
    flow.h[u] += alpha * controller.alpha[u] + beta * controller.beta[u];
    sums.alpha[u] += alpha * now.h[u];
    sums.beta[u] += beta * now.h[u];
  }
  sums.alpha[kUnits] += alpha;
  sums.beta[kUnits] += beta;
}

void norm_back(const PackedController& controller, const ControllerBlockStep& now, Flow& flow,
               Sums& sums) {
  FloatLanes mean{};
  FloatLanes slope{};
  for (std::size_t u = 0; u < kUnits; ++u) {
    sums.norm_scale[u] += flow.h[u] * now.normal[u];
    sums.norm_shift[u] += flow.h[u];
    flow.h[u] *= controller.norm_scale[u];
    mean += flow.h[u];
    slope += flow.h[u] * now.normal[u];
  }
  mean *= 1.0F / kUnits;
  slope *= 1.0F / kUnits;
  for (std::size_t u = 0; u < kUnits; ++u) {
    flow.h[u] = now.inverse_sd * (flow.h[u] - mean - now.normal[u] * slope);
  }
}

// Through the cell: the gates' gradients into `gates`, flow.c to the step before.
// `c_before` [16]; null: all rows have `start`.
void cell_back(const ControllerBlockStep& now, const FloatLanes* c_before, const float* start,
               Flow& flow, FloatLanes* gates) {
  for (std::size_t u = 0; u < kUnits; ++u) {
    const FloatLanes d_o = flow.h[u] * now.tanh_c[u];
    const FloatLanes d_c =
        flow.c[u] + flow.h[u] * now.o[u] * (1.0F - now.tanh_c[u] * now.tanh_c[u]);
    const FloatLanes before = c_before == nullptr ? all_lanes(start[u]) : c_before[u];
    gates[u * 4] = d_c * now.g[u] * now.i[u] * (1.0F - now.i[u]);
    gates[u * 4 + 1] = d_c * before * now.f[u] * (1.0F - now.f[u]);
    gates[u * 4 + 2] = d_c * now.i[u] * (1.0F - now.g[u] * now.g[u]);
    gates[u * 4 + 3] = d_o * now.o[u] * (1.0F - now.o[u]);
    flow.c[u] = d_c * now.f[u];
  }
}

// The first step's inputs: h is the same for all rows, so only the four others need a product.
void add_first(const PanelEntry& entry, Sums& sums) {
  for (std::size_t a = 0; a < kGates; ++a) {
    for (std::size_t k = 0; k < 4; ++k) {
      sums.weights[a * kInputs + k] += entry.gates[a] * entry.inputs[k];
    }
  }
}

class Backward {
 public:
  Backward(const PackedController& controller, std::span<const ControllerStep> steps)
      : controller_(controller),
        steps_(steps),
        panel_(std::make_unique_for_overwrite<PanelEntry[]>(kPanel)),
        sums_(std::make_unique<Sums>()),
        biases_(std::make_unique<FloatLanes[]>(steps.size() * kGates)) {}

  // `run`: the block's steps, all filled in. Returns ∂L/∂θ before the first.
  FloatLanes block(const ControllerBlockStep* run, FloatLanes d_theta) {
    Flow flow{d_theta, {}, {}};
    for (std::size_t t = steps_.size(); t-- > 0;) {
      const ControllerBlockStep& now = run[t];
      PanelEntry& entry = panel_[entries_];
      heads_back(controller_, now, flow, *sums_);
      if (controller_.shape.layer_norm) norm_back(controller_, now, flow, *sums_);
      cell_back(now, t == 0 ? nullptr : run[t - 1].c, controller_.start_cell.data(), flow,
                entry.gates);
      FloatLanes* bias = &biases_[t * kGates];
      for (std::size_t a = 0; a < kGates; ++a) bias[a] += entry.gates[a];
      std::copy_n(now.x, 4, entry.inputs);
      if (t == 0) {
        add_first(entry, *sums_);
        for (std::size_t u = 0; u < kUnits; ++u) sums_->start_cell[u] += flow.c[u];
      } else {
        std::copy_n(run[t - 1].h, kUnits, entry.inputs + 4);
        multiply_back(controller_.back.data(), entry.gates, flow.h);
        if (++entries_ == kPanel) flush();
      }
    }
    return flow.theta;
  }

  void finish(float* gradient) {
    flush();
    const ControllerShape& shape = controller_.shape;
    std::fill_n(gradient, shape.count(), 0.0F);
    finish_weights(gradient);
    for (std::size_t t = 0; t < steps_.size(); ++t) finish_bias(t, gradient);
    for (std::size_t u = 0; u < kUnits; ++u) {
      gradient[shape.norm_scale() + u] = sum_lanes(sums_->norm_scale[u]);
      gradient[shape.norm_shift() + u] = sum_lanes(sums_->norm_shift[u]);
      gradient[shape.start_cell() + u] = sum_lanes(sums_->start_cell[u]);
    }
    for (std::size_t u = 0; u <= kUnits; ++u) {
      gradient[shape.alpha() + u] = sum_lanes(sums_->alpha[u]);
      gradient[shape.beta() + u] = sum_lanes(sums_->beta[u]);
    }
  }

 private:
  void flush() {
    if (entries_ > 0) add_panel(panel_.get(), entries_, *sums_);
    entries_ = 0;
  }

  void finish_weights(float* gradient) const {
    const ControllerShape& shape = controller_.shape;
    for (std::size_t a = 0; a < kGates; ++a) {
      const std::size_t row = a % 4 * kUnits + a / 4;
      const FloatLanes* sums = &sums_->weights[a * kInputs];
      float* input = gradient + shape.input() + row * shape.inputs();
      float* hidden = gradient + shape.hidden() + row * kUnits;
      for (std::size_t k = 0; k < 4; ++k) input[k] = sum_lanes(sums[k]);
      for (std::size_t k = 0; k < kUnits; ++k) hidden[k] = sum_lanes(sums[4 + k]);
    }
  }

  // The inputs that all rows share: 1, the loss, and h_0 in the first step.
  void finish_bias(std::size_t t, float* gradient) const {
    const ControllerShape& shape = controller_.shape;
    for (std::size_t a = 0; a < kGates; ++a) {
      const std::size_t row = a % 4 * kUnits + a / 4;
      const float sum = sum_lanes(biases_[t * kGates + a]);
      gradient[shape.input_bias() + row] += sum;
      gradient[shape.hidden_bias() + row] += sum;
      for (std::size_t l = 0; l < shape.loss_inputs; ++l) {
        gradient[shape.input() + row * shape.inputs() + 4 + l] += sum * steps_[t].loss[l];
      }
      if (t > 0) continue;
      for (std::size_t k = 0; k < kUnits; ++k) {
        gradient[shape.hidden() + row * kUnits + k] += sum * controller_.start_hidden[k];
        gradient[shape.start_hidden() + k] += sum * controller_.back[a * kUnits + k];
      }
    }
  }

  const PackedController& controller_;
  std::span<const ControllerStep> steps_;
  std::unique_ptr<PanelEntry[]> panel_;
  std::size_t entries_ = 0;
  std::unique_ptr<Sums> sums_;
  std::unique_ptr<FloatLanes[]> biases_;  // [steps, unit, gate]
};

// All steps of one block again.
void run_block(const PackedController& controller, std::span<const ControllerStep> steps,
               const std::vector<ControllerBias>& biases, std::size_t row, std::size_t rows,
               ControllerBlockStep* run) {
  for (std::size_t t = 0; t < steps.size(); ++t) {
    run[t].theta = load_rows(steps[t].theta, row, rows);
    run[t].gradient = load_rows(steps[t].gradient, row, rows);
    const bool first = t == 0;
    controller_block(controller, biases[t], first, first ? nullptr : run[t - 1].h,
                     first ? nullptr : run[t - 1].c, run[t]);
  }
}

}  // namespace

void controller_backward(const PackedController& controller, std::size_t rows, std::size_t chunk,
                         std::span<const ControllerStep> steps, ControllerTape* tape,
                         float* d_theta, float* gradient) {
  Backward backward(controller, steps);
  std::vector<ControllerBias> biases;
  for (std::size_t t = 0; t < steps.size(); ++t) {
    biases.push_back(controller_bias(controller, steps[t], t == 0));
  }
  const auto again =
      std::make_unique_for_overwrite<ControllerBlockStep[]>(tape == nullptr ? steps.size() : 0);
  const std::size_t end = std::min(rows, (chunk + 1) * kControllerChunk);
  for (std::size_t row = chunk * kControllerChunk; row < end; row += kFloatLanes) {
    ControllerBlockStep* run = again.get();
    if (tape != nullptr) {
      run = tape->block(row / kFloatLanes);
    } else {
      run_block(controller, steps, biases, row, rows, run);
    }
    store_rows(d_theta, row, rows, backward.block(run, load_rows(d_theta, row, rows)));
  }
  backward.finish(gradient);
}

}  // namespace kindling::kernels
