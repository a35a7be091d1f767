// The kernels of packed transformer training against their references; their gradients are proved
// in tests/nn/transformer_test.cpp.
#include "kindling/kernels/packed_attention.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/kernels/feed_forward.h"
#include "kindling/kernels/gather_dot.h"

namespace kindling::kernels {
namespace {

std::vector<float> draw(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.normal());
  return values;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], tolerance * (1.0 + std::fabs(b[i]))) << i;
  }
}

const std::vector<std::int64_t> kOffsets = {0, 3, 4, 21, 28};

PackedAttention small_problem(bool causal, bool last_only, double dropout) {
  PackedAttention problem;
  problem.offsets = kOffsets;
  problem.heads = 2;
  problem.width = 5;
  problem.causal = causal;
  problem.last_only = last_only;
  problem.dropout = dropout;
  problem.seed = 99;
  return problem;
}

TEST(PackedAttention, AgreesWithTheReference) {
  const std::vector<float> qkv = draw(28 * 30, 1);
  for (const bool causal : {false, true}) {
    for (const bool last_only : {false, true}) {
      for (const double p : {0.0, 0.4}) {
        const PackedAttention problem = small_problem(causal, last_only, p);
        std::vector<float> out(problem.queries() * 10);
        std::vector<float> wanted(out.size());

        packed_attention(problem, qkv.data(), out.data(), nullptr);
        packed_attention_reference(problem, qkv.data(), wanted.data());

        expect_near(out, wanted, 1e-5);
      }
    }
  }
}

TEST(PackedAttention, ASequenceOfOneGivesItsOwnValue) {
  const std::vector<std::int64_t> offsets = {0, 1};
  PackedAttention problem;
  problem.offsets = offsets;
  problem.width = 2;
  const std::vector<float> qkv = {1, 2, 3, 4, 5, 6};
  std::vector<float> out(2);

  packed_attention(problem, qkv.data(), out.data(), nullptr);

  EXPECT_EQ(out, (std::vector<float>{5, 6}));
}

TEST(PackedAttention, LastOnlyEqualsTheLastRowsOfAll) {
  const std::vector<float> qkv = draw(28 * 30, 2);
  const PackedAttention all = small_problem(true, false, 0.3);
  const PackedAttention last = small_problem(true, true, 0.3);
  std::vector<float> every(280);
  std::vector<float> some(40);

  packed_attention(all, qkv.data(), every.data(), nullptr);
  packed_attention(last, qkv.data(), some.data(), nullptr);

  for (std::size_t b = 0; b < 4; ++b) {
    const auto row = static_cast<std::size_t>(kOffsets[b + 1] - 1);
    for (std::size_t d = 0; d < 10; ++d) EXPECT_EQ(some[b * 10 + d], every[row * 10 + d]);
  }
}

TEST(PackedAttention, RefusesAnEmptySequenceWithoutALastRow) {
  const std::vector<std::int64_t> offsets = {0, 2, 2};
  PackedAttention problem;
  problem.offsets = offsets;
  problem.last_only = true;
  const std::vector<float> qkv = draw(6, 3);
  std::vector<float> out(2);

  EXPECT_THROW(packed_attention(problem, qkv.data(), out.data(), nullptr), Error);
}

TEST(PackedAttention, GivesTheSameForAnyNumberOfThreads) {
  const std::vector<float> qkv = draw(28 * 30, 4);
  const PackedAttention problem = small_problem(false, false, 0.5);
  std::vector<float> one(280);
  std::vector<float> two(280);
  const int kept = threads();

  set_threads(1);
  packed_attention(problem, qkv.data(), one.data(), nullptr);
  set_threads(2);
  packed_attention(problem, qkv.data(), two.data(), nullptr);
  set_threads(kept);

  EXPECT_EQ(one, two);
}

TEST(DropoutShares, AreTheWeightsOfEqualKeys) {
  // Attention over equal keys and values v gives share · v.
  const std::vector<std::int64_t> offsets = {0, 4};
  PackedAttention problem;
  problem.offsets = offsets;
  problem.heads = 2;
  problem.width = 1;
  problem.dropout = 0.5;
  problem.seed = 7;
  const std::vector<float> qkv(4 * 6, 1.0F);
  std::vector<float> out(8);
  std::vector<float> shares(8);

  packed_attention(problem, qkv.data(), out.data(), nullptr);
  dropout_shares(problem, std::vector<std::int64_t>{4}, shares.data());

  expect_near(out, shares, 1e-6);
}

TEST(FeedForward, AgreesWithTheReference) {
  const std::vector<float> x = draw(300 * 6, 1);
  const std::vector<float> w1 = draw(9 * 6, 2);
  const std::vector<float> b1 = draw(9, 3);
  const std::vector<float> w2 = draw(6 * 9, 4);
  const std::vector<float> b2 = draw(6, 5);
  for (const Activation activation :
       {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
    for (const bool first : {false, true}) {
      const FeedForward problem{300, 6, 9, activation, 0.25, first, 5};
      const FeedForwardWeights weights{w1.data(), b1.data(), w2.data(), b2.data()};
      std::vector<float> y(x.size());
      std::vector<float> wanted(x.size());

      feed_forward(problem, weights, x.data(), nullptr, y.data());
      feed_forward_reference(problem, weights, x.data(), wanted.data());

      expect_near(y, wanted, 1e-5);
    }
  }
}

TEST(GatherDot, AgreesWithTheReference) {
  const std::vector<float> states = draw(70 * 9, 1);
  const std::vector<float> items = draw(11 * 9, 2);
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 70 * 4; ++i) ids.push_back(i * 7 % 11);
  const GatherDot problem{states.data(), items.data(), ids.data(), 70, 4, 9};
  std::vector<float> scores(ids.size());
  std::vector<float> wanted(ids.size());

  gather_dot(problem, scores.data());
  gather_dot_reference(problem, wanted.data());

  expect_near(scores, wanted, 1e-5);
}

TEST(GatherDot, BackwardAddsEachRowsShareToItsItems) {
  const std::vector<float> states = {1, 2, 3, 4};
  const std::vector<float> items = {5, 6, 7, 8};
  const std::vector<std::int64_t> ids = {0, 1, 1, 1};
  const std::vector<float> d_scores = {1, 10, 2, 3};
  const GatherDot problem{states.data(), items.data(), ids.data(), 2, 2, 2};
  std::vector<float> d_states(4);
  std::vector<float> d_items(4);

  gather_dot_backward(problem, d_scores.data(), d_states.data(), d_items.data());

  EXPECT_EQ(d_states, (std::vector<float>{75, 86, 35, 40}));
  EXPECT_EQ(d_items, (std::vector<float>{1, 2, 25, 40}));
}

}  // namespace
}  // namespace kindling::kernels
