#include "kindling/nn/gather_dot.h"

#include "kindling/base/error.h"
#include "kindling/kernels/gather_dot.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

kernels::GatherDot gather_problem(const torch::Tensor& states, const torch::Tensor& items,
                                  const torch::Tensor& candidates) {
  return {floats_of(states),
          floats_of(items),
          candidates.data_ptr<std::int64_t>(),
          static_cast<std::size_t>(candidates.size(0)),
          static_cast<std::size_t>(candidates.size(1)),
          static_cast<std::size_t>(states.size(1))};
}

// kernels/gather_dot.h as a differentiable operation.
class FusedGatherDot : public torch::autograd::Function<FusedGatherDot> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& states, const torch::Tensor& items,
                               const torch::Tensor& candidates, bool for_states, bool for_items) {
    torch::Tensor scores = torch::empty(candidates.sizes(), states.options());
    kernels::gather_dot(gather_problem(states, items, candidates), floats_of(scores));
    context->save_for_backward({states, items, candidates});
    context->saved_data["for_states"] = for_states;
    context->saved_data["for_items"] = for_items;
    return scores;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list d_outputs) {
    const auto saved = context->get_saved_variables();
    torch::Tensor d_states;
    torch::Tensor d_items;
    if (context->saved_data["for_states"].toBool()) d_states = torch::empty_like(saved[0]);
    if (context->saved_data["for_items"].toBool()) d_items = torch::zeros_like(saved[1]);
    const torch::Tensor d_scores = d_outputs[0].contiguous();
    kernels::gather_dot_backward(gather_problem(saved[0], saved[1], saved[2]), floats_of(d_scores),
                                 floats_of(d_states), floats_of(d_items));
    return {d_states, d_items, {}, {}, {}};
  }
};

}  // namespace

torch::Tensor gather_dot(const torch::Tensor& states, const torch::Tensor& items,
                         const torch::Tensor& candidates) {
  check(states.dim() == 2 && items.dim() == 2 && states.size(1) == items.size(1),
        "states [N, D] and items [R, D] have one width");
  check(candidates.dim() == 2 && candidates.size(0) == states.size(0) &&
            candidates.scalar_type() == torch::kInt64 && candidates.is_cpu(),
        "one row of int64 candidates for each state");
  check(candidates.numel() == 0 || (candidates.min().item<std::int64_t>() >= 0 &&
                                    candidates.max().item<std::int64_t>() < items.size(0)),
        "a candidate is not one of the items");
  if (states.is_cpu() && states.scalar_type() == torch::kFloat32) {
    return FusedGatherDot::apply(states.contiguous(), items.contiguous(), candidates.contiguous(),
                                 wants_gradient({states}), wants_gradient({items}));
  }
  const torch::Tensor ids = candidates.reshape({-1}).to(states.device());
  const torch::Tensor picked =
      items.index_select(0, ids).view({candidates.size(0), candidates.size(1), items.size(1)});
  return picked.matmul(states.unsqueeze(2)).squeeze(2);
}

torch::Tensor sampled_softmax_mean(const torch::Tensor& scores) {
  return (scores.logsumexp({1}) - scores.select(1, 0)).mean();
}

}  // namespace kindling::nn
