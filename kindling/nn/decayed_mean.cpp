#include "kindling/nn/decayed_mean.h"

#include <vector>

#include "kindling/base/error.h"
#include "kindling/kernels/decayed_mean.h"
#include "kindling/nn/tensors.h"

namespace kindling::nn {

namespace {

template <class Real>
kernels::DecayedSums<Real> sums_of(const NetworkState& state) {
  if (state.parts.empty()) return {};
  return {state.parts[0].data_ptr<Real>(), state.parts[1].data_ptr<Real>()};
}

class FusedDecayedMean : public torch::autograd::Function<FusedDecayedMean> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& known, const std::vector<std::int64_t>& offsets,
                               double decay, NetworkState* carried) {
    const torch::Tensor rows = x.to(torch::kCPU).contiguous();
    const std::int64_t sequences = std::ssize(offsets) - 1;
    torch::Tensor y = torch::empty_like(rows);
    torch::Tensor weights = torch::empty({rows.size(0)}, rows.options());
    const NetworkState start = carried != nullptr ? *carried : NetworkState{};
    // Sequences that have ended left from the back: those that go on are a prefix.
    check(start.parts.empty() || start.parts[0].size(0) >= sequences, "a state for each sequence");
    NetworkState last;
    if (carried != nullptr) {
      last.parts = {torch::empty({sequences, rows.size(1)}, rows.options()),
                    torch::empty({sequences}, rows.options())};
    }
    AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "decayed_mean", [&] {
      kernels::decayed_mean_forward<scalar_t>(
          offsets, static_cast<std::size_t>(rows.size(1)), static_cast<scalar_t>(decay),
          rows.data_ptr<scalar_t>(), known.data_ptr<std::uint8_t>(), sums_of<scalar_t>(start),
          y.data_ptr<scalar_t>(), weights.data_ptr<scalar_t>(), sums_of<scalar_t>(last));
    });
    if (carried != nullptr) *carried = std::move(last);
    context->save_for_backward({known, weights});
    context->saved_data["offsets"] = offsets;
    context->saved_data["decay"] = decay;
    return y.to(x.device());
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor d_y = d_outputs[0].to(torch::kCPU).contiguous();
    torch::Tensor d_x = torch::empty_like(d_y);
    const auto offsets = context->saved_data["offsets"].toIntVector();
    const double decay = context->saved_data["decay"].toDouble();
    AT_DISPATCH_FLOATING_TYPES(d_y.scalar_type(), "decayed_mean", [&] {
      kernels::decayed_mean_backward<scalar_t>(
          offsets, static_cast<std::size_t>(d_y.size(1)), static_cast<scalar_t>(decay),
          d_y.data_ptr<scalar_t>(), saved[0].data_ptr<std::uint8_t>(),
          saved[1].data_ptr<scalar_t>(), d_x.data_ptr<scalar_t>());
    });
    return {d_x.to(d_outputs[0].device()), torch::Tensor(), torch::Tensor(), torch::Tensor(),
            torch::Tensor()};
  }
};

}  // namespace

torch::Tensor decayed_mean(const torch::Tensor& x, const SequenceBatch& batch, double decay,
                           NetworkState* carried) {
  check(x.size(0) == batch.steps(), "one row for each step");
  torch::Tensor known = torch::empty({batch.steps()}, torch::kUInt8);
  for (std::int64_t n = 0; n < batch.steps(); ++n) {
    known.data_ptr<std::uint8_t>()[n] = batch.inputs[static_cast<std::size_t>(n)] != kDummyItem;
  }
  return FusedDecayedMean::apply(x, known, batch.offsets, decay, carried);
}

}  // namespace kindling::nn
