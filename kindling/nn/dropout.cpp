// Dropout with a mask that depends on the Rng alone, not on the number of threads.
#include "kindling/base/error.h"
#include "kindling/kernels/dropout_mask.h"
#include "kindling/nn/user_network.h"

namespace kindling::nn {

torch::Tensor dropout(const torch::Tensor& x, double p, Rng& rng) {
  if (p < 0.0 || p >= 1.0) {
    throw Error(Kind::kBadOption, "must be at least 0 and below 1, found " + std::to_string(p),
                "dropout");
  }
  if (p == 0.0) return x;
  // Drawn on the CPU for every device: the same stream gives the same masks everywhere.
  torch::Tensor mask = torch::empty(x.sizes(), torch::kFloat32);
  kernels::dropout_mask(rng.next(), p, mask.data_ptr<float>(),
                        static_cast<std::size_t>(mask.numel()));
  return x * mask.to(x.options());
}

}  // namespace kindling::nn
