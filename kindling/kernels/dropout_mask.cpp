#include "kindling/kernels/dropout_mask.h"

#include <algorithm>

#include "kindling/base/parallel.h"

namespace kindling::kernels {

namespace {

// A 32-bit mixer of low bias (Wellons 2018, "Prospecting for hash functions").
inline std::uint32_t mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}

}  // namespace

void dropout_mask(std::uint64_t seed, double p, float* mask, std::size_t count) {
  const auto low = static_cast<std::uint32_t>(seed);
  const auto high = static_cast<std::uint32_t>(seed >> 32);
  // Compared as 31 bits: vector units compare signed integers.
  const auto dropped = static_cast<std::int32_t>(p * 2147483648.0);
  const auto keep = static_cast<float>(1.0 / (1.0 - p));
  parallel_for(count, 16384, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint32_t top = mix(static_cast<std::uint32_t>(i >> 32) + high);
      const std::uint32_t bits = mix(mix(static_cast<std::uint32_t>(i) + low) ^ top);
      mask[i] = static_cast<std::int32_t>(bits >> 1) >= dropped ? keep : 0.0F;
    }
  });
}

}  // namespace kindling::kernels
