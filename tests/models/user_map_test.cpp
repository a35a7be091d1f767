// What the models share that map users between domains, and AutoEM's own stages.
#include "kindling/models/user_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/models/baselines/autoem_stages.h"
#include "kindling/models/id_sequences.h"
#include "kindling/models/registry.h"
#include "kindling/nn/tensors.h"

namespace kindling {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Dataset shop(const std::vector<std::vector<int>>& histories, int items) {
  DatasetBuilder builder(false);
  for (int j = 0; j < items; ++j) builder.item("i" + std::to_string(j));
  for (std::size_t u = 0; u < histories.size(); ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (const int item : histories[u]) builder.add(user, static_cast<ItemId>(item), 0);
  }
  return std::move(builder).build("shop");
}

States states(const Dataset& data, const torch::Tensor& values) {
  States all;
  all.values = values;
  for (UserId user = 0; user < data.user_count(); ++user) {
    all.offsets.push_back(all.offsets.back() +
                          static_cast<std::int64_t>(data.history(user).size()));
  }
  return all;
}

TEST(SharedBatch, IsTheShareOfTheSharedUsersAndAtLeastOne) {
  EXPECT_EQ(shared_batch(2048, 100, 1000), 204);
  EXPECT_EQ(shared_batch(2048, 1000, 1000), 2048);
  EXPECT_EQ(shared_batch(10, 1, 1000), 1);
}

TEST(BestParameters, AreThoseOfTheLowestError) {
  Rng rng(1);
  MapNet net(2, rng);
  const auto set = [&](float value) {
    const torch::NoGradGuard no_grad;
    for (torch::Tensor parameter : net.parameters()) parameter.fill_(value);
  };
  BestParameters best;
  best.restore(net);  // nothing was offered

  for (const auto& [value, error] : {std::pair{1.0F, 0.5}, {2.0F, 0.2}, {3.0F, 0.4}}) {
    set(value);
    best.offer(error, net);
  }
  best.restore(net);

  EXPECT_EQ(best.error(), 0.2);
  for (const torch::Tensor& parameter : net.parameters()) {
    EXPECT_TRUE(torch::all(parameter == 2.0F).item<bool>());
  }
}

TEST(Positions, AreTheUsersOwnWithTheEventThatFollows) {
  const Dataset target = shop({{0, 1, 2}, {3}, {4, 0}}, 5);
  const Dataset source = shop({{0, 1}, {1}}, 5);
  const States here = states(target, torch::arange(12.0F).view({6, 2}));
  const States there = states(source, 100.0F + torch::arange(6.0F).view({3, 2}));
  Rng rng(1);
  const MapNet map(2, rng);

  const Positions all = positions_of(target, here, there, {{0, 0}}, map);

  EXPECT_THAT(all.offsets, ElementsAre(0, 2, 2, 3));
  EXPECT_THAT(all.users, ElementsAre(0, 0, 2));
  EXPECT_THAT(all.next, ElementsAre(1, 2, 0));
  EXPECT_TRUE(torch::equal(all.other[1], there.values[0]));  // two from the end on both sides
}

TEST(AutoEmStages, TheMapOfTheBestHeldOutEpochIsKept) {
  std::vector<std::vector<int>> histories(40, {0, 1});
  const Dataset data = shop(histories, 5);
  Rng draws(2);
  const States here = states(data, normal_tensor({80, 4}, 1.0, draws));
  const States there = states(data, here.values.flip({1}));
  std::vector<SharedUser> shared;
  for (UserId user = 0; user < 40; ++user) shared.push_back({user, user});
  const auto error = [&](std::int64_t epochs) {
    Rng rng(3);
    MapNet map(4, rng);
    autoem::StageOptions options;
    options.map_epochs = epochs;
    autoem::learn_map(options, here, there, shared, Rng(4), map);
    const torch::NoGradGuard no_grad;
    return torch::mse_loss(map.forward(here.values), there.values).item<double>();
  };

  EXPECT_LT(error(60), 0.7 * error(1));
}

// Half of the users are shared; items of one half never meet those of the other.
TEST(AutoEmStages, TheMergeNetLearnsFromSharedUsersAndFromTheOthers) {
  std::vector<std::vector<int>> histories;
  for (int u = 0; u < 40; ++u) histories.push_back({u % 2 * 5, u % 2 * 5 + 1, u % 2 * 5 + 2});
  const Dataset data = shop(histories, 10);
  Rng draws(2);
  torch::Tensor values = 0.1 * normal_tensor({120, 4}, 1.0, draws);
  for (std::int64_t row = 0; row < 120; ++row) values[row][row / 3 % 2] += 1.0;
  const States here = states(data, values);
  torch::Tensor items = 0.1 * normal_tensor({10, 4}, 1.0, draws);
  for (std::int64_t item = 0; item < 10; ++item) items[item][2 + item / 5] += 1.0;
  std::vector<SharedUser> shared;
  for (UserId user = 0; user < 20; ++user) shared.push_back({user, user});
  Rng rng(3);
  const MapNet map(4, rng);
  MergeNet merge(4, rng);
  const recguru::DomainData domain(data, {});
  const autoem::MergeTask task{
      domain, here, positions_of(data, here, here, shared, map), items, shared, 3, "softmax"};
  autoem::StageOptions options;
  options.merge_steps = 60;
  options.merge_batch = 16;

  const auto hits = autoem::learn_merge(options, task, Rng(4), FitContext(), {}, merge);

  EXPECT_FALSE(hits.has_value());  // nobody validated
  const torch::NoGradGuard no_grad;
  for (const std::int64_t user : {0, 1, 39}) {  // the first two are shared
    const std::int64_t position = 2 * user;
    const torch::Tensor state =
        merge.forward(values.narrow(0, 3 * user, 1), task.positions.other.narrow(0, position, 1));
    const torch::Tensor scores = task.items.mv(state[0]);
    const torch::Tensor own = scores.narrow(0, user % 2 * 5 + 1, 2).max();
    const torch::Tensor foreign = scores.narrow(0, 5 - user % 2 * 5, 5).max();
    EXPECT_GT(own.item<float>(), foreign.item<float>()) << user;
  }
}

class NoTime : public ::testing::TestWithParam<const char*> {};

TEST_P(NoTime, IsAnErrorAndNoModelThatHasLearntNothing) {
  const Dataset from = shop({{0, 1, 2}, {1, 2, 3}}, 6);
  const Dataset to = shop({{3, 4, 5}, {4, 0, 1}, {5, 1, 2}}, 6);
  TrainTask task;
  task.source = Domain{&from, nullptr};
  task.target_train = Domain{&to, nullptr};
  FitContext context;
  context.max_seconds = 1e-9;

  try {
    make_model(GetParam(), {})->fit(task, context);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
    EXPECT_EQ(error.place(), "--max-minutes");
    EXPECT_THAT(error.message(), HasSubstr("of use"));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, NoTime,
                         ::testing::Values("mfem", "cngan", "doml", "autoem", "seqrec"));

}  // namespace
}  // namespace kindling
