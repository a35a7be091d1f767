// The objective of ZESRec: values where they are known, gradients by differences.
#include <cmath>

#include <gtest/gtest.h>

#include "kindling/models/zesrec/net.h"
#include "tests/support/gradient_check.h"

namespace kindling::zesrec {
namespace {

constexpr std::int64_t kItems = 5;
constexpr std::int64_t kWidth = 4;

Options tiny(const char* variant) {
  Options options;
  options.dim = 3;
  options.variant = variant;
  options.lambda_v = 4.0;
  options.offset_init = 0.5;
  options.dropout = 0.2;
  options.tcn_blocks = 1;
  options.gap_dim = 2;
  return options;
}

// Two users: items 0 1 2 and 3 1.
SequenceBatch tiny_batch() {
  SequenceBatch batch;
  batch.offsets = {0, 3, 5};
  batch.inputs = {kDummyItem, 0, 1, kDummyItem, 3};
  batch.targets = {0, 1, 2, 3, 1};
  batch.session_start = {1, 0, 1, 1, 0};
  batch.gap_bucket = {0, 1, 2, 0, 3};
  return batch;
}

// In double precision, so that differences are exact enough.
struct Tiny {
  explicit Tiny(const Options& options, bool lazy = false)
      : net(std::make_shared<Net>(options, kWidth, Rng(3))) {
    net->lazy = lazy;
    net->make_offsets(kItems, Rng(4));
    net->to(torch::kFloat64);
    if (net->offsets.defined()) {
      net->offsets = net->offsets.detach().to(torch::kFloat64).requires_grad_(!lazy);
    }
    corpus.items = torch::cos(torch::arange(kItems * kWidth, torch::kFloat64)).view({-1, kWidth});
    corpus.target_count = {1, 2, 1, 1, 0};
    corpus.tokens = 5;
  }

  Objective objective(const Negatives* negatives = nullptr) {
    return net->objective(tiny_batch(), corpus, negatives, nullptr, true, Rng(9));
  }

  std::shared_ptr<Net> net;
  Corpus corpus;
};

struct Case {
  const char* name;
  const char* variant;
  const char* network;
  const char* bound;
  const char* activation;
  double residual = 0.0;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class ObjectiveGradient : public ::testing::TestWithParam<Case> {};

TEST_P(ObjectiveGradient, MatchesFiniteDifferences) {
  Options options = tiny(GetParam().variant);
  options.network = GetParam().network;
  options.bound = GetParam().bound;
  options.activation = GetParam().activation;
  options.residual = GetParam().residual;
  options.residual_decay = 0.5;
  Tiny tiny_net(options);
  // Away from the symmetric start, where the posterior equals the prior.
  std::vector<torch::Tensor> inputs = tiny_net.net->parameters();
  {
    const torch::NoGradGuard no_grad;
    double pace = 0.1;
    for (torch::Tensor& parameter : inputs) {
      parameter.add_(0.2 * torch::sin(torch::arange(parameter.numel(), torch::kFloat64) * pace)
                               .view(parameter.sizes()));
      pace += 0.37;
    }
  }
  if (tiny_net.net->offsets.defined()) inputs.push_back(tiny_net.net->offsets);

  testing::expect_gradient_matches([&] { return tiny_net.objective().total; }, inputs, 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Variants, ObjectiveGradient,
                         ::testing::Values(Case{"vanilla", "vanilla", "gru", "simplified", "none"},
                                           Case{"map", "map", "gru", "simplified", "none"},
                                           Case{"map_tanh", "map", "gru", "simplified", "tanh"},
                                           Case{"map_hrnn", "map", "hrnn", "simplified", "none"},
                                           Case{"map_hgru", "map", "hgru", "simplified", "none"},
                                           Case{"map_tcn", "map", "tcn", "simplified", "none"},
                                           Case{"map_residual", "map", "gru", "simplified", "none",
                                                2.0},
                                           Case{"full", "full", "gru", "simplified", "none"},
                                           Case{"full_general", "full", "gru", "general", "none"}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(ItemNetwork, OrthogonalStartKeepsTheAnglesOfTheTexts) {
  Options options = tiny("vanilla");
  options.dim = 6;  // at least the width: nothing is lost
  options.item_init = "orthogonal";
  const Tiny tiny_net(options);

  const torch::Tensor v = tiny_net.net->item_means(tiny_net.corpus.items, false);

  const torch::Tensor texts = tiny_net.corpus.items.mm(tiny_net.corpus.items.t());
  EXPECT_TRUE(torch::allclose(v.mm(v.t()), texts, 1e-5, 1e-5));
}

TEST(Residual, WindowsGiveTheStatesOfTheWholeSequence) {
  Options options = tiny("vanilla");
  options.residual = 2.0;
  options.residual_decay = 0.5;
  const Tiny tiny_net(options);
  tiny_net.net->eval();
  const SequenceBatch whole = tiny_batch();
  SequenceBatch first = whole;
  first.offsets = {0, 2, 3};
  first.inputs = {kDummyItem, 0, kDummyItem};
  SequenceBatch second = whole;
  second.offsets = {0, 1, 2};
  second.inputs = {1, 3};

  CarriedStates carried;
  const auto states = [&](const SequenceBatch& batch, CarriedStates* state) {
    return tiny_net.net->user_states(tiny_net.corpus.items.slice(1, 0, 3), batch.inputs, batch,
                                     state, false, Rng(1));
  };
  const torch::Tensor expected = states(whole, nullptr);
  states(first, &carried);
  const torch::Tensor rest = states(second, &carried);

  EXPECT_TRUE(torch::allclose(rest[0], expected[2]));
  EXPECT_TRUE(torch::allclose(rest[1], expected[4]));
}

TEST(Objective, AtZeroOffsetsMapEqualsVanilla) {
  Options options = tiny("map");
  options.offset_init = 0.0;
  Tiny map(options);
  Tiny vanilla(tiny("vanilla"));

  EXPECT_DOUBLE_EQ(map.objective().total.item<double>(), vanilla.objective().total.item<double>());
}

TEST(Objective, FullWithAnInfinitePrecisionEqualsVanilla) {
  Options options = tiny("full");
  options.lambda_v = 1e14;
  Tiny full(options);
  Tiny vanilla(tiny("vanilla"));

  EXPECT_NEAR(full.objective().total.item<double>(), vanilla.objective().total.item<double>(),
              1e-5);
}

TEST(Objective, FullStartsWithoutKlDivergence) {
  Tiny full(tiny("full"));

  const Objective objective = full.objective();

  EXPECT_NEAR(objective.total.item<double>(), objective.loss / 5.0, 1e-6);
}

// Also with dropout inside the networks: the same masks fall on all of them.
TEST(Objective, GeneralBoundStartsWithoutKlDivergence) {
  for (const char* network : {"gru", "tcn"}) {
    Options options = tiny("full");
    options.bound = "general";
    options.network = network;
    options.dropout = 0.5;
    Tiny general(options);
    general.net->train();

    const Objective objective = general.objective();

    EXPECT_NEAR(objective.total.item<double>(), objective.loss / 5.0, 1e-6) << network;
  }
}

TEST(Objective, PenaltyIsHalfLambdaOverTokensTimesSquares) {
  Tiny map(tiny("map"));

  const Objective objective = map.objective();

  const double squares = map.net->offsets.square().sum().item<double>();
  EXPECT_NEAR(objective.total.item<double>() - objective.loss / 5.0, 4.0 / (2.0 * 5.0) * squares,
              1e-9);
}

TEST(Objective, LazyPenaltyOfAWholeEpochEqualsTheDenseOne) {
  Tiny dense(tiny("map"));
  Tiny lazy(tiny("map"), true);
  const Negatives negatives{{4, 4, 0}, {0.5F, 0.5F, 0.1F}};
  const std::vector<std::uint64_t> counts = {1, 2, 1, 1, 0};
  const NegativeSampler sampler(counts, NegativeOptions{});
  dense.corpus.sampler = &sampler;
  lazy.corpus.sampler = &sampler;

  const Objective of_dense = dense.objective(&negatives);
  const Objective of_lazy = lazy.objective(&negatives);
  of_dense.total.backward();
  of_lazy.total.backward();

  // The batch is the epoch, and it touches every item: each item's weight is 1.
  EXPECT_NEAR(of_dense.total.item<double>(), of_lazy.total.item<double>(), 1e-6);
  EXPECT_TRUE(torch::allclose(dense.net->offsets.grad(), lazy.net->lazy_offsets.grad(), 1e-6));
}

// One user with sessions 0 1 | 2: item 1 is read and asked for nothing.
SequenceBatch two_sessions() {
  SequenceBatch batch;
  batch.offsets = {0, 4};
  batch.inputs = {kDummyItem, 0, 1, kDummyItem};
  batch.targets = {0, 1, 2};
  batch.asked = {0, 1, 3};
  batch.session_start = {1, 0, 0, 1};
  batch.gap_bucket = {0, 0, 1, 0};
  return batch;
}

// Z7: the loss by hand, from the states of the steps that are asked; they read all steps.
TEST(Objective, AsksNothingOfTheLastItemOfASession) {
  for (const char* network : {"gru", "tcn", "hrnn", "hgru"}) {
    Options options = tiny("vanilla");
    options.network = network;
    options.sequences.dummy_per = "session";
    Tiny one(options);
    one.net->eval();
    const SequenceBatch batch = two_sessions();
    const torch::Tensor v = one.net->item_means(one.corpus.items, false);
    const torch::Tensor u =
        one.net->user_states(v, batch.inputs, batch, nullptr, false, Rng(9));  // [4, D]
    const torch::Tensor logits = u.mm(v.t());
    double expected = 0.0;
    for (const auto& [step, item] : {std::pair{0, 0}, std::pair{1, 1}, std::pair{3, 2}}) {
      double sum = 0.0;
      for (std::int64_t j = 0; j < kItems; ++j) sum += std::exp(logits[step][j].item<double>());
      expected += std::log(sum) - logits[step][item].item<double>();
    }

    const Objective objective =
        one.net->objective(batch, one.corpus, nullptr, nullptr, true, Rng(9));

    EXPECT_EQ(objective.targets, 3) << network;
    EXPECT_NEAR(objective.loss, expected, 1e-5) << network;
    EXPECT_NEAR(objective.total.item<double>(), expected / 3.0, 1e-5) << network;
  }
}

TEST(Objective, ReadsTheItemThatASessionEndsWith) {
  Options options = tiny("vanilla");
  options.sequences.dummy_per = "session";
  Tiny one(options);
  one.net->eval();
  SequenceBatch other = two_sessions();
  other.inputs[2] = 4;
  const torch::Tensor v = one.net->item_means(one.corpus.items, false);

  const auto states = [&](const SequenceBatch& batch) {
    return one.net->user_states(v, batch.inputs, batch, nullptr, false, Rng(9));
  };

  // The state behind the second dummy: it came through item 1 or item 4.
  EXPECT_FALSE(torch::allclose(states(two_sessions())[3], states(other)[3]));
  EXPECT_TRUE(torch::equal(states(two_sessions())[1], states(other)[1]));
}

TEST(Objective, GradientsOfADummyInEachSessionMatchFiniteDifferences) {
  for (const char* bound : {"simplified", "general"}) {
    Options options = tiny("full");
    options.bound = bound;
    options.sequences.dummy_per = "session";
    Tiny one(options);

    testing::expect_gradient_matches(
        [&] {
          return one.net->objective(two_sessions(), one.corpus, nullptr, nullptr, true, Rng(9))
              .total;
        },
        one.net->parameters(), 2e-5);
  }
}

TEST(Residual, ReadsTheLastItemBehindALaterDummy) {
  Options options = tiny("vanilla");
  options.residual = 2.0;
  Tiny plain(options);
  options.sequences.dummy_per = "session";
  Tiny marked(options);
  const torch::Tensor v = marked.net->item_means(marked.corpus.items, false);
  const SequenceBatch batch = two_sessions();
  const auto states = [&](Tiny& one) {
    one.net->eval();
    return one.net->user_states(v, batch.inputs, batch, nullptr, false, Rng(9));
  };

  const torch::Tensor difference = states(marked) - states(plain);  // same weights, same inputs

  // The path of `plain` ends in the dummy's vector, that of `marked` in item 1's.
  const torch::Tensor dummy = marked.net->named_parameters()["dummy"];
  EXPECT_TRUE(torch::allclose(difference[3], 2.0 * (v[1] - dummy), 1e-6, 1e-6));
  EXPECT_LT(difference.narrow(0, 0, 3).abs().max().item<double>(), 1e-12);
}

TEST(TouchedRows, AreSortedDistinctAndIndexed) {
  const StepRows step = touched_rows(tiny_batch(), {4, 1});

  EXPECT_EQ(step.rows, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(step.inputs, tiny_batch().inputs);
  EXPECT_EQ(step.sampled, (std::vector<std::int64_t>{4, 1}));

  SequenceBatch one;
  one.inputs = {kDummyItem, 9};
  one.targets = {9, 3};
  const StepRows sparse = touched_rows(one, {7});
  EXPECT_EQ(sparse.rows, (std::vector<std::int64_t>{3, 7, 9}));
  EXPECT_EQ(sparse.inputs, (std::vector<std::int64_t>{kDummyItem, 2}));
  EXPECT_EQ(sparse.targets, (std::vector<std::int64_t>{2, 0}));
  EXPECT_EQ(sparse.sampled, (std::vector<std::int64_t>{1}));
}

TEST(ZesrecNet, LeavesAFixedDummyAsItStarts) {
  Options options = tiny("map");
  options.dummy = "fixed";
  options.dummy_init = 0.0;
  Tiny fixed(options);
  Tiny trained(tiny("map"));

  fixed.objective().total.backward();
  trained.objective().total.backward();

  const torch::Tensor dummy = fixed.net->named_parameters()["dummy"];
  EXPECT_EQ(dummy.abs().max().item<double>(), 0.0);
  EXPECT_FALSE(dummy.grad().defined());
  EXPECT_GT(trained.net->named_parameters()["dummy"].grad().abs().max().item<double>(), 0.0);
}

TEST(ZesrecNet, DropsOutWhereItIsAskedTo) {
  const auto states = [](const char* places, bool training) {
    Options options = tiny("vanilla");
    options.dim = 16;
    options.dropout = 0.5;
    options.dropout_places = places;
    Tiny tiny_net(options);
    tiny_net.net->train(training);
    const torch::Tensor values = tiny_net.net->item_means(tiny_net.corpus.items, false);
    const SequenceBatch batch = tiny_batch();
    return tiny_net.net->user_states(values, batch.inputs, batch, nullptr, false, Rng(9));
  };
  const auto zeros = [](const torch::Tensor& u) { return u.eq(0.0).sum().item<std::int64_t>(); };
  const torch::Tensor whole = states("both", false);

  EXPECT_EQ(zeros(states("inputs", true)), 0);
  EXPECT_FALSE(torch::equal(states("inputs", true), whole));
  const torch::Tensor dropped = states("outputs", true);  // of 80 values about 40 are left, doubled
  EXPECT_GT(zeros(dropped), 20);
  EXPECT_LT(
      (torch::where(dropped.eq(0.0), dropped, dropped - 2.0 * whole)).abs().max().item<double>(),
      1e-12);
  EXPECT_GT(zeros(states("both", true)), 20);
}

TEST(ZesrecNet, DrawsTheMeansWithoutNoise) {
  Options options = tiny("full");
  options.noise = 0.0;
  Tiny quiet(options);
  options.noise = 2.0;
  Tiny loud(options);
  options.noise = 1.0;
  Tiny plain(options);
  const torch::Tensor means = quiet.net->item_means(quiet.corpus.items, false);
  const auto draw = [](const Tiny& one) { return one.net->item_draw(one.corpus.items, Rng(9)); };

  EXPECT_TRUE(torch::equal(draw(quiet), means));
  EXPECT_LT(((draw(loud) - means) - 2.0 * (draw(plain) - means)).abs().max().item<double>(), 1e-12);
}

}  // namespace
}  // namespace kindling::zesrec
