#include "kindling/nn/tensors.h"

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/nn/gru.h"
#include "kindling/nn/sessions.h"

namespace kindling::nn {
namespace {

TEST(Tensors, BorrowTheMemoryOfAMatrix) {
  Matrix matrix(2, 3);
  const torch::Tensor tensor = borrow_matrix(matrix);

  matrix(1, 2) = 7.0F;

  EXPECT_EQ(tensor[1][2].item<float>(), 7.0F);
  EXPECT_EQ(to_matrix(tensor)(1, 2), 7.0F);
}

TEST(Parameters, AreRestoredByName) {
  Rng first(1);
  Rng second(2);
  const Gru from(3, 2, first);
  Gru to(3, 2, second);

  load_parameters(to, named_parameters(from));

  const auto parameters = to.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(torch::equal(parameters[i], from.parameters()[i]));
  }
}

TEST(Parameters, OfAnotherShapeOrNameAreRefused) {
  Rng rng(1);
  Gru gru(3, 2, rng);
  EXPECT_THROW(load_parameters(gru, named_parameters(Gru(4, 2, rng))), Error);
  EXPECT_THROW(load_parameters(gru, {}), Error);
  auto extra = named_parameters(gru);
  extra.emplace_back("more", torch::zeros({1}));
  EXPECT_THROW(load_parameters(gru, extra), Error);
}

TEST(FusedGru, EqualsLibTorchWithStartStates) {
  Rng rng(4);
  const Gru gru(3, 2, rng);
  const auto named = gru.named_parameters();
  const GruParameters p{named["input"], named["hidden"], named["input_bias"], named["hidden_bias"]};
  const std::vector<std::int64_t> offsets{0, 2, 2, 7};
  const torch::Tensor x = torch::cos(torch::arange(21.0)).view({7, 3});
  torch::Tensor start = torch::sin(torch::arange(6.0)).view({3, 2}).requires_grad_();
  torch::Tensor fused_last, plain_last;

  const torch::Tensor fused = fused_gru(x, offsets, start, p, &fused_last);
  fused.sum().backward();
  const torch::Tensor gradient = start.grad().clone();
  start.mutable_grad() = torch::Tensor();
  const torch::Tensor plain = plain_gru(x, offsets, start, p, &plain_last);
  plain.sum().backward();

  EXPECT_TRUE(torch::allclose(fused, plain, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(fused_last, plain_last, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(gradient, start.grad(), 1e-5, 1e-6));
  EXPECT_TRUE(torch::equal(fused_last[1], start.detach()[1]));
}

TEST(Sessions, BeginAtMarksAndAtTheFirstStep) {
  SequenceBatch batch;
  batch.offsets = {0, 3, 5};
  batch.session_start = {1, 0, 1, 0, 0};

  const SessionPlan plan = plan_sessions(batch, {});

  EXPECT_EQ(plan.first, (std::vector<std::int64_t>{0, 2, 3}));
  EXPECT_EQ(plan.of_step, (std::vector<std::int64_t>{0, 0, 1, 2, 2}));
  EXPECT_EQ(plan.begin, (std::vector<std::int64_t>{0, 2, 3, 5}));
  EXPECT_EQ(plan.starts, (std::vector<float>{1, 0, 1, 1, 0}));
}

TEST(Sessions, GoOnFromTheWindowBefore) {
  SequenceBatch batch;
  batch.offsets = {0, 2, 3};
  batch.session_start = {0, 1, 1};
  const std::vector<std::uint8_t> open{1, 1};

  const SessionPlan plan = plan_sessions(batch, open);

  EXPECT_EQ(plan.of_step, (std::vector<std::int64_t>{0, 1, 3}));
  EXPECT_EQ(plan.begin, (std::vector<std::int64_t>{0, 1, 2, 2, 3}));
}

}  // namespace
}  // namespace kindling::nn
