#include "kindling/kernels/dropout_mask.h"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/parallel.h"
#include "kindling/kernels/dropout_bits.h"

namespace kindling::kernels {
namespace {

std::vector<float> mask(std::uint64_t seed, double p, std::size_t count = 100000) {
  std::vector<float> values(count);
  dropout_mask(seed, p, values.data(), count);
  return values;
}

TEST(DropoutMask, KeepsTheExpectedShareAndMean) {
  const auto values = mask(1, 0.2);
  EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0) / 1e5, 1.0, 0.005);
  for (const float value : values) EXPECT_TRUE(value == 0.0F || value == 1.25F);
}

TEST(DropoutMask, IsTheSameForTheSameSeedOnly) {
  EXPECT_EQ(mask(7, 0.5), mask(7, 0.5));
  EXPECT_NE(mask(7, 0.5), mask(8, 0.5));
  EXPECT_NE(mask(7, 0.5), mask(7 + (std::uint64_t{1} << 32), 0.5));
}

TEST(DropoutMask, DoesNotDependOnTheThreads) {
  const int before = threads();
  set_threads(1);
  const auto alone = mask(3, 0.3);
  set_threads(2);
  const auto together = mask(3, 0.3);
  set_threads(before);

  EXPECT_EQ(alone, together);
}

TEST(DropoutMask, IsFilledAsIfValueByValueAcrossTheBorderOf32Bits) {
  const DropoutBits bits(0x123456789abcdefULL, 0.4);
  const std::uint64_t first = (std::uint64_t{5} << 32) - 37;
  std::vector<float> filled(100);

  bits.fill(first, filled.data(), filled.size());

  for (std::size_t i = 0; i < filled.size(); ++i) {
    EXPECT_EQ(filled[i] > 0.0F, bits.kept(first + i)) << "value " << i;
  }
}

TEST(DropoutMask, KeepsEverythingAtZero) {
  EXPECT_EQ(mask(4, 0.0), std::vector<float>(100000, 1.0F));
}

}  // namespace
}  // namespace kindling::kernels
