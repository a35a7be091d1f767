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
    while (count > 0) {  // numbers with the same upper half: the loop within counts in 32 bits
      const std::uint64_t same = (std::uint64_t{1} << 32) - (first & 0xffffffffU);
      const auto part = static_cast<std::size_t>(same < count ? same : count);
      fill_low(static_cast<std::uint32_t>(first),
               mix(static_cast<std::uint32_t>(first >> 32) + high_), mask, part);
      first += part;
      mask += part;
      count -= part;
    }
  }

  bool kept(std::uint64_t i) const {
    return is_kept(static_cast<std::uint32_t>(i), mix(static_cast<std::uint32_t>(i >> 32) + high_));
  }

 private:
  bool is_kept(std::uint32_t low, std::uint32_t top) const {
    return static_cast<std::int32_t>(mix(mix(low + low_) ^ top) >> 1) >= dropped_;
  }
  void fill_low(std::uint32_t first, std::uint32_t top, float* mask, std::size_t count) const {
    const DropoutBits own = *this;  // a float written to the mask is no member of it
    for (std::size_t i = 0; i < count; ++i) {
      mask[i] = own.is_kept(first + static_cast<std::uint32_t>(i), top) ? own.keep_ : 0.0F;
    }
  }

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
