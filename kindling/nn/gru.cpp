#include "kindling/nn/gru.h"

#include <cmath>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/kernels/gru.h"
#include "kindling/nn/init.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

using kernels::PackedSteps;

kernels::GruWeights weights_of(const torch::Tensor& input, const torch::Tensor& hidden,
                               const torch::Tensor& input_bias, const torch::Tensor& hidden_bias) {
  return {floats_of(input), floats_of(hidden), floats_of(input_bias), floats_of(hidden_bias)};
}

// kernels/gru.h as a differentiable operation. `start` is read only with has_start: LibTorch takes
// no undefined tensor here.
class FusedGru : public torch::autograd::Function<FusedGru> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& start, const torch::Tensor& input,
                               const torch::Tensor& hidden, const torch::Tensor& input_bias,
                               const torch::Tensor& hidden_bias,
                               const std::vector<std::int64_t>& offsets, bool has_start, bool keep,
                               torch::Tensor* last) {
    const PackedSteps steps(offsets);
    const std::int64_t dim = hidden.size(1);
    const std::int64_t rows = x.size(0);
    torch::Tensor states = torch::empty({rows, dim}, x.options());
    torch::Tensor gates = torch::empty({keep ? rows : 0, 4 * dim}, x.options());
    torch::Tensor previous = torch::empty({keep ? rows : 0, dim}, x.options());
    if (last != nullptr) *last = torch::empty({std::ssize(offsets) - 1, dim}, x.options());
    kernels::gru_forward(
        {static_cast<std::size_t>(x.size(1)), static_cast<std::size_t>(dim)}, steps,
        weights_of(input, hidden, input_bias, hidden_bias),
        {floats_of(x), has_start ? floats_of(start) : nullptr},
        {states.data_ptr<float>(), last != nullptr ? floats_of(*last) : nullptr,
         keep ? gates.data_ptr<float>() : nullptr, keep ? previous.data_ptr<float>() : nullptr});
    if (keep) {
      context->save_for_backward({x, input, hidden, input_bias, hidden_bias, gates, previous});
      context->saved_data["offsets"] = offsets;
      context->saved_data["has_start"] = has_start;
    }
    return states;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& x = saved[0];
    const torch::Tensor& input = saved[1];
    const torch::Tensor& hidden = saved[2];
    const torch::Tensor d_states = d_outputs[0].contiguous();
    const std::vector<std::int64_t> offsets = context->saved_data["offsets"].toIntVector();
    const PackedSteps steps(offsets);
    const std::int64_t dim = hidden.size(1);
    torch::Tensor d_x = torch::empty_like(x);
    torch::Tensor d_start;
    if (context->saved_data["has_start"].toBool()) {
      d_start = torch::empty({std::ssize(offsets) - 1, dim}, x.options());
    }
    torch::Tensor d_input = torch::empty_like(input);
    torch::Tensor d_hidden = torch::empty_like(hidden);
    torch::Tensor d_input_bias = torch::empty({3 * dim}, x.options());
    torch::Tensor d_hidden_bias = torch::empty({3 * dim}, x.options());
    kernels::gru_backward({static_cast<std::size_t>(x.size(1)), static_cast<std::size_t>(dim)},
                          steps, weights_of(input, hidden, saved[3], saved[4]), floats_of(x),
                          floats_of(saved[5]), floats_of(saved[6]), floats_of(d_states),
                          {d_x.data_ptr<float>(), floats_of(d_start), d_input.data_ptr<float>(),
                           d_hidden.data_ptr<float>(), d_input_bias.data_ptr<float>(),
                           d_hidden_bias.data_ptr<float>()});
    return {d_x, d_start, d_input, d_hidden, d_input_bias, d_hidden_bias, {}, {}, {}, {}};
  }
};

torch::Tensor index_of(std::span<const std::size_t> rows, torch::Device device) {
  return index_tensor(std::vector<std::int64_t>(rows.begin(), rows.end()), device);
}

}  // namespace

torch::Tensor fused_gru(const torch::Tensor& x, std::span<const std::int64_t> offsets,
                        const torch::Tensor& start, const GruParameters& p, torch::Tensor* last) {
  const bool keep = wants_gradient({x, start, p.input, p.hidden, p.input_bias, p.hidden_bias});
  return FusedGru::apply(x.contiguous(), start.defined() ? start.contiguous() : torch::empty({0}),
                         p.input, p.hidden, p.input_bias, p.hidden_bias,
                         std::vector<std::int64_t>(offsets.begin(), offsets.end()), start.defined(),
                         keep, last);
}

torch::Tensor plain_gru(const torch::Tensor& x, std::span<const std::int64_t> offsets,
                        const torch::Tensor& start, const GruParameters& p, torch::Tensor* last) {
  const PackedSteps steps(offsets);
  const std::int64_t dim = p.hidden.size(1);
  const auto sequences = static_cast<std::int64_t>(steps.sequences());
  torch::Tensor first = start.defined() ? start : torch::zeros({sequences, dim}, x.options());
  if (last != nullptr) *last = first.detach().clone();
  if (steps.steps() == 0) return torch::zeros({0, dim}, x.options());

  std::vector<std::int64_t> alive;
  for (std::size_t t = 0; t < steps.longest(); ++t) {
    alive.push_back(static_cast<std::int64_t>(steps.alive(t)));
  }
  const torch::Tensor order = index_of(steps.packed_row(), x.device());
  const torch::Tensor living = index_of(steps.by_length().subspan(0, steps.alive(0)), x.device());
  const auto [states, final_states] =
      at::gru(x.index_select(0, order), index_tensor(alive, torch::kCPU),
              first.index_select(0, living).unsqueeze(0),
              {p.input, p.hidden, p.input_bias, p.hidden_bias}, true, 1, 0.0, false, false);
  if (last != nullptr) last->index_copy_(0, living, final_states.squeeze(0).detach());
  return states.index_select(0, order.argsort());
}

Gru::Gru(std::int64_t inputs, std::int64_t hidden, Rng& rng) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(hidden));
  const auto add = [&](const char* name, torch::IntArrayRef shape) {
    return register_parameter(name, uniform_tensor(shape, bound, rng));
  };
  parameters_.input = add("input", {3 * hidden, inputs});
  parameters_.hidden = add("hidden", {3 * hidden, hidden});
  parameters_.input_bias = add("input_bias", {3 * hidden});
  parameters_.hidden_bias = add("hidden_bias", {3 * hidden});
}

torch::Tensor Gru::forward(const torch::Tensor& x, std::span<const std::int64_t> offsets,
                           const torch::Tensor& start, torch::Tensor* last) const {
  check(x.dim() == 2 && x.size(0) == offsets.back(), "a packed GRU reads one row for each step");
  const bool fused = x.is_cpu() && x.scalar_type() == torch::kFloat32;
  return fused ? fused_gru(x, offsets, start, parameters_, last)
               : plain_gru(x, offsets, start, parameters_, last);
}

}  // namespace kindling::nn
