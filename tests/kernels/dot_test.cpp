#include "kindling/kernels/dot.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

TEST(Dot, AddsProductsOfWholeAndPartBlocks) {
  std::vector<float> ones(19, 1.0F);
  std::vector<float> counting(19);
  for (std::size_t i = 0; i < 19; ++i) counting[i] = static_cast<float>(i);

  EXPECT_EQ(dot(ones.data(), counting.data(), 19), 171.0F);  // 0 + … + 18
  EXPECT_EQ(dot(ones.data(), counting.data(), 0), 0.0F);
  EXPECT_EQ(dot(ones.data(), counting.data(), 3), 3.0F);
}

TEST(Dot, StaysWithinItsErrorBound) {
  Rng rng(1);
  for (const std::size_t dim : {1U, 15U, 16U, 17U, 300U, 768U}) {
    std::vector<float> a(dim);
    std::vector<float> b(dim);
    for (auto& value : a) value = static_cast<float>(rng.normal());
    for (auto& value : b) value = static_cast<float>(rng.normal());
    const double norms = std::sqrt(dot_reference(a.data(), a.data(), dim)) *
                         std::sqrt(dot_reference(b.data(), b.data(), dim));

    const double error =
        std::abs(dot(a.data(), b.data(), dim) - dot_reference(a.data(), b.data(), dim));

    EXPECT_LE(error, dot_error_factor(dim) * norms) << "dim " << dim;
  }
}

}  // namespace
}  // namespace kindling::kernels
