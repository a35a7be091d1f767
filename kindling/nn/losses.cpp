#include "kindling/nn/losses.h"

#include <algorithm>
#include <limits>

#include "kindling/base/error.h"
#include "kindling/kernels/sampled_softmax.h"
#include "kindling/kernels/softmax_cross_entropy.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr double kNever = -std::numeric_limits<double>::infinity();
// Rows of logits that the LibTorch path holds at once: at most this many values.
constexpr std::int64_t kChunkValues = std::int64_t{1} << 26;

bool on_kernels(const torch::Tensor& states) {
  return states.is_cpu() && states.scalar_type() == torch::kFloat32;
}

std::size_t length(const torch::Tensor& tensor, std::int64_t dimension) {
  return static_cast<std::size_t>(tensor.size(dimension));
}

std::int64_t chunk_rows(std::int64_t classes) {
  return std::max<std::int64_t>(1, kChunkValues / std::max<std::int64_t>(1, classes));
}

const std::int64_t* ids_of(const torch::Tensor& tensor) { return tensor.data_ptr<std::int64_t>(); }

void check_targets(const torch::Tensor& targets, std::int64_t classes) {
  if (targets.numel() == 0) return;
  const auto low = targets.min().item<std::int64_t>();
  const auto high = targets.max().item<std::int64_t>();
  if (low >= 0 && high < classes) return;
  throw Error(Kind::kBadInput,
              "target " + std::to_string(low < 0 ? low : high) + " is not one of the " +
                  std::to_string(classes) + " items",
              "softmax_cross_entropy");
}

// The tensors of a softmax over everything.
struct Softmax {
  torch::Tensor states, items, bias, targets;
};

// A contiguous array of `tensor`'s shape if its gradient is wanted.
torch::Tensor gradient_room(const torch::Tensor& tensor) {
  if (!wants_gradient({tensor})) return {};
  return torch::empty(tensor.sizes(), tensor.options());
}

// Where gradients go; undefined where nobody wants one.
struct SoftmaxRoom {
  torch::Tensor states, items, bias;
};

torch::Tensor softmax_on_kernels(const Softmax& s, const SoftmaxRoom& room) {
  const double loss = kernels::softmax_cross_entropy(
      {floats_of(s.states), floats_of(s.items), ids_of(s.targets), length(s.states, 0),
       length(s.items, 0), length(s.states, 1), floats_of(s.bias)},
      {floats_of(room.states), floats_of(room.items), floats_of(room.bias)});
  return torch::scalar_tensor(loss, s.states.options());
}

torch::Tensor softmax_in_chunks(const Softmax& s, const SoftmaxRoom& room) {
  check_targets(s.targets, s.items.size(0));
  for (const torch::Tensor& sum : {room.items, room.bias}) {
    if (sum.defined()) sum.zero_();
  }
  torch::Tensor loss = torch::zeros({}, s.states.options());
  const std::int64_t rows = chunk_rows(s.items.size(0));
  for (std::int64_t first = 0; first < s.states.size(0); first += rows) {
    const std::int64_t count = std::min(rows, s.states.size(0) - first);
    const torch::Tensor chunk = s.states.narrow(0, first, count);
    const torch::Tensor target = s.targets.narrow(0, first, count).unsqueeze(1);
    torch::Tensor logits = torch::addmm(s.bias, chunk, s.items.t());  // [count, J]
    const torch::Tensor total = logits.logsumexp({1}, true);
    loss += (total - logits.gather(1, target)).sum();
    torch::Tensor p = logits.sub_(total).exp_();
    p.scatter_add_(1, target, torch::full_like(target, -1, s.states.options()));
    if (room.states.defined()) room.states.narrow(0, first, count).copy_(p.matmul(s.items));
    if (room.items.defined()) room.items.addmm_(p.t(), chunk);
    if (room.bias.defined()) room.bias.add_(p.sum(0));
  }
  return loss;
}

class SoftmaxCrossEntropy : public torch::autograd::Function<SoftmaxCrossEntropy> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& states,
                               const torch::Tensor& items, const torch::Tensor& bias,
                               const torch::Tensor& targets, const SoftmaxRoom& room) {
    const auto compute = on_kernels(states) ? softmax_on_kernels : softmax_in_chunks;
    const torch::Tensor loss = compute({states, items, bias, targets}, room);
    context->save_for_backward({room.states, room.items, room.bias});
    return loss;
  }

  static tensor_list backward(AutogradContext* context, tensor_list d_loss) {
    tensor_list gradients = context->get_saved_variables();
    for (auto& gradient : gradients) {
      if (gradient.defined()) gradient = gradient * d_loss[0];
    }
    return {gradients[0], gradients[1], gradients[2], {}, {}};
  }
};

struct LossAndGradients {
  torch::Tensor loss;
  tensor_list gradients;
};

// The tensors of a sampled softmax, in the order of the public function's arguments.
struct Sampled {
  torch::Tensor states, target_items, sampled_items, targets, sampled, target_log_q, sampled_log_q;
};

LossAndGradients sampled_on_kernels(const Sampled& s, bool with_gradients) {
  const auto gradient_of = [&](const torch::Tensor& tensor) {
    return with_gradients ? torch::empty_like(tensor) : torch::Tensor();
  };
  torch::Tensor d_states = gradient_of(s.states);
  torch::Tensor d_targets = gradient_of(s.target_items);
  torch::Tensor d_sampled = gradient_of(s.sampled_items);
  const double loss = kernels::sampled_softmax(
      {floats_of(s.states), floats_of(s.target_items), floats_of(s.sampled_items),
       ids_of(s.targets), ids_of(s.sampled), floats_of(s.target_log_q), floats_of(s.sampled_log_q),
       length(s.states, 0), length(s.sampled_items, 0), length(s.states, 1)},
      {floats_of(d_states), floats_of(d_targets), floats_of(d_sampled)});
  return {torch::scalar_tensor(loss, s.states.options()), {d_states, d_targets, d_sampled}};
}

LossAndGradients sampled_in_chunks(const Sampled& s, bool with_gradients) {
  torch::Tensor d_states = torch::zeros_like(s.states);
  torch::Tensor d_targets = torch::zeros_like(s.target_items);
  torch::Tensor d_sampled = torch::zeros_like(s.sampled_items);
  torch::Tensor loss = torch::zeros({}, s.states.options());
  const std::int64_t rows = chunk_rows(s.sampled_items.size(0));
  for (std::int64_t first = 0; first < s.states.size(0); first += rows) {
    const std::int64_t count = std::min(rows, s.states.size(0) - first);
    const auto part = [&](const torch::Tensor& tensor) { return tensor.narrow(0, first, count); };
    const torch::Tensor u = part(s.states);
    const torch::Tensor t = part(s.target_items);
    const torch::Tensor own = (u * t).sum(1, true) - part(s.target_log_q).unsqueeze(1);
    torch::Tensor others = u.matmul(s.sampled_items.t()) - s.sampled_log_q;
    const torch::Tensor hits = part(s.targets).unsqueeze(1) == s.sampled.unsqueeze(0);
    others.masked_fill_(hits, kNever);
    const torch::Tensor total = torch::cat({own, others}, 1).logsumexp({1}, true);
    loss += (total - own).sum();
    if (!with_gradients) continue;
    const torch::Tensor p = (others - total).exp();
    const torch::Tensor d_own = (own - total).exp() - 1.0;
    part(d_states).copy_(p.matmul(s.sampled_items) + d_own * t);
    part(d_targets).copy_(d_own * u);
    d_sampled.addmm_(p.t(), u);
  }
  return {loss, {d_states, d_targets, d_sampled}};
}

class SampledSoftmax : public torch::autograd::Function<SampledSoftmax> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& states,
                               const torch::Tensor& target_items,
                               const torch::Tensor& sampled_items, const torch::Tensor& targets,
                               const torch::Tensor& sampled, const torch::Tensor& target_log_q,
                               const torch::Tensor& sampled_log_q, bool with_gradients) {
    const Sampled all{states,  target_items, sampled_items, targets,
                      sampled, target_log_q, sampled_log_q};
    const auto compute = on_kernels(states) ? sampled_on_kernels : sampled_in_chunks;
    LossAndGradients result = compute(all, with_gradients);
    context->save_for_backward(result.gradients);
    return result.loss;
  }

  static tensor_list backward(AutogradContext* context, tensor_list d_loss) {
    tensor_list gradients = context->get_saved_variables();
    for (auto& gradient : gradients) gradient = gradient * d_loss[0];
    return {gradients[0], gradients[1], gradients[2], {}, {}, {}, {}, {}};
  }
};

void check_ids(const torch::Tensor& ids, std::int64_t count, const char* what) {
  check(ids.dim() == 1 && ids.size(0) == count && ids.scalar_type() == torch::kInt64, what);
}

}  // namespace

torch::Tensor softmax_cross_entropy(const torch::Tensor& states, const torch::Tensor& items,
                                    const torch::Tensor& targets, const torch::Tensor& bias) {
  check(states.dim() == 2 && items.dim() == 2 && states.size(1) == items.size(1),
        "states [N, D] and items [J, D] have one width");
  check_ids(targets, states.size(0), "one int64 target for each state");
  check(!bias.defined() || (bias.dim() == 1 && bias.size(0) == items.size(0)),
        "bias [J] has one number for each item");
  return SoftmaxCrossEntropy::apply(
      states.contiguous(), items.contiguous(),
      bias.defined() ? bias.contiguous() : torch::zeros({items.size(0)}, items.options()),
      targets.contiguous(),
      SoftmaxRoom{gradient_room(states), gradient_room(items), gradient_room(bias)});
}

torch::Tensor sampled_softmax_cross_entropy(
    const torch::Tensor& states, const torch::Tensor& target_items,
    const torch::Tensor& sampled_items, const torch::Tensor& targets, const torch::Tensor& sampled,
    const torch::Tensor& target_log_q, const torch::Tensor& sampled_log_q) {
  check(states.dim() == 2 && target_items.sizes() == states.sizes() && sampled_items.dim() == 2 &&
            sampled_items.size(1) == states.size(1),
        "states [N, D], target_items [N, D] and sampled_items [K, D] have one width");
  check_ids(targets, states.size(0), "one int64 target for each state");
  check_ids(sampled, sampled_items.size(0), "one int64 id for each sampled item");
  check(target_log_q.numel() == states.size(0) && sampled_log_q.numel() == sampled.size(0),
        "one log q for each target and each sampled item");
  const bool with_gradients = wants_gradient({states, target_items, sampled_items});
  return SampledSoftmax::apply(states.contiguous(), target_items.contiguous(),
                               sampled_items.contiguous(), targets.contiguous(),
                               sampled.contiguous(), target_log_q.to(states.options()).contiguous(),
                               sampled_log_q.to(states.options()).contiguous(), with_gradients);
}

}  // namespace kindling::nn
