#include "kindling/kernels/decayed_mean.h"

#include <vector>

#include <gtest/gtest.h>

namespace kindling::kernels {
namespace {

// Two sequences of lengths 3 and 1, one column; the first step of each is a dummy.
const std::vector<std::int64_t> kOffsets{0, 3, 4};
const std::vector<std::uint8_t> kKnown{0, 1, 1, 0};
const std::vector<double> kX{5.0, 2.0, 8.0, 7.0};

TEST(DecayedMean, WeighsOlderStepsLessAndLeavesTheDummyOut) {
  std::vector<double> y(4);
  std::vector<double> weight(4);

  decayed_mean_forward<double>(kOffsets, 1, 0.5, kX.data(), kKnown.data(), {}, y.data(),
                               weight.data(), {});

  // (8 + 0.5 * 2) / 1.5 = 6; the dummies stand for themselves.
  EXPECT_EQ(y, (std::vector<double>{5.0, 2.0, 6.0, 7.0}));
  EXPECT_EQ(weight, (std::vector<double>{0.0, 1.0, 1.5, 0.0}));
}

TEST(DecayedMean, WithoutDecayIsTheLastKnownStep) {
  std::vector<float> x{5.0F, 2.0F, 8.0F, 7.0F};
  std::vector<float> y(4);
  std::vector<float> weight(4);

  decayed_mean_forward<float>(kOffsets, 1, 0.0F, x.data(), kKnown.data(), {}, y.data(),
                              weight.data(), {});

  EXPECT_EQ(y, x);
}

TEST(DecayedMean, GoesOnFromTheSumsOfAnEarlierWindow) {
  std::vector<double> y(4);
  std::vector<double> weight(4);
  std::vector<double> sums(2);
  std::vector<double> weights(2);
  const std::vector<std::int64_t> first{0, 2, 3};
  const std::vector<double> first_x{5.0, 2.0, 7.0};
  const std::vector<std::uint8_t> first_known{0, 1, 0};
  decayed_mean_forward<double>(first, 1, 0.5, first_x.data(), first_known.data(), {}, y.data(),
                               weight.data(), {sums.data(), weights.data()});

  const std::vector<std::int64_t> second{0, 1};
  const double x = 8.0;
  const std::uint8_t known = 1;
  decayed_mean_forward<double>(second, 1, 0.5, &x, &known, {sums.data(), weights.data()}, y.data(),
                               weight.data(), {});

  EXPECT_DOUBLE_EQ(y[0], 6.0);
}

TEST(DecayedMean, BackwardMatchesDifferences) {
  const std::vector<double> d_y{0.3, -1.0, 2.0, 0.7};
  const auto loss = [&](const std::vector<double>& x) {
    std::vector<double> y(4);
    std::vector<double> weight(4);
    decayed_mean_forward<double>(kOffsets, 1, 0.5, x.data(), kKnown.data(), {}, y.data(),
                                 weight.data(), {});
    double sum = 0.0;
    for (std::size_t n = 0; n < 4; ++n) sum += d_y[n] * y[n];
    return sum;
  };
  std::vector<double> y(4);
  std::vector<double> weight(4);
  decayed_mean_forward<double>(kOffsets, 1, 0.5, kX.data(), kKnown.data(), {}, y.data(),
                               weight.data(), {});

  std::vector<double> d_x(4);
  decayed_mean_backward<double>(kOffsets, 1, 0.5, d_y.data(), kKnown.data(), weight.data(),
                                d_x.data());

  for (std::size_t n = 0; n < 4; ++n) {
    std::vector<double> above = kX;
    std::vector<double> below = kX;
    above[n] += 1e-6;
    below[n] -= 1e-6;
    EXPECT_NEAR(d_x[n], (loss(above) - loss(below)) / 2e-6, 1e-8) << n;
  }
}

}  // namespace
}  // namespace kindling::kernels
