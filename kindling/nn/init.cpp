#include "kindling/nn/init.h"

#include <cmath>

namespace kindling::nn {

torch::Tensor uniform_tensor(torch::IntArrayRef shape, double bound, Rng& rng) {
  torch::Tensor values = torch::empty(shape, torch::kFloat32);
  float* value = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    value[i] = static_cast<float>(rng.uniform(-bound, bound));
  }
  return values;
}

torch::Tensor xavier_uniform_tensor(std::int64_t out, std::int64_t in, Rng& rng) {
  return uniform_tensor({out, in}, std::sqrt(6.0 / static_cast<double>(in + out)), rng);
}

}  // namespace kindling::nn
