#include "kindling/text/moments.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"

namespace kindling {
namespace {

// Vectors that vary along the given axes only, with standard deviation 1.
Matrix along(std::initializer_list<std::size_t> axes, std::uint64_t seed) {
  Matrix result(200, 6, 0.5F);
  Rng rng(seed);
  for (std::size_t r = 0; r < result.rows(); ++r) {
    for (const std::size_t axis : axes) result(r, axis) += static_cast<float>(rng.normal());
  }
  return result;
}

TEST(SharedVariance, IsOneWithinTheSameAxes) {
  EXPECT_NEAR(shared_variance(along({0, 1}, 1), along({0, 1}, 2)), 1.0, 1e-6);
}

TEST(SharedVariance, IsZeroOnOtherAxes) {
  EXPECT_NEAR(shared_variance(along({0, 1}, 1), along({3, 4}, 2)), 0.0, 1e-6);
}

TEST(SharedVariance, IsTheShareOfTheCommonAxis) {
  EXPECT_NEAR(shared_variance(along({0, 1}, 1), along({1, 2}, 2)), 0.5, 0.1);
}

TEST(SharedVariance, RefusesOtherWidths) {
  EXPECT_THROW(shared_variance(Matrix(2, 3), Matrix(2, 4)), Error);
  EXPECT_THROW(shared_variance(Matrix(0, 3), Matrix(2, 3)), Error);
}

TEST(Covariance, OfTwoPoints) {
  Matrix points(2, 2);
  points(0, 0) = 1.0F;
  points(1, 0) = 3.0F;
  points(1, 1) = 4.0F;

  const auto covariance = covariance_of(centred(points, column_means(points)));

  EXPECT_EQ(covariance, (std::vector<double>{1.0, 2.0, 2.0, 4.0}));
}

}  // namespace
}  // namespace kindling
