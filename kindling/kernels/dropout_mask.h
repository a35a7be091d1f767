// A dropout mask from a counter-based generator: value i depends only on (seed, i), so neither the
// number of threads nor the device changes a run.
//
// mask[i] = 1/(1-p) with probability 1-p, else 0; p in [0, 1).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

void dropout_mask(std::uint64_t seed, double p, float* mask, std::size_t count);

}  // namespace kindling::kernels
