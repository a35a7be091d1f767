// Steps of Adam without a gradient at once, against the same steps one by one in double.
#include "kindling/kernels/adam_coasting.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace kindling::kernels {
namespace {

using Options = AdamCoasting::Options;

struct State {
  double p = 0.0;
  double m = 0.0;
  double v = 0.0;
};

// Σ over steps first + 1 … last, one by one.
State reference(State at, const Options& o, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first + 1; t <= last; ++t) {
    at.m *= o.beta1;
    at.v *= o.beta2;
    const auto count = static_cast<double>(t);
    const double mean = at.m / (1.0 - std::pow(o.beta1, count));
    const double square = at.v / (1.0 - std::pow(o.beta2, count));
    at.p -= o.learning_rate * mean / (std::sqrt(square) + o.eps);
  }
  return at;
}

AdamCoasting after(const Options& options, std::int64_t steps) {
  AdamCoasting all(options);
  while (all.steps() < steps) all.next();
  return all;
}

// √v from nothing over eps to far above it. p begins at 0, so that the move is all there is.
void expect_moves(const Options& options, double tolerance) {
  for (const std::int64_t first : {1, 5, 47, 48, 100, 3000}) {
    for (const std::int64_t gap : {1, 2, 3, 4, 9, 30, 100, 256}) {
      AdamCoasting past = after(options, first + gap);
      std::vector<float> p, m, v;
      for (double ratio = 1e-6; ratio < 1e13; ratio *= 10.0) {
        const double root = ratio < 1e-5 ? 0.0 : ratio * options.eps;
        p.push_back(0.0F);
        m.push_back(static_cast<float>(0.3 * (root + options.eps)));
        v.push_back(static_cast<float>(root * root));
      }
      std::vector<State> expected;
      for (std::size_t i = 0; i < p.size(); ++i) {
        expected.push_back(reference({p[i], m[i], v[i]}, options, first, first + gap));
      }
      past.catch_up(p.data(), m.data(), v.data(), p.size(), first, first + gap);
      for (std::size_t i = 0; i < p.size(); ++i) {
        const auto what = ::testing::Message() << first << ' ' << gap << ' ' << i;
        EXPECT_NEAR(p[i] / expected[i].p, 1.0, tolerance) << what;
        EXPECT_NEAR(m[i], expected[i].m, 2e-5 * std::fabs(expected[i].m) + 1e-37) << what;
        EXPECT_NEAR(v[i], expected[i].v, 2e-5 * expected[i].v + 1e-37) << what;
      }
    }
  }
}

TEST(AdamCoasting, MovesAsTheStepsOneByOneDo) {
  expect_moves({.beta1 = 0.9, .beta2 = 0.98, .eps = 1e-9}, 1e-5);
  expect_moves({.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}, 1e-5);
  expect_moves({.beta1 = 0.99, .beta2 = 0.999, .eps = 1e-8}, 2e-5);
  expect_moves({.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-7}, 1e-5);
}

TEST(AdamCoasting, TakesTheStepsOneByOneWhereWeightsFadeSlowly) {
  expect_moves({.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-9}, 1e-5);
  expect_moves({.beta1 = 0.9, .beta2 = 0.5, .eps = 1e-9}, 1e-5);
}

// Behind few steps and behind many, where the quadrature has no weight at all.
TEST(AdamCoasting, WithoutMomentumNothingMoves) {
  for (const std::int64_t first : {3, 60}) {
    AdamCoasting past = after({.beta1 = 0.0, .beta2 = 0.98}, first + 9);
    float p[2] = {1.5F, 2.5F};
    float m[2] = {0.1F, 0.0F};
    float v[2] = {0.01F, 0.0F};

    past.catch_up(p, m, v, 2, first, first + 9);

    EXPECT_EQ(p[0], 1.5F) << first;
    EXPECT_EQ(p[1], 2.5F) << first;
    EXPECT_EQ(m[0], 0.0F) << first;
  }
}

}  // namespace
}  // namespace kindling::kernels
