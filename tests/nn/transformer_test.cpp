// Packed attention, feed-forward and blocks: fast against plain LibTorch, plain against
// differences.
#include "kindling/nn/transformer.h"

#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/nn/attention.h"
#include "kindling/nn/gather_dot.h"
#include "kindling/nn/tensors.h"
#include "tests/support/gradient_check.h"

namespace kindling::nn {
namespace {

const std::vector<std::int64_t> kPacked = {0, 3, 4, 13};

torch::Tensor waves(torch::IntArrayRef shape, double phase) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (torch::arange(count, torch::kFloat64) + phase).cos().view(shape);
}

// Values and gradients of `fast` in float equal those of `plain` in double.
void expect_same(const std::function<torch::Tensor(const std::vector<torch::Tensor>&)>& fast,
                 const std::function<torch::Tensor(const std::vector<torch::Tensor>&)>& plain,
                 const std::vector<torch::Tensor>& inputs) {
  std::vector<torch::Tensor> singles;
  std::vector<torch::Tensor> doubles;
  for (const torch::Tensor& input : inputs) {
    singles.push_back(input.to(torch::kFloat32).clone().requires_grad_(true));
    doubles.push_back(input.clone().requires_grad_(true));
  }

  const torch::Tensor a = fast(singles);
  const torch::Tensor b = plain(doubles);
  (a * waves(a.sizes(), 0.5).to(torch::kFloat32)).sum().backward();
  (b * waves(b.sizes(), 0.5)).sum().backward();

  EXPECT_LT((a - b).abs().max().item<double>(), 1e-5);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const double size = 1.0 + doubles[i].grad().abs().max().item<double>();
    EXPECT_LT((singles[i].grad() - doubles[i].grad()).abs().max().item<double>(), 1e-5 * size) << i;
  }
}

TEST(Attention, FusedEqualsPaddedLibTorch) {
  for (const bool causal : {false, true}) {
    for (const bool last_only : {false, true}) {
      for (const double p : {0.0, 0.5}) {
        const AttentionOptions options{2, causal, last_only, p, 31};
        expect_same([&](const auto& in) { return fused_attention(in[0], kPacked, options); },
                    [&](const auto& in) { return plain_attention(in[0], kPacked, options); },
                    {waves({13, 24}, 0.0)});
      }
    }
  }
}

TEST(Attention, PaddedLibTorchHasTheRightGradient) {
  const std::vector<std::int64_t> offsets = {0, 2, 5};
  const torch::Tensor qkv = waves({5, 6}, 1.0).requires_grad_(true);
  const AttentionOptions options{1, true, false, 0.3, 5};

  testing::expect_gradient_matches(
      [&] {
        return (plain_attention(qkv, offsets, options) * waves({5, 2}, 0.3)).sum();
      },
      {qkv});
}

TEST(Attention, IsWhatLibTorchsOwnLayerGivesOnOneSequence) {
  const torch::Tensor qkv = waves({4, 12}, 0.0);
  const auto heads = [&](std::int64_t which) {
    return qkv.view({4, 3, 2, 2}).select(1, which).transpose(0, 1);
  };
  const torch::Tensor weights =
      (heads(0).matmul(heads(1).transpose(1, 2)) / std::sqrt(2.0)).softmax(2);
  const torch::Tensor wanted = weights.matmul(heads(2)).transpose(0, 1).reshape({4, 4});

  const torch::Tensor found = plain_attention(qkv, std::vector<std::int64_t>{0, 4}, {2});

  EXPECT_LT((wanted - found).abs().max().item<double>(), 1e-12);
}

TEST(FeedForward, FusedEqualsLibTorch) {
  for (const auto activation :
       {kernels::Activation::kGelu, kernels::Activation::kGeluTanh, kernels::Activation::kRelu}) {
    for (const bool first : {false, true}) {
      const FeedForwardOptions options{activation, 0.4, first, 77};
      expect_same(
          [&](const auto& in) {
            return fused_feed_forward(in[0], {in[1], in[2], in[3], in[4]}, options);
          },
          [&](const auto& in) {
            return plain_feed_forward(in[0], {in[1], in[2], in[3], in[4]}, options);
          },
          {waves({9, 4}, 0.1), waves({7, 4}, 0.2), waves({7}, 0.3), waves({4, 7}, 0.4),
           waves({4}, 0.5)});
    }
  }
}

TEST(FeedForward, AddsUpManyBlocksOfRows) {
  const FeedForwardOptions options{};
  expect_same(
      [&](const auto& in) {
        return fused_feed_forward(in[0], {in[1], in[2], in[3], in[4]}, options);
      },
      [&](const auto& in) {
        return plain_feed_forward(in[0], {in[1], in[2], in[3], in[4]}, options);
      },
      {waves({600, 2}, 0.1), waves({3, 2}, 0.2), waves({3}, 0.3), waves({2, 3}, 0.4),
       waves({2}, 0.5)});
}

TEST(FeedForward, LibTorchsPathHasTheRightGradient) {
  const torch::Tensor x = waves({3, 2}, 0.1).requires_grad_(true);
  const torch::Tensor w1 = waves({4, 2}, 0.2).requires_grad_(true);
  const torch::Tensor b1 = waves({4}, 0.3).requires_grad_(true);
  const torch::Tensor w2 = waves({2, 4}, 0.4).requires_grad_(true);
  const torch::Tensor b2 = waves({2}, 0.5).requires_grad_(true);
  const FeedForwardOptions options{kernels::Activation::kGeluTanh, 0.3, true, 3};

  testing::expect_gradient_matches(
      [&] {
        return (plain_feed_forward(x, {w1, b1, w2, b2}, options) * waves({3, 2}, 0.7)).sum();
      },
      {x, w1, b1, w2, b2});
}

TEST(GatherDot, FusedEqualsLibTorch) {
  const torch::Tensor ids = torch::tensor({0, 1, 2, 2, 4, 4}, torch::kInt64).view({3, 2});
  const auto scores = [&](const auto& in) { return gather_dot(in[0], in[1], ids); };

  expect_same(scores, scores, {waves({3, 4}, 0.1), waves({5, 4}, 0.2)});
}

TEST(GatherDot, RefusesACandidateThatIsNoItem) {
  const torch::Tensor ids = torch::tensor({5}, torch::kInt64).view({1, 1});

  EXPECT_THROW(gather_dot(torch::zeros({1, 4}), torch::zeros({5, 4}), ids), Error);
}

TEST(SampledSoftmax, OfEqualScoresIsTheLogOfTheirNumber) {
  EXPECT_NEAR(sampled_softmax_mean(torch::zeros({3, 21})).item<double>(), std::log(21.0), 1e-6);
}

class Forms : public ::testing::TestWithParam<BlockForm> {};

TEST_P(Forms, InFloatEqualsInDouble) {
  BlockOptions options{.dim = 6, .heads = 2, .hidden = 10, .form = GetParam(), .causal = true};
  options.attention_dropout = options.middle_dropout = options.feed_out_dropout = 0.3;
  Rng rng(1);
  TransformerBlock block(options, rng);
  TransformerBlock wide(options, rng);
  load_parameters(wide, named_parameters(block));
  wide.to(torch::kFloat64);
  const torch::Tensor x = waves({13, 6}, 0.0);
  Rng one(5);
  Rng two(5);

  const torch::Tensor a = block.forward(x.to(torch::kFloat32), kPacked, one);
  const torch::Tensor b = wide.forward(x, kPacked, two);

  EXPECT_LT((a - b).abs().max().item<double>(), 1e-4);
}

TEST_P(Forms, CausalBlocksDoNotSeeTheFuture) {
  const BlockOptions options{
      .dim = 6, .heads = 2, .hidden = 10, .form = GetParam(), .causal = true};
  Rng rng(2);
  TransformerBlock block(options, rng);
  block.eval();
  const std::vector<std::int64_t> offsets = {0, 4};
  torch::Tensor x = waves({4, 6}, 0.0).to(torch::kFloat32);
  const torch::Tensor before = block.forward(x, offsets, rng);

  x[3] += 1.0;
  const torch::Tensor after = block.forward(x, offsets, rng);

  EXPECT_TRUE(torch::equal(before.narrow(0, 0, 3), after.narrow(0, 0, 3)));
  EXPECT_FALSE(torch::equal(before[3], after[3]));
}

INSTANTIATE_TEST_SUITE_P(All, Forms,
                         ::testing::Values(BlockForm::kPostNorm, BlockForm::kPreNorm,
                                           BlockForm::kSasRec));

TEST(TransformerBlock, HasTheRightGradient) {
  const BlockOptions options{.dim = 4, .heads = 2, .hidden = 5, .causal = true, .epsilon = 1e-3};
  Rng rng(3);
  TransformerBlock block(options, rng);
  block.to(torch::kFloat64);
  const torch::Tensor x = waves({3, 4}, 0.0).requires_grad_(true);
  const std::vector<std::int64_t> offsets = {0, 1, 3};
  std::vector<torch::Tensor> inputs = block.parameters();
  inputs.push_back(x);

  testing::expect_gradient_matches(
      [&] {
        Rng dropouts(4);
        return (block.forward(x, offsets, dropouts) * waves({3, 4}, 0.4)).sum();
      },
      inputs);
}

TEST(TransformerBlock, LastOnlyIsTheLastRowOfAll) {
  const BlockOptions options{.dim = 6, .heads = 2, .hidden = 10};
  Rng rng(4);
  TransformerBlock block(options, rng);
  block.eval();
  const torch::Tensor x = waves({13, 6}, 0.0).to(torch::kFloat32);

  const torch::Tensor all = block.feed(block.attend(x, kPacked, rng), rng);
  const torch::Tensor last = block.feed(block.attend(x, kPacked, rng, true), rng);

  const torch::Tensor wanted = all.index_select(0, torch::tensor({2, 3, 12}, torch::kInt64));
  EXPECT_LT((wanted - last).abs().max().item<double>(), 1e-5);
}

TEST(TransformerBlock, LastOnlyIsTheLastRowOfAllInThePreFormToo) {
  const BlockOptions options{.dim = 4, .heads = 2, .hidden = 5, .form = BlockForm::kPreNorm};
  Rng rng(4);
  TransformerBlock block(options, rng);
  block.to(torch::kFloat64);
  const torch::Tensor x = waves({5, 4}, 0.0).requires_grad_(true);
  const std::vector<std::int64_t> offsets = {0, 2, 5};
  const auto last = [&] { return block.feed(block.attend(x, offsets, rng, true), rng); };

  const torch::Tensor wanted =
      block.forward(x, offsets, rng).index_select(0, torch::tensor({1, 4}, torch::kInt64));

  EXPECT_LT((wanted - last()).abs().max().item<double>(), 1e-12);
  std::vector<torch::Tensor> inputs = block.parameters();
  inputs.push_back(x);
  testing::expect_gradient_matches([&] { return (last() * waves({2, 4}, 0.4)).sum(); }, inputs);
}

TEST(TransformerBlock, RefusesHeadsThatDoNotDivideTheWidth) {
  Rng rng(5);
  try {
    TransformerBlock block({.dim = 6, .heads = 4}, rng);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
  }
}

}  // namespace
}  // namespace kindling::nn
