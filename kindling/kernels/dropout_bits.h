// The counter-based generator behind dropout_mask.h, for kernels that drop values on the way. For
// kernels' .cpp files only, like vector_math.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

class DropoutBits {
 public:
  DropoutBits(std::uint64_t seed, double p)
      : low_(static_cast<std::uint32_t>(seed)),
        high_(static_cast<std::uint32_t>(seed >> 32)),
        // Compared as 31 bits: vector units compare signed integers.
        dropped_(static_cast<std::int32_t>(p * 2147483648.0)),
        keep_(static_cast<float>(1.0 / (1.0 - p))) {}

  // Values first … first + count - 1 of the mask: 0 or 1 / (1 - p).
  void fill(std::uint64_t first, float* mask, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) mask[i] = kept(first + i) ? keep_ : 0.0F;
  }

  bool kept(std::uint64_t i) const {
    const std::uint32_t top = mix(static_cast<std::uint32_t>(i >> 32) + high_);
    const std::uint32_t bits = mix(mix(static_cast<std::uint32_t>(i) + low_) ^ top);
    return static_cast<std::int32_t>(bits >> 1) >= dropped_;
  }

 private:
  // A 32-bit mixer of low bias (Wellons 2018, "Prospecting for hash functions").
  static std::uint32_t mix(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ (x >> 16);
  }

  std::uint32_t low_;
  std::uint32_t high_;
  std::int32_t dropped_;
  float keep_;
};

}  // namespace kindling::kernels
