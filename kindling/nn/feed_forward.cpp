#include "kindling/nn/feed_forward.h"

#include "kindling/kernels/dropout_mask.h"
#include "kindling/kernels/feed_forward.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

kernels::FeedForward feed_forward_problem(const torch::Tensor& x, const torch::Tensor& w1,
                                          const FeedForwardOptions& options) {
  kernels::FeedForward problem;
  problem.rows = static_cast<std::size_t>(x.size(0));
  problem.dim = static_cast<std::size_t>(x.size(1));
  problem.hidden = static_cast<std::size_t>(w1.size(0));
  problem.activation = options.activation;
  problem.dropout = options.dropout;
  problem.dropout_first = options.dropout_first;
  problem.seed = options.seed;
  return problem;
}

// kernels/feed_forward.h as a differentiable operation.
class FusedFeedForward : public torch::autograd::Function<FusedFeedForward> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& w1, const torch::Tensor& b1,
                               const torch::Tensor& w2, const torch::Tensor& b2,
                               std::int64_t activation, double dropout, bool dropout_first,
                               std::int64_t seed, bool keep) {
    const FeedForwardOptions options{static_cast<kernels::Activation>(activation), dropout,
                                     dropout_first, static_cast<std::uint64_t>(seed)};
    const kernels::FeedForward problem = feed_forward_problem(x, w1, options);
    torch::Tensor y = torch::empty_like(x);
    torch::Tensor middle;
    if (keep) middle = torch::empty({x.size(0), w1.size(0)}, x.options());
    kernels::feed_forward(problem, {floats_of(w1), floats_of(b1), floats_of(w2), floats_of(b2)},
                          floats_of(x), floats_of(middle), floats_of(y));
    if (keep) {
      context->save_for_backward({x, w1, b1, w2, b2, middle});
      context->saved_data["activation"] = activation;
      context->saved_data["dropout"] = dropout;
      context->saved_data["dropout_first"] = dropout_first;
      context->saved_data["seed"] = seed;
    }
    return y;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list d_outputs) {
    const auto saved = context->get_saved_variables();
    auto& data = context->saved_data;
    const FeedForwardOptions options{static_cast<kernels::Activation>(data["activation"].toInt()),
                                     data["dropout"].toDouble(), data["dropout_first"].toBool(),
                                     static_cast<std::uint64_t>(data["seed"].toInt())};
    const torch::Tensor d_y = d_outputs[0].contiguous();
    torch::autograd::tensor_list gradients;
    for (std::size_t i = 0; i < 5; ++i) gradients.push_back(torch::empty_like(saved[i]));
    kernels::feed_forward_backward(
        feed_forward_problem(saved[0], saved[1], options),
        {floats_of(saved[1]), floats_of(saved[2]), floats_of(saved[3]), floats_of(saved[4])},
        floats_of(saved[0]), floats_of(saved[5]), floats_of(d_y),
        {floats_of(gradients[0]), floats_of(gradients[1]), floats_of(gradients[2]),
         floats_of(gradients[3]), floats_of(gradients[4])});
    gradients.resize(10);
    return gradients;
  }
};

torch::Tensor activate(kernels::Activation activation, const torch::Tensor& x) {
  switch (activation) {
    case kernels::Activation::kRelu:
      return x.relu();
    case kernels::Activation::kGelu:
      return torch::gelu(x);
    case kernels::Activation::kGeluTanh:
      break;
  }
  return torch::gelu(x, "tanh");
}

}  // namespace

torch::Tensor fused_feed_forward(const torch::Tensor& x, const FeedForwardParameters& p,
                                 const FeedForwardOptions& options) {
  const bool keep = wants_gradient({x, p.w1, p.b1, p.w2, p.b2});
  return FusedFeedForward::apply(
      x.contiguous(), p.w1, p.b1, p.w2, p.b2, static_cast<std::int64_t>(options.activation),
      options.dropout, options.dropout_first, static_cast<std::int64_t>(options.seed), keep);
}

torch::Tensor plain_feed_forward(const torch::Tensor& x, const FeedForwardParameters& p,
                                 const FeedForwardOptions& options) {
  torch::Tensor middle = torch::addmm(p.b1, x, p.w1.t());  // [N, F]
  torch::Tensor mask;
  if (options.dropout > 0.0) {
    mask = torch::empty(middle.sizes(), torch::kFloat32);
    kernels::dropout_mask(options.seed, options.dropout, floats_of(mask),
                          static_cast<std::size_t>(mask.numel()));
    mask = mask.to(middle.options());
  }
  if (mask.defined() && options.dropout_first) middle = middle * mask;
  middle = activate(options.activation, middle);
  if (mask.defined() && !options.dropout_first) middle = middle * mask;
  return torch::addmm(p.b2, middle, p.w2.t());
}

torch::Tensor feed_forward(const torch::Tensor& x, const FeedForwardParameters& parameters,
                           const FeedForwardOptions& options) {
  const bool fused = x.is_cpu() && x.scalar_type() == torch::kFloat32;
  return fused ? fused_feed_forward(x, parameters, options)
               : plain_feed_forward(x, parameters, options);
}

}  // namespace kindling::nn
