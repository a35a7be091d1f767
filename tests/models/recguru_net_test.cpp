// RecGURU's parts: batches, the user vector's attention, the critic, the losses.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/data/synthetic.h"
#include "kindling/kernels/dropout_mask.h"
#include "kindling/models/recguru/batch.h"
#include "kindling/models/recguru/critic.h"
#include "kindling/models/recguru/net.h"
#include "kindling/models/recguru/steps.h"
#include "kindling/nn/gather_dot.h"
#include "kindling/nn/tensors.h"
#include "tests/support/gradient_check.h"

namespace kindling::recguru {
namespace {

using Ids = std::vector<std::int64_t>;

// User u of the world has the items given, in order; item names are numbers.
Dataset guru_world(const std::vector<std::vector<int>>& histories, int items = 9) {
  DatasetBuilder builder(false);
  for (int i = 0; i < items; ++i) builder.item("i" + std::to_string(i));
  for (std::size_t u = 0; u < histories.size(); ++u) {
    const UserId user = builder.user("u" + std::to_string(u));
    for (const int item : histories[u]) builder.add(user, static_cast<ItemId>(item), 0);
  }
  return std::move(builder).build("world");
}

TEST(RecGuruBatch, CountsPositionsFromTheRightEnd) {
  const Dataset data = guru_world({{3, 5, 7}});
  PackedRows encoder;
  PackedRows decoder;
  PackedRows query;

  push_encoder(data.history(0), 9, 10, nullptr, encoder);
  push_decoder(data.history(0), 9, 10, false, nullptr, decoder);
  push_decoder(data.history(0), 9, 10, true, nullptr, query);

  EXPECT_EQ(encoder.ids, (Ids{3, 5, 7, 9}));
  EXPECT_EQ(encoder.positions, (Ids{6, 7, 8, 9}));
  EXPECT_EQ(decoder.ids, (Ids{10, 3, 5}));
  EXPECT_EQ(decoder.positions, (Ids{7, 8, 9}));
  EXPECT_EQ(query.ids, (Ids{10, 3, 5, 7}));
  EXPECT_EQ(query.positions, (Ids{6, 7, 8, 9}));
}

TEST(RecGuruBatch, KeepsTheLastItemsOfALongHistory) {
  const Dataset data = guru_world({{0, 1, 2, 3, 4, 5}});
  PackedRows encoder;
  PackedRows query;

  push_encoder(data.history(0), 9, 4, nullptr, encoder);
  push_decoder(data.history(0), 9, 4, true, nullptr, query);

  EXPECT_EQ(encoder.ids, (Ids{3, 4, 5, 9}));
  EXPECT_EQ(query.ids, (Ids{10, 3, 4, 5}));
  EXPECT_EQ(query.positions, (Ids{0, 1, 2, 3}));
}

TEST(RecGuruBatch, AsksEachRowForTheNextItemAndDrawsWhatTheUserHasNot) {
  const Dataset data = guru_world({{0, 1, 2, 3, 4, 5, 6}});
  const DomainData domain(data);

  const DomainBatch batch =
      make_domain_batch(domain, std::vector<UserId>{0}, 100, 20, nullptr, Rng(1));

  ASSERT_EQ(batch.decoder.rows(), 7);
  ASSERT_EQ(batch.candidates.size(), 7U * 21U);
  for (std::size_t i = 0; i < batch.candidates.size(); ++i) {
    if (i % 21 == 0) {
      EXPECT_EQ(batch.candidates[i], static_cast<std::int64_t>(i / 21));
    } else {
      EXPECT_GE(batch.candidates[i], 7);  // 7 and 8 are left
    }
  }
}

TEST(RecGuruBatch, GivesAUserWhoHasEverythingSomeItem) {
  const Dataset data = guru_world({{0, 1, 2}}, 3);
  const DomainData domain(data);
  Rng rng(1);

  EXPECT_LT(domain.draw_negative(0, false, rng), 3);
}

TEST(RecGuruBatch, MapsEachRowOnce) {
  const Dataset data = guru_world({{3, 5, 3}});
  TableRows map(11);
  PackedRows rows;

  push_encoder(data.history(0), 9, 10, &map, rows);

  EXPECT_EQ(rows.ids, (Ids{0, 1, 0, 2}));
  EXPECT_EQ(Ids(map.rows().begin(), map.rows().end()), (Ids{3, 5, 9}));
  map.clear();
  EXPECT_EQ(map.add(5), 0);
}

TEST(RecGuruBatch, TakesBeginningsAndTheRowsBehindThem) {
  const Dataset data = guru_world({{0, 1, 2, 3}, {4}, {5, 6}});
  const DomainData domain(data);
  Ids later;

  const PackedRows rows =
      past_rows(domain, std::vector<UserId>{0, 1, 2}, 100, nullptr, Rng(3), later);

  const std::int64_t cut = rows.offsets[1] - 1;
  EXPECT_GE(cut, 1);
  EXPECT_LE(cut, 3);
  EXPECT_EQ(rows.offsets[2] - rows.offsets[1], 1);  // one item: [eos] alone
  EXPECT_EQ(rows.offsets[3] - rows.offsets[2], 2);
  Ids wanted;
  for (std::int64_t row = cut; row < 4; ++row) wanted.push_back(row);
  wanted.insert(wanted.end(), {4, 6});
  EXPECT_EQ(later, wanted);
}

TEST(RecGuruBatch, RefusesADomainWithoutEvents) {
  try {
    const DomainData domain(guru_world({{}}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
  }
}

TEST(UserBatches, PassOverAllUsersAndFollowFromTheNumber) {
  UserBatches batches(10, 3, Rng(1));
  std::vector<bool> seen(10);
  for (std::uint64_t n = 0; n < 3; ++n) {
    for (const std::uint32_t user : batches.batch(n)) {
      EXPECT_FALSE(seen[user]);
      seen[user] = true;
    }
  }
  const auto third = batches.batch(2);
  const std::vector<std::uint32_t> kept(third.begin(), third.end());

  batches.batch(7);
  const auto again = batches.batch(2);

  EXPECT_EQ(kept, std::vector<std::uint32_t>(again.begin(), again.end()));
}

TEST(Sinusoids, AreSinesAndCosinesOfFallingFrequency) {
  const torch::Tensor table = sinusoids(4, 6);

  EXPECT_NEAR(table[3][0].item<double>(), std::sin(3.0), 1e-6);
  EXPECT_NEAR(table[3][1].item<double>(), std::cos(3.0), 1e-6);
  EXPECT_NEAR(table[2][4].item<double>(), std::sin(2.0 / std::pow(10000.0, 4.0 / 6.0)), 1e-6);
}

Options small_guru() {
  Options options;
  options.dim = 8;
  options.heads = 2;
  options.layers = 1;
  options.hidden = 12;
  options.dropout = 0.4;
  return options;
}

// The attention over the user vector written out: h repeated as keys and values for each of the
// encoder's rows, any W_q and W_k, dropout on each weight by itself, then LN.
torch::Tensor full_user_attention(const torch::nn::Module& decoder, const torch::Tensor& x,
                                  const std::vector<std::int64_t>& offsets, const torch::Tensor& h,
                                  const Ids& keys, double p, std::uint64_t seed) {
  const auto named = decoder.named_parameters();
  const std::int64_t heads = 2;
  const std::int64_t width = 4;
  const std::int64_t most = *std::max_element(keys.begin(), keys.end());
  torch::Tensor mask = torch::ones({x.size(0), heads, most});
  if (p > 0) {
    kernels::dropout_mask(seed, p, nn::floats_of(mask), static_cast<std::size_t>(mask.numel()));
  }
  const torch::Tensor w_q = torch::arange(64, torch::kFloat32).cos().view({8, 8});
  const torch::Tensor w_k = torch::arange(64, torch::kFloat32).sin().view({8, 8});
  std::vector<torch::Tensor> rows;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    const torch::Tensor repeated = h[static_cast<std::int64_t>(b)].expand({keys[b], 8});
    const torch::Tensor k = repeated.mm(w_k.t());
    const torch::Tensor v =
        torch::addmm(named["user0_value_bias"], repeated, named["user0_value_weight"].t());
    for (std::int64_t row = offsets[b]; row < offsets[b + 1]; ++row) {
      const torch::Tensor q = x[row].unsqueeze(0).mm(w_q.t());
      std::vector<torch::Tensor> mixed;
      for (std::int64_t head = 0; head < heads; ++head) {
        const auto part = [&](const torch::Tensor& t) { return t.narrow(1, head * width, width); };
        torch::Tensor weights = (part(q).mm(part(k).t()) / 2.0).softmax(1);
        weights = weights * mask[row][head].narrow(0, 0, keys[b]);
        mixed.push_back(weights.mm(part(v)));
      }
      rows.push_back(torch::addmm(named["user0_out_bias"], torch::cat(mixed, 1),
                                  named["user0_out_weight"].t()));
    }
  }
  return torch::layer_norm(x + torch::cat(rows), {8}, named["user0_norm_gain"],
                           named["user0_norm_shift"], 1e-8);
}

// A decoder whose self-attention and feed-forward halves we run apart.
class UserAttention : public ::testing::TestWithParam<bool> {};

TEST_P(UserAttention, EqualsTheFullAttentionOverEqualKeys) {
  const bool training = GetParam();
  Options options = small_guru();
  Rng start(1);
  Decoder decoder(options, true, start);
  nn::BlockOptions block_options{.dim = 8, .heads = 2, .hidden = 12, .causal = true};
  block_options.dropout_first = true;
  block_options.attention_dropout = block_options.middle_dropout = 0.4;
  block_options.feed_out_dropout = 0.4;
  Rng unused(2);
  nn::TransformerBlock block(block_options, unused);
  nn::NamedTensors own;
  for (const auto& [name, value] : nn::named_parameters(decoder)) {
    if (name.starts_with("layer0.")) own.emplace_back(name.substr(7), value);
  }
  nn::load_parameters(block, own);
  decoder.train(training);
  block.train(training);
  const Ids offsets = {0, 2, 5};
  const Ids keys = {3, 4};
  const torch::Tensor x = torch::arange(40, torch::kFloat32).cos().view({5, 8});
  const torch::Tensor h = torch::arange(16, torch::kFloat32).sin().view({2, 8});
  Rng one(9);
  Rng two(9);

  const torch::Tensor fast = decoder.forward(x, offsets, h, keys, one);
  torch::Tensor slow = block.attend(x, offsets, two);
  const std::uint64_t seed = training ? two.next() : 0;
  slow = full_user_attention(decoder, slow, offsets, h, keys, training ? 0.4 : 0.0, seed);
  slow = block.feed(slow, two);

  EXPECT_LT((fast - slow).abs().max().item<double>(), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(TrainingAndNot, UserAttention, ::testing::Bool());

TEST(RecGuruNet, TheUserVectorDependsOnEveryItemAndOnNoOtherUser) {
  Net net(small_guru(), Variant::kRecGuru, true, Rng(1));
  net.eval();
  const torch::Tensor table = torch::arange(88, torch::kFloat32).cos().view({11, 8});
  const Dataset data = guru_world({{0, 1}, {2, 3, 4}, {0, 5}});
  const DomainData domain(data);
  Rng rng(1);
  const auto vectors = [&](std::vector<UserId> users) {
    return net.user_vectors(kTarget, table, encoder_rows(domain, users, 100, nullptr), rng);
  };

  const torch::Tensor together = vectors({0, 1});
  const torch::Tensor alone = vectors({0});

  EXPECT_LT((together[0] - alone[0]).abs().max().item<double>(), 1e-5);
  EXPECT_GT((vectors({2})[0] - alone[0]).abs().max().item<double>(), 1e-3);
}

TEST(Critic, ItsInputGradientIsAutograds) {
  for (const char* shape : {"paper", "released"}) {
    Rng rng(1);
    Critic critic(6, shape, rng);
    critic.eval();
    const torch::Tensor x =
        torch::arange(30, torch::kFloat32).cos().view({5, 6}).requires_grad_(true);

    const torch::Tensor ours = critic.input_gradient(x.detach(), rng);
    critic.forward(x, rng).sum().backward();

    EXPECT_LT((ours - x.grad()).abs().max().item<double>(), 1e-6);
  }
}

TEST(Critic, ItsLossesHaveTheRightGradients) {
  for (const char* adversary : {"wgan-gp", "bce"}) {
    Options options;
    options.adversary = adversary;
    Rng rng(2);
    Critic critic(3, "paper", rng);
    critic.to(torch::kFloat64);
    const torch::Tensor h_a = torch::arange(12, torch::kFloat64).cos().view({4, 3});
    const torch::Tensor h_b = torch::arange(12, torch::kFloat64).sin().view({4, 3});
    const auto named = critic.named_parameters();

    // The last layers: the others hold thousands of values.
    testing::expect_gradient_matches(
        [&] {
          Rng same(3);
          return critic_loss(critic, h_a, h_b, options, same);
        },
        {named["weight1"], named["bias1"], named["weight4"]}, 1e-5);
  }
}

TEST(Critic, TheGeneratorLossReachesBothDomains) {
  Rng rng(4);
  Critic critic(3, "paper", rng);
  critic.to(torch::kFloat64);
  const torch::Tensor h_a = torch::arange(6, torch::kFloat64).cos().view({2, 3}).requires_grad_();
  const torch::Tensor h_b = torch::arange(6, torch::kFloat64).sin().view({2, 3}).requires_grad_();
  for (const char* adversary : {"wgan-gp", "bce"}) {
    Options options;
    options.adversary = adversary;

    testing::expect_gradient_matches(
        [&] {
          Rng same(3);
          return generator_loss(critic, h_a, h_b, options, same);
        },
        {h_a, h_b}, 1e-5);
  }
}

// Descent without momentum leaves the rows alone that no step reads: lazy and dense are the same.
TEST(RecGuruSteps, LazyAndDenseTablesTakeTheSameStepsOfDescent) {
  const Dataset a = guru_world({{0, 1, 2}, {3, 4}, {5, 6, 7}});
  const Dataset b = guru_world({{1, 1, 2}, {8, 4}, {2, 3}});
  std::vector<torch::Tensor> tables_after;
  for (const char* kind : {"lazy", "dense"}) {
    Options options = small_guru();
    options.tables = kind;
    Net net(options, Variant::kRecGuru, true, Rng(1));
    const bool whole = options.tables == "dense";
    Tables tables;
    for (auto& table : tables.of) {
      table = torch::arange(88, torch::kFloat32).cos().view({11, 8}).clone();
    }
    Steps steps(options, Variant::kRecGuru, net, tables, &a, b, {}, Rng(2));
    const auto optimizer = train::make_optimizer(
        {.kind = "sgd", .learning_rate = 0.1},
        {{"items_a", tables.of[kSource], 0.0, whole}, {"items_b", tables.of[kTarget], 0.0, whole}});
    steps.generator_step(0, *optimizer);
    optimizer->step();
    steps.pretrain(1, *optimizer);
    optimizer->step();
    steps.finetune(2, true, *optimizer);
    optimizer->step();
    tables_after.push_back(torch::cat({tables.of[0].detach(), tables.of[1].detach()}));
  }

  EXPECT_LT((tables_after[0] - tables_after[1]).abs().max().item<double>(), 1e-5);
}

// 200 vectors around (centre, …, centre).
torch::Tensor cloud(double centre, std::uint64_t seed) {
  Rng rng(seed);
  torch::Tensor h = torch::empty({200, 4});
  for (std::int64_t i = 0; i < h.numel(); ++i) {
    h.data_ptr<float>()[i] = static_cast<float>(centre + rng.normal());
  }
  return h;
}

TEST(DomainProbe, TellsDistantDomainsApart) {
  EXPECT_GT(domain_accuracy(cloud(3.0, 1), cloud(-3.0, 2)), 0.99);
}

TEST(DomainProbe, GuessesWhereDomainsAreAlike) {
  EXPECT_NEAR(domain_accuracy(cloud(1.0, 1), cloud(1.0, 2)), 0.5, 0.1);
}

TEST(DomainProbe, MeasuresSharedUsersAgainstStrangers) {
  const torch::Tensor h_a = torch::tensor({{0.0F, 0.0F}, {4.0F, 2.0F}});
  const torch::Tensor h_b = torch::tensor({{1.0F, 1.0F}, {4.0F, 4.0F}});
  Alikeness alike;

  shared_distances(h_a, h_b, alike);

  EXPECT_DOUBLE_EQ(alike.shared_distance, (1.0 + 1.0 + 0.0 + 4.0) / 4.0);
  EXPECT_DOUBLE_EQ(alike.stranger_distance, (16.0 + 16.0 + 9.0 + 1.0) / 4.0);
}

}  // namespace
}  // namespace kindling::recguru
