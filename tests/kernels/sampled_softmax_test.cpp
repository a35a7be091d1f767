#include "kindling/kernels/sampled_softmax.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

struct Example {
  std::size_t rows, samples, dim;
  std::vector<float> states, target_items, sampled_items, target_log_q, sampled_log_q;
  std::vector<std::int64_t> targets, sampled;

  Example(std::size_t n, std::size_t k, std::size_t d) : rows(n), samples(k), dim(d) {
    Rng rng(6);
    const auto fill = [&](std::size_t count) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(rng.uniform(-1.0, 1.0));
      return values;
    };
    states = fill(n * d);
    target_items = fill(n * d);
    sampled_items = fill(k * d);
    target_log_q = fill(n);
    sampled_log_q = fill(k);
    for (std::size_t i = 0; i < n; ++i) targets.push_back(static_cast<std::int64_t>(rng.below(9)));
    for (std::size_t i = 0; i < k; ++i) sampled.push_back(static_cast<std::int64_t>(rng.below(9)));
  }
  SampledSoftmaxProblem problem() const {
    return {states.data(),
            target_items.data(),
            sampled_items.data(),
            targets.data(),
            sampled.data(),
            target_log_q.data(),
            sampled_log_q.data(),
            rows,
            samples,
            dim};
  }
};

void expect_equal_to_reference(const Example& example, std::size_t block_bytes) {
  std::vector<float> fast[3] = {std::vector<float>(example.rows * example.dim),
                                std::vector<float>(example.rows * example.dim),
                                std::vector<float>(example.samples * example.dim, 3.0F)};
  auto slow = std::vector(std::begin(fast), std::end(fast));

  const double loss = sampled_softmax(
      example.problem(), {fast[0].data(), fast[1].data(), fast[2].data()}, block_bytes);
  const double expected = sampled_softmax_reference(
      example.problem(), {slow[0].data(), slow[1].data(), slow[2].data()});

  EXPECT_NEAR(loss, expected, 1e-6 * (1.0 + expected));
  for (std::size_t part = 0; part < 3; ++part) {
    for (std::size_t i = 0; i < fast[part].size(); ++i) {
      EXPECT_NEAR(fast[part][i], slow[part][i], 2e-6) << part;
    }
  }
}

TEST(SampledSoftmax, AgreesWithTheReference) {
  expect_equal_to_reference(Example(12, 40, 8), std::size_t{1} << 20);
}

TEST(SampledSoftmax, DoesNotDependOnTheBlocks) {
  expect_equal_to_reference(Example(13, 40, 8), 40 * 4 * 5);
}

TEST(SampledSoftmax, LeavesOutASampledClassThatIsTheTarget) {
  Example example(1, 1, 2);
  example.sampled = {example.targets[0]};
  std::vector<float> d_states(2), d_target(2), d_sampled(2);

  const double loss =
      sampled_softmax(example.problem(), {d_states.data(), d_target.data(), d_sampled.data()});

  EXPECT_EQ(loss, 0.0);  // the target stands alone
  EXPECT_EQ(d_states, (std::vector<float>{0.0F, 0.0F}));
  EXPECT_EQ(d_sampled, (std::vector<float>{0.0F, 0.0F}));
}

TEST(SampledSoftmax, LowersALogitByItsLogQ) {
  Example example(1, 1, 1);
  example.states = {0.0F};
  example.targets = {0};
  example.sampled = {1};
  example.target_log_q = {0.0F};
  example.sampled_log_q = {std::log(0.25F)};

  // Logits 0 and -log 0.25 = log 4: the target's share is 1/5.
  EXPECT_NEAR(sampled_softmax(example.problem(), {}), std::log(5.0), 1e-6);
}

TEST(SampledSoftmax, WithoutSamplesIsZero) {
  const Example example(3, 0, 2);
  EXPECT_EQ(sampled_softmax(example.problem(), {}), 0.0);
}

}  // namespace
}  // namespace kindling::kernels
