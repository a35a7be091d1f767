// Parameter tensors drawn from our own Rng: the same seed gives the same network on every machine.
#pragma once

#include <cstdint>

#include "kindling/base/random.h"
#include "kindling/nn/torch.h"

namespace kindling::nn {

// float32 values uniform in [-bound, bound).
torch::Tensor uniform_tensor(torch::IntArrayRef shape, double bound, Rng& rng);

// [out, in], uniform(±√(6 / (in + out))): Glorot & Bengio 2010.
torch::Tensor xavier_uniform_tensor(std::int64_t out, std::int64_t in, Rng& rng);

}  // namespace kindling::nn
