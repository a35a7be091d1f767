#include "kindling/nn/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/kernels/dropout_mask.h"
#include "kindling/kernels/packed_attention.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

kernels::PackedAttention attention_problem(const torch::Tensor& qkv,
                                           std::span<const std::int64_t> offsets,
                                           const AttentionOptions& options) {
  kernels::PackedAttention problem;
  problem.offsets = offsets;
  problem.heads = static_cast<std::size_t>(options.heads);
  problem.width = static_cast<std::size_t>(qkv.size(1) / 3 / options.heads);
  problem.causal = options.causal;
  problem.last_only = options.last_only;
  problem.dropout = options.dropout;
  problem.seed = options.seed;
  return problem;
}

// kernels/packed_attention.h as a differentiable operation.
class FusedAttention : public torch::autograd::Function<FusedAttention> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& qkv,
                               const std::vector<std::int64_t>& offsets, std::int64_t heads,
                               bool causal, bool last_only, double dropout, std::int64_t seed) {
    const AttentionOptions options{heads, causal, last_only, dropout,
                                   static_cast<std::uint64_t>(seed)};
    const kernels::PackedAttention problem = attention_problem(qkv, offsets, options);
    const auto queries = static_cast<std::int64_t>(problem.queries());
    torch::Tensor out = torch::empty({queries, qkv.size(1) / 3}, qkv.options());
    torch::Tensor log_sums = torch::empty({queries, heads}, qkv.options());
    kernels::packed_attention(problem, floats_of(qkv), floats_of(out), floats_of(log_sums));
    context->save_for_backward({qkv, out, log_sums});
    context->saved_data["offsets"] = offsets;
    context->saved_data["heads"] = heads;
    context->saved_data["causal"] = causal;
    context->saved_data["last_only"] = last_only;
    context->saved_data["dropout"] = dropout;
    context->saved_data["seed"] = seed;
    return out;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list d_outputs) {
    const auto saved = context->get_saved_variables();
    auto& data = context->saved_data;
    const std::vector<std::int64_t> offsets = data["offsets"].toIntVector();
    const AttentionOptions options{data["heads"].toInt(), data["causal"].toBool(),
                                   data["last_only"].toBool(), data["dropout"].toDouble(),
                                   static_cast<std::uint64_t>(data["seed"].toInt())};
    const torch::Tensor d_out = d_outputs[0].contiguous();
    torch::Tensor d_qkv = torch::empty_like(saved[0]);
    kernels::packed_attention_backward(attention_problem(saved[0], offsets, options),
                                       floats_of(saved[0]), floats_of(saved[1]),
                                       floats_of(saved[2]), floats_of(d_out), floats_of(d_qkv));
    return {d_qkv, {}, {}, {}, {}, {}, {}};
  }
};

void check_attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                     const AttentionOptions& options) {
  check(qkv.dim() == 2 && !offsets.empty() && qkv.size(0) == offsets.back(),
        "packed attention reads one row for each step");
  check(options.heads > 0 && qkv.size(1) % (3 * options.heads) == 0,
        "the width of q, k and v is a multiple of the heads");
}

}  // namespace

torch::Tensor fused_attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                              const AttentionOptions& options) {
  return FusedAttention::apply(
      qkv.contiguous(), std::vector<std::int64_t>(offsets.begin(), offsets.end()), options.heads,
      options.causal, options.last_only, options.dropout, static_cast<std::int64_t>(options.seed));
}

torch::Tensor plain_attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                              const AttentionOptions& options) {
  const kernels::PackedAttention problem = attention_problem(qkv, offsets, options);
  const std::int64_t sequences = std::ssize(offsets) - 1;
  const auto longest = static_cast<std::int64_t>(problem.longest());
  const std::int64_t heads = options.heads;
  const std::int64_t rows = qkv.size(0);
  const std::int64_t width = qkv.size(1) / 3 / heads;
  std::vector<std::int64_t> slot;  // of each row in the padded batch
  std::vector<std::int64_t> last;
  torch::Tensor real = torch::zeros({sequences, longest}, torch::kBool);
  for (std::int64_t b = 0; b < sequences; ++b) {
    const auto at = static_cast<std::size_t>(b);
    for (std::int64_t t = 0; t < offsets[at + 1] - offsets[at]; ++t) {
      slot.push_back(b * longest + t);
      real[b][t] = true;
    }
    last.push_back(offsets[at + 1] - 1);
  }
  const torch::Tensor place = index_tensor(slot, qkv.device());
  const auto pad = [&](const torch::Tensor& values) {  // [N, …] -> [B, T, …]
    std::vector<std::int64_t> shape = values.sizes().vec();
    shape[0] = sequences * longest;
    torch::Tensor padded = torch::zeros(shape, values.options()).index_copy(0, place, values);
    shape[0] = longest;
    shape.insert(shape.begin(), sequences);
    return padded.view(shape);
  };
  const torch::Tensor split = pad(qkv.view({rows, 3, heads, width})).permute({2, 0, 3, 1, 4});
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  torch::Tensor scores = split[0].matmul(split[1].transpose(2, 3)) * scale;  // [B, H, T, T]
  torch::Tensor hidden = real.to(qkv.device()).logical_not().view({sequences, 1, 1, longest});
  if (options.causal) {
    hidden = hidden.logical_or(
        torch::ones({longest, longest}, hidden.options()).triu(1).view({1, 1, longest, longest}));
  }
  torch::Tensor weights = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  // A padding query may see no key at all: its row is never read, but must stay finite.
  weights = weights.masked_fill(hidden.all(3, true), 0.0).softmax(3);
  if (options.dropout > 0.0) {
    torch::Tensor mask = torch::empty({rows, heads, longest}, torch::kFloat32);
    kernels::dropout_mask(options.seed, options.dropout, floats_of(mask),
                          static_cast<std::size_t>(mask.numel()));
    weights = weights * pad(mask.to(qkv.options())).permute({0, 2, 1, 3});
  }
  const torch::Tensor mixed = weights.matmul(split[2]).permute({0, 2, 1, 3});  // [B, T, H, W]
  const torch::Tensor all =
      mixed.reshape({sequences * longest, heads * width}).index_select(0, place);
  return options.last_only ? all.index_select(0, index_tensor(last, qkv.device())) : all;
}

torch::Tensor attention(const torch::Tensor& qkv, std::span<const std::int64_t> offsets,
                        const AttentionOptions& options) {
  check_attention(qkv, offsets, options);
  const bool fused = qkv.is_cpu() && qkv.scalar_type() == torch::kFloat32;
  return fused ? fused_attention(qkv, offsets, options) : plain_attention(qkv, offsets, options);
}

}  // namespace kindling::nn
