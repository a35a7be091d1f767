#include "kindling/nn/tcn.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kindling/base/error.h"
#include "kindling/nn/init.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Rows of x by number, [count, D]; number N stands for a row of zeros.
torch::Tensor rows_or_zero(const torch::Tensor& x, const torch::Tensor& rows) {
  return torch::cat({x, torch::zeros({1, x.size(1)}, x.options())}).index_select(0, rows);
}

// What each tap of a causal convolution reads. `reads` [N k]: the row behind tap j of step n, or N.
// `read_by` [N k]: the place in `reads` where row n occurs as tap j, or N k. Both directions are
// gathers, so backward needs no scattered additions.
struct Taps {
  std::vector<std::int64_t> reads;
  std::vector<std::int64_t> read_by;
};

Taps make_taps(const std::vector<std::int64_t>& offsets, std::int64_t kernel,
               std::int64_t dilation) {
  const std::int64_t steps = offsets.back();
  Taps taps;
  taps.reads.reserve(static_cast<std::size_t>(steps * kernel));
  taps.read_by.reserve(static_cast<std::size_t>(steps * kernel));
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    for (std::int64_t n = offsets[b]; n < offsets[b + 1]; ++n) {
      for (std::int64_t j = 0; j < kernel; ++j) {
        const std::int64_t shift = (kernel - 1 - j) * dilation;
        taps.reads.push_back(n - shift >= offsets[b] ? n - shift : steps);
        taps.read_by.push_back(n + shift < offsets[b + 1] ? (n + shift) * kernel + j
                                                          : steps * kernel);
      }
    }
  }
  return taps;
}

// x [N, D] -> [N, k D]: the inputs of all taps of each step side by side.
class GatherTaps : public torch::autograd::Function<GatherTaps> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& reads, const torch::Tensor& read_by,
                               std::int64_t kernel) {
    context->save_for_backward({read_by});
    context->saved_data["shape"] = std::vector<std::int64_t>{x.size(0), kernel, x.size(1)};
    return rows_or_zero(x, reads).view({x.size(0), kernel * x.size(1)});
  }

  static tensor_list backward(AutogradContext* context, tensor_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const std::vector<std::int64_t> shape = context->saved_data["shape"].toIntVector();
    const torch::Tensor d_taps = d_outputs[0].contiguous().view({shape[0] * shape[1], shape[2]});
    return {rows_or_zero(d_taps, saved[0]).view(shape).sum(1), {}, {}, {}};
  }
};

}  // namespace

CausalConvolution::CausalConvolution(std::int64_t dim, std::int64_t kernel, std::int64_t dilation,
                                     Rng& rng)
    : kernel_(kernel), dilation_(dilation) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(dim * kernel));
  direction_ = register_parameter("direction", uniform_tensor({dim, kernel * dim}, bound, rng));
  gain_ = register_parameter("gain", direction_.detach().norm(2, {1}, true));
  bias_ = register_parameter("bias", uniform_tensor({dim}, bound, rng));
}

torch::Tensor CausalConvolution::forward(const torch::Tensor& x,
                                         const std::vector<std::int64_t>& offsets) const {
  const Taps taps = make_taps(offsets, kernel_, dilation_);
  const torch::Tensor columns = GatherTaps::apply(x, index_tensor(taps.reads, x.device()),
                                                  index_tensor(taps.read_by, x.device()), kernel_);
  const torch::Tensor weight = direction_ * (gain_ / direction_.norm(2, {1}, true));
  return torch::addmm(bias_, columns, weight.t());
}

Tcn::Tcn(const UserNetworkOptions& options, Rng& rng) : dropout_(options.dropout) {
  std::int64_t dilation = 1;
  for (std::int64_t block = 0; block < options.tcn_blocks; ++block, dilation *= 2) {
    for (const char* place : {"first", "second"}) {
      convolutions_.push_back(register_module(
          "block" + std::to_string(block) + "_" + place,
          std::make_shared<CausalConvolution>(options.dim, options.tcn_kernel, dilation, rng)));
    }
  }
  field_ = 2 * (options.tcn_kernel - 1) * (dilation - 1);
  if (!options.tcn_final_linear) return;
  final_weight_ =
      register_parameter("final_weight", xavier_uniform_tensor(options.dim, options.dim, rng));
  final_bias_ = register_parameter("final_bias", torch::zeros({options.dim}));
}

torch::Tensor Tcn::run(torch::Tensor x, const std::vector<std::int64_t>& offsets, Rng& rng) {
  const double p = is_training() ? dropout_ : 0.0;
  for (std::size_t block = 0; block < convolutions_.size(); block += 2) {
    torch::Tensor y = x;
    for (std::size_t part = block; part < block + 2; ++part) {
      y = dropout(torch::relu(convolutions_[part]->forward(y, offsets)), p, rng);
    }
    x = torch::relu(x + y);
  }
  return final_weight_.defined() ? torch::addmm(final_bias_, x, final_weight_.t()) : x;
}

torch::Tensor Tcn::forward(const torch::Tensor& inputs, const SequenceBatch& batch,
                           NetworkState* carried, Rng& rng) {
  const std::int64_t sequences = batch.sequences();
  check(inputs.dim() == 2 && inputs.size(0) == batch.offsets.back(), "one input for each step");
  if (carried == nullptr) return run(inputs, batch.offsets, rng);

  const std::int64_t dim = inputs.size(1);
  std::vector<std::int64_t> old(static_cast<std::size_t>(sequences), 0);  // carried rows of each
  torch::Tensor all = inputs;  // [B F + N, D], or [N, D] at the start
  std::int64_t carried_rows = 0;
  if (!carried->parts.empty()) {
    const torch::Tensor counts = carried->parts[1].contiguous();
    check(counts.size(0) == sequences, "the carried state has a row for each sequence");
    std::copy_n(counts.data_ptr<std::int64_t>(), sequences, old.begin());
    carried_rows = sequences * field_;
    all = torch::cat({carried->parts[0].reshape({carried_rows, dim}), inputs});
  }
  // Each sequence's carried rows go in front of its new ones.
  std::vector<std::int64_t> offsets{0}, order, fresh, kept, counts;
  for (std::size_t b = 0; b < old.size(); ++b) {
    const std::int64_t carried_end = static_cast<std::int64_t>(b + 1) * field_;
    for (std::int64_t i = carried_end - old[b]; i < carried_end; ++i) order.push_back(i);
    for (std::int64_t n = batch.offsets[b]; n < batch.offsets[b + 1]; ++n) {
      fresh.push_back(std::ssize(order));
      order.push_back(carried_rows + n);
    }
    offsets.push_back(std::ssize(order));
    counts.push_back(std::min(field_, offsets[b + 1] - offsets[b]));
    for (std::int64_t i = offsets[b + 1] - field_; i < offsets[b + 1]; ++i) {
      kept.push_back(i >= offsets[b] ? i : -1);
    }
  }
  std::replace(kept.begin(), kept.end(), std::int64_t{-1}, offsets.back());  // a row of zeros
  const torch::Tensor x = all.index_select(0, index_tensor(order, inputs.device()));
  const torch::Tensor last = rows_or_zero(x.detach(), index_tensor(kept, inputs.device()));
  carried->parts = {last.view({sequences, field_, dim}), index_tensor(counts, torch::kCPU)};
  return run(x, offsets, rng).index_select(0, index_tensor(fresh, inputs.device()));
}

}  // namespace kindling::nn
