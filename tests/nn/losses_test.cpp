#include "kindling/nn/losses.h"

#include <cmath>

#include <gtest/gtest.h>
#include <torch/nn/functional/loss.h>

#include "kindling/base/error.h"
#include "tests/support/gradient_check.h"

namespace kindling::nn {
namespace {

torch::Tensor wave(std::int64_t rows, std::int64_t cols, double pace) {
  return torch::cos(torch::arange(rows * cols, torch::kFloat64) * pace).view({rows, cols});
}

torch::Tensor ids(std::vector<std::int64_t> values) { return torch::tensor(values, torch::kInt64); }

struct Catalogue {
  torch::Tensor states = wave(6, 3, 1.1).requires_grad_();
  torch::Tensor items = wave(9, 3, 0.6).requires_grad_();
  torch::Tensor targets = ids({0, 8, 3, 3, 5, 1});
};

TEST(SoftmaxCrossEntropyLoss, ValueAndGradientsEqualLibTorch) {
  const Catalogue wide;
  torch::Tensor states = wide.states.detach().to(torch::kFloat32).requires_grad_();
  torch::Tensor items = wide.items.detach().to(torch::kFloat32).requires_grad_();

  const torch::Tensor loss = softmax_cross_entropy(states, items, wide.targets);
  (loss / 3.0).backward();
  const torch::Tensor expected = torch::nn::functional::cross_entropy(
      wide.states.matmul(wide.items.t()), wide.targets,
      torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum));
  (expected / 3.0).backward();

  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-5);
  EXPECT_TRUE(torch::allclose(states.grad().to(torch::kFloat64), wide.states.grad(), 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(items.grad().to(torch::kFloat64), wide.items.grad(), 1e-5, 1e-6));
}

TEST(SoftmaxCrossEntropyLoss, GradientsMatchFiniteDifferences) {
  const Catalogue all;
  testing::expect_gradient_matches(
      [&] { return softmax_cross_entropy(all.states, all.items, all.targets); },
      {all.states, all.items});
}

TEST(SoftmaxCrossEntropyLoss, AddsABias) {
  const Catalogue all;
  const torch::Tensor bias = wave(9, 1, 0.9).view({9}).requires_grad_();
  testing::expect_gradient_matches(
      [&] { return softmax_cross_entropy(all.states, all.items, all.targets, bias); },
      {all.states, all.items, bias});

  torch::Tensor narrow = bias.detach().to(torch::kFloat32).requires_grad_();
  const torch::Tensor loss =
      softmax_cross_entropy(all.states.detach().to(torch::kFloat32),
                            all.items.detach().to(torch::kFloat32), all.targets, narrow);
  loss.backward();
  bias.mutable_grad() = torch::Tensor();
  const torch::Tensor expected = softmax_cross_entropy(all.states, all.items, all.targets, bias);
  expected.backward();

  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-5);
  EXPECT_TRUE(torch::allclose(narrow.grad().to(torch::kFloat64), bias.grad(), 1e-5, 1e-6));
  EXPECT_GT(narrow.grad().abs().max().item<double>(), 0.1);
}

TEST(SoftmaxCrossEntropyLoss, TakesTransposedTensors) {
  const Catalogue all;
  const torch::Tensor states = all.states.detach().to(torch::kFloat32);
  torch::Tensor items = all.items.detach().to(torch::kFloat32).requires_grad_();
  torch::Tensor turned = items.detach().t().contiguous().t().requires_grad_();
  softmax_cross_entropy(states, items, all.targets).backward();

  softmax_cross_entropy(states, turned, all.targets).backward();

  EXPECT_FALSE(turned.is_contiguous());
  EXPECT_TRUE(torch::equal(turned.grad(), items.grad()));
}

TEST(SoftmaxCrossEntropyLoss, TakesOneRow) {
  const torch::Tensor loss =
      softmax_cross_entropy(torch::zeros({1, 2}), torch::ones({7, 2}), ids({6}));
  EXPECT_NEAR(loss.item<double>(), std::log(7.0), 1e-6);
}

TEST(SoftmaxCrossEntropyLoss, OfNoRowsIsZero) {
  torch::Tensor items = torch::ones({7, 2}).requires_grad_();

  const torch::Tensor loss = softmax_cross_entropy(torch::zeros({0, 2}), items, ids({}));
  loss.backward();

  EXPECT_EQ(loss.item<double>(), 0.0);
  EXPECT_TRUE(torch::equal(items.grad(), torch::zeros({7, 2})));
}

TEST(SoftmaxCrossEntropyLoss, RefusesATargetOutsideTheCatalogue) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const torch::Tensor states = torch::zeros({1, 2}, type);
    const torch::Tensor items = torch::ones({7, 2}, type);
    EXPECT_THROW(softmax_cross_entropy(states, items, ids({7})), Error);
    EXPECT_THROW(softmax_cross_entropy(states, items, ids({-1})), Error);
  }
}

struct Sample {
  torch::Tensor states = wave(5, 3, 1.1).requires_grad_();
  torch::Tensor target_items = wave(5, 3, 0.8).requires_grad_();
  torch::Tensor sampled_items = wave(6, 3, 0.6).requires_grad_();
  torch::Tensor targets = ids({0, 8, 3, 3, 5});
  torch::Tensor sampled = ids({3, 7, 2, 3, 0, 6});
  torch::Tensor target_log_q = torch::linspace(-2.0, -1.0, 5, torch::kFloat64);
  torch::Tensor sampled_log_q = torch::linspace(-3.0, -1.0, 6, torch::kFloat64);

  torch::Tensor loss() const {
    return sampled_softmax_cross_entropy(states, target_items, sampled_items, targets, sampled,
                                         target_log_q, sampled_log_q);
  }
};

TEST(SampledSoftmaxLoss, GradientsMatchFiniteDifferences) {
  const Sample sample;
  testing::expect_gradient_matches([&] { return sample.loss(); },
                                   {sample.states, sample.target_items, sample.sampled_items});
}

TEST(SampledSoftmaxLoss, KernelsAgreeWithLibTorch) {
  const Sample wide;
  Sample narrow;
  for (torch::Tensor* tensor : {&narrow.states, &narrow.target_items, &narrow.sampled_items}) {
    *tensor = tensor->detach().to(torch::kFloat32).requires_grad_();
  }

  const torch::Tensor loss = narrow.loss();
  loss.backward();
  const torch::Tensor expected = wide.loss();
  expected.backward();

  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-5);
  const auto expect_close = [](const torch::Tensor& a, const torch::Tensor& b) {
    EXPECT_TRUE(torch::allclose(a.grad().to(torch::kFloat64), b.grad(), 1e-5, 1e-6));
  };
  expect_close(narrow.states, wide.states);
  expect_close(narrow.target_items, wide.target_items);
  expect_close(narrow.sampled_items, wide.sampled_items);
}

TEST(SampledSoftmaxLoss, EqualsTheFullLossWhenEveryOtherItemIsSampledOnce) {
  const Catalogue all;
  const torch::Tensor everything = torch::arange(9, torch::kInt64);

  const torch::Tensor sampled =
      sampled_softmax_cross_entropy(all.states, all.items.index_select(0, all.targets), all.items,
                                    all.targets, everything, torch::zeros({6}), torch::zeros({9}));

  const torch::Tensor full = softmax_cross_entropy(all.states, all.items, all.targets);
  EXPECT_NEAR(sampled.item<double>(), full.item<double>(), 1e-9);
}

}  // namespace
}  // namespace kindling::nn
