// What is special to the sequence models over item ids.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "kindling/models/sasrec/net.h"
#include "kindling/nn/tensors.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

sasrec::Options small_net() {
  sasrec::Options options;
  options.dim = 8;
  options.layers = 2;
  options.length = 6;
  return options;
}

PackedItems packed(const std::vector<std::vector<std::int64_t>>& histories, std::int64_t length) {
  PackedItems batch;
  for (const auto& history : histories) batch.add(history, length);
  return batch;
}

TEST(PackedItems, KeepsTheLastEventsAndCountsSlotsFromTheRight) {
  const PackedItems batch = packed({{1, 2}, {1, 2, 3, 4, 5}}, 3);

  EXPECT_EQ(batch.items, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(batch.slots, (std::vector<std::int64_t>{1, 2, 0, 1, 2}));
  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 2, 5}));
}

// The states at the first two of three steps, when the third event is `last`.
torch::Tensor earlier_states(const sasrec::Options& options, std::int64_t last) {
  const torch::NoGradGuard no_grad;
  sasrec::Net net(options, 20, Rng(3));
  net.eval();
  Rng none(0);
  return net.states(packed({{4, 7, last}}, options.length), none).narrow(0, 0, 2);
}

TEST(SasRecNet, IsCausal) {
  EXPECT_TRUE(torch::equal(earlier_states(small_net(), 1), earlier_states(small_net(), 9)));
}

TEST(SasRecNet, ReleasedLeaksTheFutureAsTheirCodeDoes) {
  sasrec::Options options = small_net();
  options.released = true;

  EXPECT_FALSE(torch::allclose(earlier_states(options, 1), earlier_states(options, 9)));
}

TEST(SasRecNet, SequencesOfABatchDoNotSeeEachOther) {
  const torch::NoGradGuard no_grad;
  sasrec::Net net(small_net(), 20, Rng(3));
  net.eval();
  Rng none(0);

  const torch::Tensor together = net.states(packed({{1, 2, 3}, {5, 6}}, 6), none);
  const torch::Tensor alone = net.states(packed({{5, 6}}, 6), none);

  EXPECT_TRUE(torch::allclose(together.narrow(0, 3, 2), alone, 1e-5, 1e-6));
}

double deviation(const sasrec::Net& net, const std::string& name) {
  return net.named_parameters()[name].std().item<double>();
}

TEST(SasRecNet, StartsAsTheirs) {
  sasrec::Options options;
  options.layers = 1;
  const sasrec::Net port(options, 2000, Rng(3));
  options.released = true;
  const sasrec::Net released(options, 2000, Rng(3));

  // Xavier's √(2 / (rows + columns)), D = 64.
  EXPECT_NEAR(deviation(port, "items"), std::sqrt(2.0 / 2064), 0.0005);
  EXPECT_NEAR(deviation(port, "block0.in_weight"), std::sqrt(2.0 / 256), 0.003);
  EXPECT_NEAR(deviation(port, "block0.feed1_weight"), std::sqrt(2.0 / 128), 0.006);
  EXPECT_EQ(deviation(port, "block0.in_bias"), 0.0);
  // The framework's: N(0, 1), and uniform(±1/√64).
  EXPECT_NEAR(deviation(released, "items"), 1.0, 0.02);
  EXPECT_NEAR(deviation(released, "block0.in_weight"), 0.125 / std::sqrt(3.0), 0.003);
}

TEST(SasRec, ReleasedTakesFiveNegativesWhereNoneAreGiven) {
  const auto negatives = [](const OptionValues& options) {
    return make_model("sasrec", options)->details().at("options").at("negatives");
  };

  EXPECT_EQ(negatives({}), 1);
  EXPECT_EQ(negatives({{"released", "true"}}), 5);
  EXPECT_EQ(negatives({{"negatives", "1"}, {"released", "true"}}), 1);
}

// Of the rows that a step reads, as of the whole table.
TEST(SasRecNet, TrainingLossHasTheGradientOfTheWholeTable) {
  sasrec::Net net(small_net(), 20, Rng(3));
  net.eval();
  const sasrec::TrainingBatch batch{packed({{4, 7, 4}, {9}}, 6), {7, 1, 4, 19, 2, 7, 3, 9}};
  TableRows rows(20);
  Rng none(0);

  const torch::Tensor loss = sasrec::training_loss(net, batch, rows, none);
  loss.backward();
  const torch::Tensor whole_loss =
      sasrec::pair_loss(net.states(batch.inputs, none), net.output_items(),
                        nn::index_tensor(batch.candidates, torch::kCPU).view({4, 2}));
  whole_loss.backward();

  EXPECT_FLOAT_EQ(loss.item<float>(), whole_loss.item<float>());
  const torch::Tensor spread = torch::zeros({20, 8}).index_copy(
      0, nn::index_tensor(rows.rows(), torch::kCPU), rows.leaf().grad());
  EXPECT_TRUE(torch::allclose(spread, net.output_items().grad(), 1e-5, 1e-7));
}

TEST(PairLoss, AveragesNegativesAndPositions) {
  const torch::Tensor states = torch::tensor({{1.0F, 0.0F}, {0.0F, 2.0F}});
  const torch::Tensor items = torch::tensor({{1.0F, 1.0F}, {3.0F, -1.0F}, {-1.0F, 0.5F}});
  const torch::Tensor candidates = torch::tensor({{0L, 1L, 2L}, {1L, 0L, 2L}}, torch::kInt64);

  const double loss = sasrec::pair_loss(states, items, candidates).item<double>();

  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  // Row 0: target 1, negatives 3 and -1 (mean 1). Row 1: target -2, negatives 2 and 1 (mean 1.5).
  EXPECT_NEAR(loss, (softplus(-1) + softplus(1) + softplus(2) + softplus(1.5)) / 2, 1e-6);
}

// Item j is always followed by item j + 1.
Dataset ring(int users, int items) {
  DatasetBuilder builder(false);
  for (int j = 0; j < items; ++j) builder.item("i" + std::to_string(j));
  for (int u = 0; u < users; ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (int t = 0; t < 6; ++t) {
      builder.add(user, builder.item("i" + std::to_string((u + t) % items)), 0);
    }
  }
  return std::move(builder).build("ring");
}

// The share of items j for which j + 1 comes first after [j - 1, j].
double learnt_share(const std::string& model_name, const OptionValues& options) {
  const Dataset data = ring(60, 12);
  const auto model = make_model(model_name, options);
  TrainTask task;
  task.target_train = Domain{&data, nullptr};
  FitContext context;
  model->fit(task, context);
  std::vector<ItemId> all(12);
  for (ItemId j = 0; j < 12; ++j) all[j] = j;
  int right = 0;
  for (ItemId j = 0; j < 12; ++j) {
    const std::vector<Event> history = {{.item = (j + 11) % 12}, {.item = j}};
    const std::vector<Query> query = {{history}};
    const Matrix scores = model->score({&data, nullptr}, query, all);
    const auto best = std::max_element(scores.row(0).begin(), scores.row(0).end());
    if (best - scores.row(0).begin() == (j + 1) % 12) ++right;
  }
  return right / 12.0;
}

TEST(SasRec, LearnsWhatFollowsWhat) {
  EXPECT_GT(learnt_share("sasrec", {{"dim", "32"},
                                    {"layers", "1"},
                                    {"length", "8"},
                                    {"dropout", "0.1"},
                                    {"batch_size", "16"},
                                    {"learning_rate", "0.003"},
                                    {"epochs", "80"}}),
            0.9);
}

TEST(Bert4Rec, LearnsWhatFollowsWhat) {
  EXPECT_GT(learnt_share("bert4rec", {{"dim", "16"},
                                      {"layers", "1"},
                                      {"hidden", "32"},
                                      {"start_sd", "0.2"},
                                      {"warmup", "5"},
                                      {"length", "8"},
                                      {"dropout", "0.1"},
                                      {"attention_dropout", "0"},
                                      {"mask_share", "0.2"},
                                      {"last_share", "0.5"},
                                      {"batch_size", "16"},
                                      {"learning_rate", "0.01"},
                                      {"epochs", "100"}}),
            0.9);
}

TEST(SasRec, GivesTheSameWeightsWhenResumed) {
  const testing::TempDir dir;
  const Dataset data = ring(20, 12);
  const OptionValues options = {
      {"dim", "8"}, {"layers", "1"}, {"length", "8"}, {"batch_size", "8"}};
  const auto fit = [&](const char* epochs, const std::string& checkpoint, bool resume) {
    OptionValues own = options;
    own.emplace_back("epochs", epochs);
    auto model = make_model("sasrec", own);
    TrainTask task;
    task.target_train = Domain{&data, nullptr};
    FitContext context;
    context.checkpoint = checkpoint;
    context.resume = resume;
    model->fit(task, context);
    return model->state();
  };
  const ModelState whole = fit("4", dir.file("a"), false);

  fit("2", dir.file("b"), false);
  const ModelState resumed = fit("4", dir.file("b"), true);

  for (std::size_t t = 0; t < whole.size(); ++t) {
    EXPECT_EQ(whole[t].values, resumed[t].values) << whole[t].name;
  }
}

}  // namespace
}  // namespace kindling
