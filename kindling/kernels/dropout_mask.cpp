#include "kindling/kernels/dropout_mask.h"

#include "kindling/base/parallel.h"
#include "kindling/kernels/dropout_bits.h"

namespace kindling::kernels {

void dropout_mask(std::uint64_t seed, double p, float* mask, std::size_t count) {
  const DropoutBits bits(seed, p);
  parallel_for(count, 16384, [&](std::size_t begin, std::size_t end) {
    bits.fill(begin, mask + begin, end - begin);
  });
}

}  // namespace kindling::kernels
