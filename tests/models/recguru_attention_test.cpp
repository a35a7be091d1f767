// The attention over RecGURU's user vector, written out by option.
#include <vector>

#include <gtest/gtest.h>

#include "kindling/models/recguru/net.h"

namespace kindling::recguru {
namespace {

class FullAttention : public ::testing::TestWithParam<bool> {};

TEST_P(FullAttention, EqualsTheShortcut) {
  Options options;
  options.dim = 8;
  options.layers = 2;
  options.hidden = 12;
  options.dropout = 0.4;
  Rng start(1);
  Decoder shortcut(options, true, start);
  options.user_attention = "full";
  Rng again(1);
  Decoder full(options, true, again);
  EXPECT_EQ(full.parameters().size(), shortcut.parameters().size() + 4);  // W_q, W_k
  shortcut.train(GetParam());
  full.train(GetParam());
  const std::vector<std::int64_t> offsets = {0, 2, 5};
  const std::vector<std::int64_t> keys = {3, 4};
  const torch::Tensor x = torch::arange(40, torch::kFloat32).cos().view({5, 8});
  const torch::Tensor h = torch::arange(16, torch::kFloat32).sin().view({2, 8});
  Rng one(9);
  Rng two(9);

  const torch::Tensor fast = shortcut.forward(x, offsets, h, keys, one);
  const torch::Tensor slow = full.forward(x, offsets, h, keys, two);

  EXPECT_LT((fast - slow).abs().max().item<double>(), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(TrainingAndNot, FullAttention, ::testing::Bool());

}  // namespace
}  // namespace kindling::recguru
