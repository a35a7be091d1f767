#include "kindling/train/optimizers.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"

namespace kindling::train {
namespace {

torch::Tensor leaf(std::vector<float> values) {
  return torch::tensor(values, torch::kFloat32).requires_grad_(true);
}

void expect_values(const torch::Tensor& tensor, std::vector<float> expected) {
  ASSERT_EQ(tensor.numel(), static_cast<std::int64_t>(expected.size()));
  const torch::Tensor flat = tensor.detach().reshape({-1});
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(flat[static_cast<std::int64_t>(i)].item<float>(), expected[i], 1e-6F) << i;
  }
}

TEST(Sgd, MovesAgainstTheGradient) {
  torch::Tensor p = leaf({1, 2});
  const auto optimizer = make_optimizer({.kind = "sgd", .learning_rate = 0.5}, {{"p", p}});
  p.mutable_grad() = torch::tensor({2.0F, -4.0F});

  optimizer->step();

  expect_values(p, {0, 4});
}

TEST(Adagrad, AddsEpsOutsideTheRoot) {
  torch::Tensor p = leaf({1});
  const auto optimizer =
      make_optimizer({.kind = "adagrad", .learning_rate = 0.1, .eps = 1.0}, {{"p", p}});

  p.mutable_grad() = torch::tensor({3.0F});
  optimizer->step();  // sum 9: 1 - 0.1 * 3 / (3 + 1)
  expect_values(p, {0.925F});

  p.mutable_grad() = torch::tensor({4.0F});
  optimizer->step();  // sum 25: - 0.1 * 4 / (5 + 1)
  expect_values(p, {0.925F - 0.4F / 6.0F});
}

TEST(Adagrad, PenaltyGradientEntersTheSameAccumulator) {
  torch::Tensor p = leaf({2});
  const auto optimizer = make_optimizer({.kind = "adagrad", .learning_rate = 0.1, .eps = 1.0},
                                        {{"p", p, /*decay=*/0.5}});

  p.mutable_grad() = torch::tensor({2.0F});
  optimizer->step();  // gradient 2 + 0.5 * 2 = 3, sum 9

  expect_values(p, {2.0F - 0.1F * 3.0F / 4.0F});
}

TEST(Adagrad, RowGradientsTouchOnlyTheirRows) {
  torch::Tensor p = torch::ones({3, 2});
  const auto optimizer =
      make_optimizer({.kind = "adagrad", .learning_rate = 0.1, .eps = 1.0}, {{"p", p}});

  optimizer->add_rows("p", torch::tensor({2, 0}, torch::kInt64),
                      torch::tensor({{3.0F, 0.0F}, {0.0F, 1.0F}}));
  optimizer->step();

  expect_values(p, {1, 0.95F, 1, 1, 0.925F, 1});
}

TEST(Adagrad, RowAndDenseGradientsOfAllRowsAgree) {
  torch::Tensor dense = torch::ones({4, 3});
  torch::Tensor rows = torch::ones({4, 3});
  const OptimizerOptions options{.kind = "adagrad", .learning_rate = 0.1, .eps = 1e-3};
  const auto by_tensor = make_optimizer(options, {{"p", dense}});
  const auto by_rows = make_optimizer(options, {{"p", rows}});

  for (int step = 0; step < 3; ++step) {
    const torch::Tensor gradient = torch::cos(torch::arange(12) + step).view({4, 3});
    dense.mutable_grad() = gradient.clone();
    by_tensor->step();
    by_rows->add_rows("p", torch::arange(4), gradient.clone());
    by_rows->step();
  }

  EXPECT_TRUE(torch::equal(dense, rows));
}

TEST(Adam, FirstStepIsTheLearningRate) {
  torch::Tensor p = leaf({1, 1});
  const auto optimizer =
      make_optimizer({.kind = "adam", .learning_rate = 0.1, .eps = 1e-8}, {{"p", p}});
  p.mutable_grad() = torch::tensor({5.0F, -0.01F});

  optimizer->step();

  expect_values(p, {0.9F, 1.1F});
}

TEST(AdamW, DecaysTheWeightsDirectly) {
  torch::Tensor p = leaf({2});
  const auto optimizer =
      make_optimizer({.kind = "adamw", .learning_rate = 0.1, .eps = 1e-8}, {{"p", p, 0.5}});
  p.mutable_grad() = torch::tensor({1.0F});

  optimizer->step();

  expect_values(p, {2.0F * 0.95F - 0.1F});
}

// Every row moves by its momentum, whether or not a step reads it.
TEST(Optimizer, RowGradientsOfAWholeParameterTakeTheDenseStep) {
  for (const char* kind : {"sgd", "adagrad", "adam", "adamw"}) {
    torch::Tensor dense = torch::ones({4, 3});
    torch::Tensor rows = torch::ones({4, 3});
    const OptimizerOptions options{.kind = kind, .learning_rate = 0.1};
    const auto by_tensor = make_optimizer(options, {{"p", dense, 0.01}});
    const auto by_rows = make_optimizer(options, {{"p", rows, 0.01, /*whole=*/true}});

    for (int step = 0; step < 4; ++step) {
      const torch::Tensor some = torch::tensor({step % 3, 3}, torch::kInt64);
      const torch::Tensor gradient = torch::cos(torch::arange(6) + step).view({2, 3});
      dense.mutable_grad() = torch::zeros({4, 3}).index_copy(0, some, gradient);
      by_tensor->step();
      by_rows->add_rows("p", some, gradient.clone());
      by_rows->step();
    }

    EXPECT_TRUE(torch::equal(dense, rows)) << kind;
  }
}

// The kernel of one pass against LibTorch's operations, which take what is not contiguous.
TEST(Adam, TheOnePassIsTheChainOfOperations) {
  for (const char* kind : {"adam", "adamw"}) {
    torch::Tensor packed = torch::ones({5, 4});
    torch::Tensor strided = torch::ones({4, 5}).t();
    const OptimizerOptions options{.kind = kind, .learning_rate = 0.1, .eps = 1e-8};
    const auto one = make_optimizer(options, {{"p", packed, 0.1}});
    const auto chain = make_optimizer(options, {{"p", strided, 0.1}});

    for (int step = 0; step < 5; ++step) {
      const torch::Tensor gradient = torch::cos(torch::arange(20) * (step + 1)).view({5, 4});
      packed.mutable_grad() = gradient.clone();
      strided.mutable_grad() = gradient.clone();
      one->step();
      chain->step();
    }

    EXPECT_TRUE(torch::allclose(packed, strided, 1e-5, 1e-6)) << kind;
  }
}

TEST(Optimizer, LeavesParametersWithoutGradientAlone) {
  torch::Tensor p = leaf({1});
  torch::Tensor q = leaf({1});
  const auto optimizer = make_optimizer({.kind = "adam"}, {{"p", p}, {"q", q}});
  p.mutable_grad() = torch::tensor({1.0F});

  optimizer->step();

  expect_values(q, {1});
}

TEST(Optimizer, ClipScalesDenseAndRowGradientsTogether) {
  torch::Tensor p = leaf({0});
  torch::Tensor table = torch::zeros({2, 1});
  const auto optimizer =
      make_optimizer({.kind = "sgd", .learning_rate = 1.0}, {{"p", p}, {"table", table}});
  p.mutable_grad() = torch::tensor({3.0F});
  optimizer->add_rows("table", torch::tensor({1}, torch::kInt64), torch::tensor({{4.0F}}));

  EXPECT_NEAR(optimizer->gradient_norm(), 5.0, 1e-6);
  optimizer->clip(1.0);
  optimizer->step();

  expect_values(p, {-0.6F});
  expect_values(table, {0, -0.8F});
}

TEST(Optimizer, StateContinuesWhereItWasSaved) {
  for (const char* kind : {"sgd", "adagrad", "adam", "adamw"}) {
    torch::Tensor straight = leaf({1, 2, 3});
    torch::Tensor resumed = leaf({1, 2, 3});
    const auto first = make_optimizer({.kind = kind}, {{"p", straight}});
    auto second = make_optimizer({.kind = kind}, {{"p", resumed}});
    for (int step = 0; step < 4; ++step) {
      if (step == 2) {
        Tensors saved;
        for (const auto& [name, tensor] : second->state()) saved.emplace_back(name, tensor.clone());
        second = make_optimizer({.kind = kind}, {{"p", resumed}});
        second->load_state(saved);
      }
      const torch::Tensor gradient = torch::cos(torch::arange(3) + step);
      straight.mutable_grad() = gradient.clone();
      resumed.mutable_grad() = gradient.clone();
      first->step();
      second->step();
    }
    EXPECT_TRUE(torch::equal(straight, resumed)) << kind;
  }
}

TEST(Optimizer, RefusesAnUnknownKind) {
  try {
    make_optimizer({.kind = "newton"}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
  }
}

}  // namespace
}  // namespace kindling::train
