// What every user network promises, then what is special to some.
#include "kindling/nn/user_network.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/nn/tensors.h"
#include "tests/support/gradient_check.h"

namespace kindling::nn {
namespace {

constexpr std::int64_t kDim = 4;

// Sequences of the given lengths with session marks and gaps that vary.
SequenceBatch batch_of(const std::vector<std::int64_t>& lengths) {
  SequenceBatch batch;
  for (const std::int64_t length : lengths) {
    for (std::int64_t t = 0; t < length; ++t) {
      batch.inputs.push_back(t == 0 ? kDummyItem : t);
      batch.session_start.push_back(t == 0 || t % 3 == 1 ? 1 : 0);
      batch.gap_bucket.push_back(static_cast<std::uint8_t>((t * 5) % 16));
    }
    batch.offsets.push_back(batch.offsets.back() + length);
  }
  return batch;
}

// Steps [from, to) of each sequence, as far as it has them.
SequenceBatch window(const SequenceBatch& batch, std::int64_t from, std::int64_t to,
                     std::vector<std::int64_t>& rows) {
  SequenceBatch part;
  for (std::size_t b = 0; b + 1 < batch.offsets.size(); ++b) {
    const std::int64_t end = std::min(batch.offsets[b] + to, batch.offsets[b + 1]);
    for (std::int64_t n = batch.offsets[b] + from; n < end; ++n) {
      const auto at = static_cast<std::size_t>(n);
      rows.push_back(n);
      part.inputs.push_back(batch.inputs[at]);
      part.session_start.push_back(batch.session_start[at]);
      part.gap_bucket.push_back(batch.gap_bucket[at]);
    }
    part.offsets.push_back(part.steps());
  }
  return part;
}

torch::Tensor wave(std::int64_t rows, double pace) {
  return torch::cos(torch::arange(rows * kDim, torch::kFloat64) * pace).view({rows, kDim});
}

struct Case {
  const char* name;
  UserNetworkOptions options;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class UserNetworkContract : public ::testing::TestWithParam<Case> {
 protected:
  std::shared_ptr<UserNetwork> make() const {
    Rng rng(3);
    auto network = make_user_network(GetParam().options, rng);
    network->eval();
    return network;
  }
  Rng rng_{1};
};

TEST_P(UserNetworkContract, GradientsMatchFiniteDifferences) {
  const auto network = make();
  network->to(torch::kFloat64);
  const SequenceBatch batch = batch_of({5, 1, 4});
  torch::Tensor x = wave(10, 1.3).requires_grad_();
  std::vector<torch::Tensor> inputs = network->parameters();
  inputs.push_back(x);

  testing::expect_gradient_matches(
      [&] { return (network->forward(x, batch, nullptr, rng_) * wave(10, 0.7)).sum(); }, inputs);
}

TEST_P(UserNetworkContract, KernelsAgreeWithLibTorch) {
  const auto fused = make();
  const auto plain = make();
  plain->to(torch::kFloat64);
  const SequenceBatch batch = batch_of({3, 9, 1, 6});
  torch::Tensor x = wave(19, 1.3).to(torch::kFloat32).requires_grad_();
  torch::Tensor wide = x.detach().to(torch::kFloat64).requires_grad_();

  const torch::Tensor states = fused->forward(x, batch, nullptr, rng_);
  const torch::Tensor expected = plain->forward(wide, batch, nullptr, rng_);
  (states * wave(19, 0.7).to(torch::kFloat32)).sum().backward();
  (expected * wave(19, 0.7)).sum().backward();

  EXPECT_TRUE(torch::allclose(states.to(torch::kFloat64), expected, 1e-5, 1e-5));
  EXPECT_TRUE(torch::allclose(x.grad().to(torch::kFloat64), wide.grad(), 1e-4, 1e-5));
  const auto parameters = fused->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(torch::allclose(parameters[i].grad().to(torch::kFloat64),
                                plain->parameters()[i].grad(), 1e-4, 1e-5))
        << fused->named_parameters().keys()[i];
  }
}

TEST_P(UserNetworkContract, WindowsWithCarriedStateEqualOnePass) {
  const torch::NoGradGuard no_gradients;
  const auto network = make();
  const SequenceBatch batch = batch_of({11, 2, 7, 0, 5});
  const torch::Tensor x = wave(25, 1.3).to(torch::kFloat32);
  const torch::Tensor whole = network->forward(x, batch, nullptr, rng_);

  NetworkState state;
  for (const auto& [from, to] : {std::pair{0, 4}, std::pair{4, 6}, std::pair{6, 99}}) {
    std::vector<std::int64_t> rows;
    const SequenceBatch part = window(batch, from, to, rows);
    const torch::Tensor at = index_tensor(rows, torch::kCPU);
    const torch::Tensor states = network->forward(x.index_select(0, at), part, &state, rng_);
    EXPECT_TRUE(torch::allclose(states, whole.index_select(0, at), 1e-5, 1e-5)) << from;
  }
}

TEST_P(UserNetworkContract, CarriedRowsBelongToTheSequences) {
  const torch::NoGradGuard no_gradients;
  const auto network = make();
  const SequenceBatch batch = batch_of({9, 4});
  const torch::Tensor x = wave(13, 1.3).to(torch::kFloat32);
  const torch::Tensor whole = network->forward(x, batch, nullptr, rng_);
  NetworkState state;
  std::vector<std::int64_t> rows;
  const SequenceBatch first = window(batch, 0, 4, rows);
  network->forward(x.index_select(0, index_tensor(rows, torch::kCPU)), first, &state, rng_);

  for (torch::Tensor& part : state.parts) part = part.narrow(0, 0, 1);  // the second one is over
  rows.clear();
  const SequenceBatch rest = window(batch_of({9}), 4, 9, rows);
  const torch::Tensor states = network->forward(x.narrow(0, 4, 5), rest, &state, rng_);

  EXPECT_TRUE(torch::allclose(states, whole.narrow(0, 4, 5), 1e-5, 1e-5));
}

TEST_P(UserNetworkContract, SequencesDoNotSeeEachOther) {
  const torch::NoGradGuard no_gradients;
  const auto network = make();
  const SequenceBatch batch = batch_of({3, 6});
  const torch::Tensor x = wave(9, 1.3).to(torch::kFloat32);

  const torch::Tensor together = network->forward(x, batch, nullptr, rng_);
  const torch::Tensor alone = network->forward(x.narrow(0, 3, 6), batch_of({6}), nullptr, rng_);

  EXPECT_TRUE(torch::allclose(together.narrow(0, 3, 6), alone, 1e-5, 1e-6));
}

TEST_P(UserNetworkContract, DoesNotSeeTheFuture) {
  const torch::NoGradGuard no_gradients;
  const auto network = make();
  const SequenceBatch batch = batch_of({8});
  const torch::Tensor x = wave(8, 1.3).to(torch::kFloat32);
  torch::Tensor changed = x.clone();
  changed.narrow(0, 5, 3).fill_(9.0);

  const torch::Tensor before = network->forward(x, batch, nullptr, rng_);
  const torch::Tensor after = network->forward(changed, batch, nullptr, rng_);

  EXPECT_TRUE(torch::equal(before.narrow(0, 0, 5), after.narrow(0, 0, 5)));
  EXPECT_FALSE(torch::allclose(before.narrow(0, 5, 1), after.narrow(0, 5, 1)));
}

TEST_P(UserNetworkContract, SameStreamGivesTheSameMasks) {
  const auto network = make();
  network->train();
  const SequenceBatch batch = batch_of({8, 3});
  const torch::Tensor x = wave(11, 1.3).to(torch::kFloat32);
  Rng first(5);
  Rng second(5);

  EXPECT_TRUE(torch::equal(network->forward(x, batch, nullptr, first),
                           network->forward(x, batch, nullptr, second)));
}

TEST_P(UserNetworkContract, SameSeedGivesTheSameParameters) {
  const auto one = make()->parameters();
  const auto other = make()->parameters();
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(torch::equal(one[i], other[i]));
}

TEST_P(UserNetworkContract, AnswersABatchWithoutSteps) {
  const auto network = make();
  NetworkState state;

  const torch::Tensor states =
      network->forward(torch::zeros({0, kDim}), batch_of({0, 0}), &state, rng_);

  EXPECT_EQ(states.sizes(), (std::vector<std::int64_t>{0, kDim}));
}

TEST_P(UserNetworkContract, CarriedStateHasNoGraph) {
  const auto network = make();
  NetworkState state;
  network->forward(wave(5, 1.0).to(torch::kFloat32), batch_of({2, 3}), &state, rng_);
  ASSERT_FALSE(state.parts.empty());
  for (const auto& part : state.parts) EXPECT_FALSE(part.requires_grad());
}

UserNetworkOptions options_of(const char* kind, std::int64_t layers = 1) {
  return {.kind = kind, .dim = kDim, .layers = layers, .tcn_blocks = 2, .gap_dim = 3};
}

INSTANTIATE_TEST_SUITE_P(AllNetworks, UserNetworkContract,
                         ::testing::Values(Case{"gru", options_of("gru")},
                                           Case{"gru_of_two_layers", options_of("gru", 2)},
                                           Case{"tcn", options_of("tcn")},
                                           Case{"hrnn", options_of("hrnn")},
                                           Case{"hgru", options_of("hgru")}),
                         [](const auto& one) { return one.param.name; });

TEST(UserNetwork, RefusesAnUnknownKind) {
  Rng rng(1);
  EXPECT_THROW(make_user_network({.kind = "lstm"}, rng), Error);
}

TEST(UserNetwork, DrawsGruParametersWithinOneOverRootD) {
  Rng rng(1);
  const auto network = make_user_network({.kind = "gru", .dim = 16}, rng);
  for (const auto& parameter : network->parameters()) {
    EXPECT_LE(parameter.abs().max().item<float>(), 0.25F);
    EXPECT_GT(parameter.abs().max().item<float>(), 0.2F);
  }
}

TEST(UserNetwork, TcnReadsExactlyItsReceptiveField) {
  // k = 3 and 2 blocks: 2 · 2 · (2² − 1) = 12 inputs before the step itself. Over several networks,
  // since a ReLU may block a path.
  const torch::NoGradGuard no_gradients;
  const SequenceBatch batch = batch_of({20});
  const torch::Tensor x = torch::ones({20, kDim});
  torch::Tensor changed = x.clone();
  changed[3].fill_(5.0);
  torch::Tensor moved = torch::zeros({20});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    const auto network = make_user_network(options_of("tcn"), rng);
    network->eval();
    moved +=
        (network->forward(x, batch, nullptr, rng) - network->forward(changed, batch, nullptr, rng))
            .abs()
            .sum(1);
  }

  EXPECT_EQ(moved.narrow(0, 0, 3).max().item<float>(), 0.0F);
  EXPECT_GT(moved.narrow(0, 3, 13).min().item<float>(), 0.0F);
  EXPECT_EQ(moved.narrow(0, 16, 4).max().item<float>(), 0.0F);
}

TEST(Dropout, IsTheInputAtZero) {
  Rng rng(1);
  const torch::Tensor x = torch::ones({3, 2});
  EXPECT_TRUE(torch::equal(dropout(x, 0.0, rng), x));
}

TEST(Dropout, ScalesWhatItKeepsAndPassesGradientsThere) {
  Rng rng(1);
  torch::Tensor x = torch::ones({50, 20}).requires_grad_();

  const torch::Tensor y = dropout(x, 0.5, rng);
  y.sum().backward();

  EXPECT_TRUE(((y == 0.0) | (y == 2.0)).all().item<bool>());
  EXPECT_TRUE(torch::equal(x.grad(), y.detach()));
}

TEST(Dropout, RefusesAShareOfOne) {
  Rng rng(1);
  EXPECT_THROW(dropout(torch::ones({1}), 1.0, rng), Error);
}

}  // namespace
}  // namespace kindling::nn
