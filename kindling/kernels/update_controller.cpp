#include "kindling/kernels/update_controller.h"

#include <algorithm>

#include "kindling/base/error.h"
#include "kindling/kernels/update_controller_block.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kUnits = kControllerHidden;
constexpr std::size_t kPair = PackedController::kPair;
constexpr std::size_t kBlockState = 2 * kUnits * kFloatLanes;
constexpr float kSmallest = 4.5399930e-5F;  // e^-10
constexpr float kLargest = 22026.4658F;     // e^10
constexpr float kNormEpsilon = 1e-5F;

FloatLanes sigmoid(FloatLanes x) { return 1.0F / (1.0F + exp2_lanes(x * -kLog2E)); }

// smooth(v): logarithmic for large v, linear for small.
void smooth(FloatLanes v, FloatLanes* out) {
  const FloatLanes size = v < 0.0F ? -v : v;
  const IntLanes large = size >= kSmallest;
  const FloatLanes safe = large ? size : all_lanes(1.0F);
  out[0] = large ? log_lanes(safe) * 0.1F : all_lanes(-1.0F);
  const FloatLanes sign = v < 0.0F ? all_lanes(-1.0F) : all_lanes(1.0F);
  out[1] = large ? sign : v * kLargest;
}

// Sums of the 8 gates of a pair of units over `count` inputs.
template <std::size_t kCount>
[[gnu::always_inline]] inline void add_products(const FloatLanes* inputs, const float* weights,
                                                FloatLanes* sums) {
#pragma GCC unroll 16
  for (std::size_t k = 0; k < kCount; ++k) {
#pragma GCC unroll 8
    for (std::size_t a = 0; a < kPair; ++a) sums[a] += inputs[k] * weights[k * kPair + a];
  }
}

// From the scaled sums of one unit's gates to its state. One division serves two gates:
// 1/(1+a) = (1+b)·r and 1/(1+b) = (1+a)·r with r = 1/((1+a)(1+b)).
[[gnu::always_inline]] inline FloatLanes activate(const FloatLanes* sums, FloatLanes c_before,
                                                  std::size_t u, ControllerBlockStep& now) {
  const FloatLanes i_below = 1.0F + exp2_lanes(sums[0]);
  const FloatLanes f_below = 1.0F + exp2_lanes(sums[1]);
  const FloatLanes g_exp = exp2_lanes(sums[2]);
  const FloatLanes o_below = 1.0F + exp2_lanes(sums[3]);
  const FloatLanes g_below = 1.0F + g_exp;
  const FloatLanes ig = 1.0F / (i_below * g_below);
  const FloatLanes fo = 1.0F / (f_below * o_below);
  const FloatLanes i = ig * g_below;
  const FloatLanes g = (1.0F - g_exp) * (ig * i_below);
  const FloatLanes f = fo * o_below;
  const FloatLanes o = fo * f_below;
  const FloatLanes c = f * c_before + i * g;
  const FloatLanes c_exp = exp2_lanes(c * (-2.0F * kLog2E));
  const FloatLanes tanh_c = (1.0F - c_exp) / (1.0F + c_exp);
  now.i[u] = i;
  now.f[u] = f;
  now.g[u] = g;
  now.o[u] = o;
  now.c[u] = c;
  now.tanh_c[u] = tanh_c;
  return o * tanh_c;
}

template <bool kFirst>
[[gnu::noinline]] void lstm_cell(const PackedController& controller, const ControllerBias& bias,
                                 const FloatLanes* h, const FloatLanes* c,
                                 ControllerBlockStep& now) {
#pragma GCC unroll 1
  for (std::size_t pair = 0; pair < PackedController::kPairs; ++pair) {
    FloatLanes sums[kPair];
#pragma GCC unroll 8
    for (std::size_t a = 0; a < kPair; ++a) sums[a] = all_lanes(bias[pair * kPair + a]);
    add_products<4>(now.x, &controller.input[pair * 4 * kPair], sums);
    if constexpr (!kFirst) {
      add_products<kUnits>(h, &controller.hidden[pair * kUnits * kPair], sums);
    }
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t u = 2 * pair + half;
      const FloatLanes before = kFirst ? all_lanes(controller.start_cell[u]) : c[u];
      now.h[u] = activate(sums + 4 * half, before, u, now);
    }
  }
}

void layer_norm_block(const PackedController& controller, ControllerBlockStep& now) {
  FloatLanes mean{};
  for (const FloatLanes& value : now.h) mean += value;
  mean *= 1.0F / kUnits;
  FloatLanes variance{};
  for (std::size_t u = 0; u < kUnits; ++u) {
    now.normal[u] = now.h[u] - mean;
    variance += now.normal[u] * now.normal[u];
  }
  now.inverse_sd = 1.0F / sqrt_lanes(variance * (1.0F / kUnits) + kNormEpsilon);
  for (std::size_t u = 0; u < kUnits; ++u) {
    now.normal[u] *= now.inverse_sd;
    now.h[u] = now.normal[u] * controller.norm_scale[u] + controller.norm_shift[u];
  }
}

}  // namespace

PackedController::PackedController(ControllerShape controller_shape,
                                   std::span<const float> parameters, float clamp_at)
    : shape(controller_shape), clamp(clamp_at) {
  check(parameters.size() == shape.count(), "a controller has as many parameters as its shape");
  const float* p = parameters.data();
  for (std::size_t u = 0; u < kUnits; ++u) {
    for (std::size_t gate = 0; gate < 4; ++gate) {
      const std::size_t row = gate * kUnits + u;
      const std::size_t at = u * 4 + gate;  // [pair, gate]
      const float scale = gate == 2 ? -2.0F * kLog2E : -kLog2E;
      const float* w = p + shape.input() + row * shape.inputs();
      const float* r = p + shape.hidden() + row * kUnits;
      const std::size_t pair = u / 2;
      const std::size_t column = at % kPair;
      for (std::size_t k = 0; k < 4; ++k) input[(pair * 4 + k) * kPair + column] = scale * w[k];
      for (std::size_t l = 0; l < shape.loss_inputs; ++l) loss[l][at] = scale * w[4 + l];
      double start = 0.0;
      for (std::size_t k = 0; k < kUnits; ++k) {
        hidden[(pair * kUnits + k) * kPair + column] = scale * r[k];
        back[at * kUnits + k] = r[k];
        start += static_cast<double>(r[k]) * static_cast<double>(p[shape.start_hidden() + k]);
      }
      const float sum = p[shape.input_bias() + row] + p[shape.hidden_bias() + row];
      bias[at] = scale * sum;
      start_bias[at] = scale * (sum + static_cast<float>(start));
    }
  }
  std::copy_n(p + shape.norm_scale(), kUnits, norm_scale.begin());
  std::copy_n(p + shape.norm_shift(), kUnits, norm_shift.begin());
  std::copy_n(p + shape.alpha(), kUnits + 1, alpha.begin());
  std::copy_n(p + shape.beta(), kUnits + 1, beta.begin());
  std::copy_n(p + shape.start_hidden(), kUnits, start_hidden.begin());
  std::copy_n(p + shape.start_cell(), kUnits, start_cell.begin());
}

ControllerBias controller_bias(const PackedController& controller, const ControllerStep& step,
                               bool first) {
  ControllerBias bias = first ? controller.start_bias : controller.bias;
  for (std::size_t l = 0; l < controller.shape.loss_inputs; ++l) {
    for (std::size_t a = 0; a < bias.size(); ++a) bias[a] += controller.loss[l][a] * step.loss[l];
  }
  return bias;
}

FloatLanes controller_block(const PackedController& controller, const ControllerBias& bias,
                            bool first, const FloatLanes* h, const FloatLanes* c,
                            ControllerBlockStep& now) {
  now.gradient = now.gradient > controller.clamp ? all_lanes(controller.clamp) : now.gradient;
  now.gradient = now.gradient < -controller.clamp ? all_lanes(-controller.clamp) : now.gradient;
  smooth(now.gradient, now.x);
  smooth(now.theta, now.x + 2);
  if (first) {
    lstm_cell<true>(controller, bias, h, c, now);
  } else {
    lstm_cell<false>(controller, bias, h, c, now);
  }
  if (controller.shape.layer_norm) layer_norm_block(controller, now);
  FloatLanes alpha = all_lanes(controller.alpha[kUnits]);
  FloatLanes beta = all_lanes(controller.beta[kUnits]);
  for (std::size_t u = 0; u < kUnits; ++u) {
    alpha += now.h[u] * controller.alpha[u];
    beta += now.h[u] * controller.beta[u];
  }
  now.alpha = sigmoid(alpha);
  now.beta = sigmoid(beta);
  return now.beta * now.theta - now.alpha * now.gradient;
}

ControllerState::ControllerState(std::size_t rows)
    : values_((rows + kFloatLanes - 1) / kFloatLanes * kBlockState) {}

ControllerTape::ControllerTape(std::size_t rows, std::size_t steps)
    : steps_(steps),
      blocks_((rows + kFloatLanes - 1) / kFloatLanes),
      values_(std::make_unique_for_overwrite<ControllerBlockStep[]>(blocks_ * steps)) {}
ControllerTape::~ControllerTape() = default;
ControllerTape::ControllerTape(ControllerTape&&) noexcept = default;
ControllerTape& ControllerTape::operator=(ControllerTape&&) noexcept = default;

ControllerBlockStep* ControllerTape::block(std::size_t index) { return &values_[index * steps_]; }

std::size_t ControllerTape::bytes() const { return blocks_ * steps_ * sizeof(ControllerBlockStep); }

void controller_forward(const PackedController& controller, std::size_t rows, std::size_t chunk,
                        const ControllerStep& step, std::size_t t, ControllerState& state,
                        float* theta_next, double* gate_sums, ControllerTape* tape) {
  const bool first = t == 0;
  const ControllerBias bias = controller_bias(controller, step, first);
  const std::size_t end = std::min(rows, (chunk + 1) * kControllerChunk);
  ControllerBlockStep local;
  FloatLanes h[kUnits];
  FloatLanes c[kUnits];
  FloatLanes alpha_sum{};
  FloatLanes beta_sum{};
  for (std::size_t row = chunk * kControllerChunk; row < end; row += kFloatLanes) {
    const std::size_t block = row / kFloatLanes;
    ControllerBlockStep& now = tape == nullptr ? local : tape->block(block)[t];
    float* kept = state.data() + block * kBlockState;
    if (!first) {
      for (std::size_t u = 0; u < kUnits; ++u) {
        h[u] = load_lanes(kept + u * kFloatLanes);
        c[u] = load_lanes(kept + (kUnits + u) * kFloatLanes);
      }
    }
    now.theta = load_rows(step.theta, row, rows);
    now.gradient = load_rows(step.gradient, row, rows);
    store_rows(theta_next, row, rows, controller_block(controller, bias, first, h, c, now));
    for (std::size_t u = 0; u < kUnits; ++u) {
      store_lanes(kept + u * kFloatLanes, now.h[u]);
      store_lanes(kept + (kUnits + u) * kFloatLanes, now.c[u]);
    }
    if (gate_sums != nullptr) {
      for (std::size_t l = end - row; l < kFloatLanes; ++l) now.alpha[l] = now.beta[l] = 0.0F;
      alpha_sum += now.alpha;
      beta_sum += now.beta;
    }
  }
  if (gate_sums == nullptr) return;
  gate_sums[0] += static_cast<double>(sum_lanes(alpha_sum));
  gate_sums[1] += static_cast<double>(sum_lanes(beta_sum));
}

}  // namespace kindling::kernels
