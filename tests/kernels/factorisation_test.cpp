#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"
#include "kindling/kernels/bpr_step.h"
#include "kindling/kernels/implicit_als.h"

namespace kindling::kernels {
namespace {

std::vector<float> random_values(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.normal());
  return values;
}

double bpr_loss(const std::vector<float>& u, const std::vector<float>& p,
                const std::vector<float>& n, double l2) {
  double margin = 0.0;
  double squares = 0.0;
  for (std::size_t c = 0; c < u.size(); ++c) {
    margin += static_cast<double>(u[c]) * (p[c] - n[c]);
    squares += static_cast<double>(u[c]) * u[c] + static_cast<double>(p[c]) * p[c] +
               static_cast<double>(n[c]) * n[c];
  }
  return std::log1p(std::exp(-margin)) + l2 / 2.0 * squares;
}

TEST(BprStep, MovesAgainstTheGradientOfItsLoss) {
  constexpr std::size_t kDim = 19;
  constexpr float kRate = 0.01F;
  const std::vector<std::vector<float>> before = {random_values(kDim, 1), random_values(kDim, 2),
                                                  random_values(kDim, 3)};
  auto after = before;
  std::vector<std::vector<float>> sums(3, std::vector<float>(kDim, 4.0F));

  const float loss = bpr_step({.rate = kRate, .l2 = 0.3F}, kDim, after[0].data(), sums[0].data(),
                              after[1].data(), sums[1].data(), after[2].data(), sums[2].data());

  EXPECT_NEAR(loss, bpr_loss(before[0], before[1], before[2], 0.0), 1e-5);
  for (std::size_t part = 0; part < 3; ++part) {
    for (std::size_t c = 0; c < kDim; ++c) {
      auto up = before;
      auto down = before;
      up[part][c] += 1e-3F;
      down[part][c] -= 1e-3F;
      const double gradient =
          (bpr_loss(up[0], up[1], up[2], 0.3F) - bpr_loss(down[0], down[1], down[2], 0.3F)) / 2e-3;
      const double step = kRate * gradient / std::sqrt(4.0 + gradient * gradient);
      EXPECT_NEAR(after[part][c], before[part][c] - step, 2e-5);
      EXPECT_NEAR(sums[part][c], 4.0 + gradient * gradient, 1e-2);
    }
  }
}

TEST(BprStep, SurvivesLargeMargins) {
  std::vector<float> u = {100.0F};
  std::vector<float> p = {-100.0F};
  std::vector<float> n = {100.0F};
  std::vector<float> sums(3, 0.0F);

  const float loss = bpr_step({}, 1, u.data(), &sums[0], p.data(), &sums[1], n.data(), &sums[2]);

  EXPECT_FLOAT_EQ(loss, 20000.0F);
  EXPECT_TRUE(std::isfinite(u[0]) && std::isfinite(p[0]) && std::isfinite(n[0]));
}

// d/dx of the weighted squares, in double.
std::vector<double> als_gradient(const std::vector<float>& y, std::size_t rows, std::size_t dim,
                                 const std::vector<std::uint32_t>& chosen, double alpha, double l2,
                                 const std::vector<float>& x) {
  std::vector<double> gradient(dim);
  for (std::size_t c = 0; c < dim; ++c) gradient[c] = l2 * x[c];
  for (std::size_t r = 0; r < rows; ++r) {
    double product = 0.0;
    for (std::size_t c = 0; c < dim; ++c) product += static_cast<double>(x[c]) * y[r * dim + c];
    double weight = 1.0;
    double error = product;
    for (const std::uint32_t item : chosen) {
      if (item != r) continue;
      weight = 1.0 + alpha;
      error = product - 1.0;
    }
    for (std::size_t c = 0; c < dim; ++c) gradient[c] += weight * error * y[r * dim + c];
  }
  return gradient;
}

TEST(ImplicitAls, EnoughStepsReachTheMinimum) {
  constexpr std::size_t kRows = 40;
  constexpr std::size_t kDim = 8;
  const auto y = random_values(kRows * kDim, 5);
  const std::vector<std::uint32_t> chosen = {3, 17, 29};
  std::vector<float> gram(kDim * kDim);
  std::vector<float> scratch(3 * kDim);
  std::vector<float> x(kDim, 0.1F);
  als_gram(y.data(), kRows, kDim, 0.5F, gram.data());

  als_solve(gram.data(), y.data(), chosen.data(), chosen.size(), 10.0F, 2 * kDim, kDim,
            scratch.data(), x.data());

  for (const double value : als_gradient(y, kRows, kDim, chosen, 10.0, 0.5, x)) {
    EXPECT_NEAR(value, 0.0, 1e-3);
  }
}

TEST(ImplicitAls, NothingChosenGivesZero) {
  constexpr std::size_t kDim = 4;
  const auto y = random_values(10 * kDim, 6);
  std::vector<float> gram(kDim * kDim);
  std::vector<float> scratch(3 * kDim);
  std::vector<float> x(kDim, 1.0F);
  als_gram(y.data(), 10, kDim, 1.0F, gram.data());

  als_solve(gram.data(), y.data(), nullptr, 0, 10.0F, 2 * kDim, kDim, scratch.data(), x.data());

  for (const float value : x) EXPECT_NEAR(value, 0.0, 1e-4);
}

}  // namespace
}  // namespace kindling::kernels
