// RecGURU with norm=pre: the network against its formulas in double, its gradients, the whole
// model.
#include <cmath>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/models/recguru/batch.h"
#include "kindling/models/recguru/net.h"
#include "kindling/models/vectors.h"
#include "kindling/nn/tensors.h"
#include "tests/models/recguru_support.h"
#include "tests/support/gradient_check.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::quick_guru;
using testing::RecGuru;
using testing::with;
using Parameters = torch::OrderedDict<std::string, torch::Tensor>;

constexpr std::int64_t kWidth = 4;

recguru::Options pre_options(double dropout) {
  recguru::Options options;
  options.norm = "pre";
  options.dim = kWidth;
  options.heads = 1;
  options.hidden = 5;
  options.layers = 2;
  options.dropout = dropout;
  options.positions = "learned";
  options.position_scale = 0.5;
  options.input_scale = 2.0;
  return options;
}

recguru::PackedRows two_sequences() {
  recguru::PackedRows rows;
  rows.offsets = {0, 2, 5};
  rows.ids = {0, 1, 2, 0, 1};
  rows.positions = {98, 99, 97, 98, 99};
  return rows;
}

torch::Tensor wave(torch::IntArrayRef shape, double phase) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (torch::arange(count, torch::kFloat64) + phase).cos().view(shape);
}

torch::Tensor normed(const torch::Tensor& x, const torch::Tensor& gain,
                     const torch::Tensor& shift) {
  const torch::Tensor centred = x - x.mean(1, true);
  return centred / (centred.square().mean(1, true) + 1e-8).sqrt() * gain + shift;
}

// One layer of one head written out; `user` [N, D] or undefined is added between its halves.
torch::Tensor layer(const Parameters& p, const std::string& name, torch::Tensor x, bool causal,
                    const torch::Tensor& user) {
  const auto at = [&](const char* what) { return p[name + what]; };
  const torch::Tensor n = normed(x, at("norm1_gain"), at("norm1_shift"));
  const auto qkv = (n.mm(at("in_weight").t()) + at("in_bias")).chunk(3, 1);
  const std::vector<std::int64_t> offsets = two_sequences().offsets;
  std::vector<torch::Tensor> mixed;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    const std::int64_t length = offsets[b + 1] - offsets[b];
    const auto part = [&](const torch::Tensor& t) { return t.narrow(0, offsets[b], length); };
    torch::Tensor scores = part(qkv[0]).mm(part(qkv[1]).t()) / std::sqrt(double{kWidth});
    if (causal) {
      scores = scores.masked_fill(torch::ones({length, length}, torch::kBool).triu(1), -INFINITY);
    }
    mixed.push_back(scores.softmax(1).mm(part(qkv[2])));
  }
  x = x + torch::cat(mixed).mm(at("out_weight").t()) + at("out_bias");
  if (user.defined()) x = x + user;
  const torch::Tensor m = normed(x, at("norm2_gain"), at("norm2_shift"));
  const torch::Tensor middle = torch::gelu(m.mm(at("feed1_weight").t()) + at("feed1_bias"), "tanh");
  return x + middle.mm(at("feed2_weight").t()) + at("feed2_bias");
}

torch::Tensor read_in(const Parameters& p, const torch::Tensor& table) {
  const recguru::PackedRows rows = two_sequences();
  return 2.0 * table.index_select(0, nn::index_tensor(rows.ids, torch::kCPU)) +
         p["positions_b"].index_select(0, nn::index_tensor(rows.positions, torch::kCPU));
}

TEST(RecGuruPreNorm, IsItsFormulasInDouble) {
  recguru::Net net(pre_options(0.0), recguru::Variant::kAutoRec, true, Rng(1));
  net.eval();
  const recguru::PackedRows rows = two_sequences();
  const torch::Tensor table = wave({3, kWidth}, 0.0).to(torch::kFloat32);
  Rng unused(0);
  const torch::Tensor h = net.user_vectors(recguru::kTarget, table, rows, unused);
  const torch::Tensor q = net.decode(net.recommender(), recguru::kTarget, table, rows, h,
                                     recguru::lengths_of(rows), unused);

  net.to(torch::kFloat64);
  const Parameters p = net.named_parameters();
  torch::Tensor x = read_in(p, table.to(torch::kFloat64));
  for (const char* name : {"encoder0.", "encoder1."}) x = layer(p, name, x, false, {});
  const torch::Tensor wanted_h = normed(x, p["encoder_final.gain"], p["encoder_final.shift"])
                                     .index_select(0, torch::tensor({1, 4}, torch::kInt64));
  x = read_in(p, table.to(torch::kFloat64));
  for (const char* number : {"0", "1"}) {
    const std::string user = std::string("recommender.user") + number;
    const torch::Tensor value =
        wanted_h.mm(p[user + "_value_weight"].t()) + p[user + "_value_bias"];
    const torch::Tensor added = value.mm(p[user + "_out_weight"].t()) + p[user + "_out_bias"];
    x = layer(p, std::string("recommender.layer") + number + ".", x, true,
              added.index_select(0, torch::tensor({0, 0, 1, 1, 1}, torch::kInt64)));
  }
  const torch::Tensor wanted_q =
      normed(x, p["recommender.final.gain"], p["recommender.final.shift"]);

  EXPECT_LT((h - wanted_h).abs().max().item<double>(), 2e-5);
  EXPECT_LT((q - wanted_q).abs().max().item<double>(), 2e-5);
}

TEST(RecGuruPreNorm, HasTheRightGradient) {
  recguru::Net net(pre_options(0.3), recguru::Variant::kAutoRec, true, Rng(1));
  net.to(torch::kFloat64);
  const recguru::PackedRows rows = two_sequences();
  const torch::Tensor table = wave({3, kWidth}, 0.0).requires_grad_(true);
  const Parameters p = net.named_parameters();

  testing::expect_gradient_matches(
      [&] {
        Rng same(4);
        const torch::Tensor h = net.user_vectors(recguru::kTarget, table, rows, same);
        const torch::Tensor q = net.decode(net.recommender(), recguru::kTarget, table, rows, h,
                                           recguru::lengths_of(rows), same);
        return (q * wave({5, kWidth}, 0.4)).sum();
      },
      {table, p["encoder0.norm1_gain"], p["encoder0.in_weight"], p["encoder1.feed1_weight"],
       p["encoder_final.gain"], p["encoder_final.shift"], p["recommender.layer0.norm2_gain"],
       p["recommender.user0_value_weight"], p["recommender.user1_out_weight"],
       p["recommender.layer1.in_weight"], p["recommender.final.gain"],
       p["recommender.final.shift"]},
      1e-5);
}

TEST(RecGuruPreNorm, TheWrittenOutAttentionEqualsTheShortcut) {
  recguru::Options options = pre_options(0.4);
  Rng one(1);
  Rng two(1);
  recguru::Decoder shortcut(options, true, one);
  options.user_attention = "full";
  recguru::Decoder full(options, true, two);
  const std::vector<std::int64_t> keys = {3, 4};
  const std::vector<std::int64_t> offsets = two_sequences().offsets;
  const torch::Tensor x = wave({5, kWidth}, 0.0).to(torch::kFloat32);
  const torch::Tensor h = wave({2, kWidth}, 0.5).to(torch::kFloat32);
  Rng drops(9);
  Rng same_drops(9);

  const torch::Tensor fast = shortcut.forward(x, offsets, h, keys, drops);
  const torch::Tensor slow = full.forward(x, offsets, h, keys, same_drops);

  EXPECT_LT((fast - slow).abs().max().item<double>(), 2e-5);
}

// [L, D] of the target.
torch::Tensor positions_of(const recguru::Net& net, const recguru::Options& options) {
  if (options.positions == "learned") return net.named_parameters()["positions_b"].detach();
  return recguru::sinusoids(options.max_length, options.dim);
}

TEST(RecGuruPositions, AreScaledFromTheirStart) {
  for (const char* positions : {"sinusoid", "learned"}) {
    recguru::Options plain;
    plain.dim = 8;
    plain.hidden = 8;
    plain.layers = 1;
    plain.positions = positions;
    recguru::Options small = plain;
    small.position_scale = 0.25;
    recguru::Net one(plain, recguru::Variant::kAutoRec, true, Rng(3));
    recguru::Net two(small, recguru::Variant::kAutoRec, true, Rng(3));
    one.eval();
    two.eval();
    const torch::Tensor all = positions_of(one, plain);
    // Items that are three quarters of the positions they stand at make up for what is missing.
    const torch::Tensor table =
        0.75 * all.index_select(0, torch::tensor({98, 99, 97}, torch::kInt64));
    Rng unused(0);
    const auto vectors = [&](recguru::Net& net, const torch::Tensor& items) {
      return net.user_vectors(recguru::kTarget, items, two_sequences(), unused);
    };

    const torch::Tensor wanted = vectors(one, torch::zeros({3, 8}));

    EXPECT_LT((vectors(two, table) - wanted).abs().max().item<double>(), 1e-5) << positions;
    EXPECT_GT((vectors(one, table) - wanted).abs().max().item<double>(), 1e-2) << positions;
  }
}

// User 0 has four items, so that 1 to 3 of them are the beginning; user 1 has one, user 2 two.
TEST(RecGuruBatch, GivesEachPartOfASequenceAUserVectorOfItsPast) {
  DatasetBuilder builder(false);
  for (int item = 0; item < 9; ++item) builder.item("i" + std::to_string(item));
  for (const ItemId item : {0, 1, 2, 3}) builder.add(builder.user("a"), item, 0);
  builder.add(builder.user("b"), 4, 0);
  for (const ItemId item : {5, 6}) builder.add(builder.user("c"), item, 0);
  const Dataset data = std::move(builder).build("world");
  const recguru::DomainData domain(data);
  std::vector<std::int64_t> parts;
  std::vector<std::int64_t> later;

  const recguru::PackedRows rows = recguru::past_and_empty_rows(
      domain, std::vector<UserId>{0, 1, 2}, 100, nullptr, Rng(3), parts);
  const recguru::PackedRows past =
      recguru::past_rows(domain, std::vector<UserId>{0, 1, 2}, 100, nullptr, Rng(3), later);

  const std::int64_t cut = past.offsets[1] - 1;
  EXPECT_EQ(recguru::lengths_of(rows), (std::vector<std::int64_t>{1, cut + 1, 1, 1, 1, 2}));
  EXPECT_EQ(parts, (std::vector<std::int64_t>{0, cut, 4, 4, 5, 6, 7}));
  EXPECT_EQ(rows.ids.front(), 9);
  EXPECT_EQ(later.front(), cut);
}

TEST(RecGuruDecoder, RowsReadTheUserVectorOfTheirPart) {
  Rng start(1);
  recguru::Decoder decoder(pre_options(0.0), true, start);
  decoder.eval();
  const std::vector<std::int64_t> keys = {1, 2, 1, 3};
  const std::vector<std::int64_t> parts = {0, 1, 2, 2, 5};
  const torch::Tensor x = wave({5, kWidth}, 0.0).to(torch::kFloat32);
  const torch::Tensor h = wave({4, kWidth}, 0.5).to(torch::kFloat32);
  Rng unused(0);
  const auto read = [&](const std::vector<std::int64_t>& offsets, const torch::Tensor& vectors,
                        std::span<const std::int64_t> seen,
                        std::span<const std::int64_t> of_parts) {
    return decoder.forward(x, offsets, vectors, seen, unused, of_parts);
  };
  const std::vector<std::int64_t> offsets = {0, 2, 5};

  const torch::Tensor mixed = read(offsets, h, keys, parts);

  // Row 0 precedes what the second vector reaches, and the last sequence has one vector alone.
  const std::vector<std::int64_t> two = {1, 3};
  const torch::Tensor plain =
      read(offsets, h.index_select(0, torch::tensor({0, 3}, torch::kInt64)), two, {});
  EXPECT_LT((mixed[0] - plain[0]).abs().max().item<double>(), 1e-6);
  EXPECT_LT((mixed - plain).narrow(0, 2, 3).abs().max().item<double>(), 1e-6);
  EXPECT_GT((mixed[1] - plain[1]).abs().max().item<double>(), 1e-3);
}

// The last event of a sequence, seen in training and asked for.
TEST_F(RecGuru, AnswersBehindTheEmptyUserVectorAsItLearnt) {
  OptionValues values = with(with(quick_guru(), "layers", "2"), "finetune_user", "past+empty");
  const auto model = make_model("autorec", values);
  FitContext context;
  model->fit(task(), context);
  recguru::Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  recguru::Net net(options, recguru::Variant::kAutoRec, false, Rng(0));
  net.eval();
  nn::NamedTensors parameters;
  torch::Tensor table;
  const ModelState state = model->state();
  for (const NamedTensor& saved : state) {
    const torch::Tensor tensor = torch::tensor(saved.values).view(saved.shape);
    (saved.name == "items" ? table : parameters.emplace_back(saved.name, tensor).second) = tensor;
  }
  nn::load_parameters(net, parameters);
  const recguru::DomainData domain(target_);
  const UserId user = 0;
  const auto history = target_.history(user);
  ASSERT_GT(history.size(), 2U);
  const auto last = static_cast<std::int64_t>(history.size()) - 1;
  recguru::PackedRows past;
  std::vector<std::int64_t> parts;
  for (std::uint64_t seed = 0; parts.empty() || parts[1] != last; ++seed) {
    past = recguru::past_and_empty_rows(domain, std::vector<UserId>{user}, options.max_length,
                                        nullptr, Rng(seed), parts);
  }
  recguru::PackedRows rows;
  recguru::push_decoder(history, domain.items(), options.max_length, false, nullptr, rows);
  const torch::NoGradGuard no_grad;
  Rng unused(0);

  const torch::Tensor h = net.user_vectors(recguru::kTarget, table, past, unused);
  const torch::Tensor learnt = net.decode(net.recommender(), recguru::kTarget, table, rows, h,
                                          recguru::lengths_of(past), unused, parts)[last];

  const std::vector<Query> queries = {{history.first(static_cast<std::size_t>(last))}};
  const auto& answering = dynamic_cast<const VectorRecommender&>(*model);
  const Matrix answered = answering.user_vectors({&target_, nullptr}, queries);
  for (std::int64_t c = 0; c < options.dim; ++c) {
    EXPECT_NEAR(learnt[c].item<float>(), answered(0, static_cast<std::size_t>(c)), 1e-5F) << c;
  }
}

TEST_F(RecGuru, UserDropoutIsOfFineTuningAlone) {
  const auto fitted = [&](const char* dropout, const char* steps) {
    const auto model = make_model(
        "autorec", with(with(quick_guru(), "user_dropout", dropout), "finetune_steps", steps));
    FitContext context;
    model->fit(task(), context);
    return scores(*model);
  };

  expect_equal(fitted("0.5", "0"), fitted("0", "0"));
  EXPECT_NE(fitted("0.5", "5")(0, 0), fitted("0", "5")(0, 0));
}

OptionValues quick_pre() {
  OptionValues options = quick_guru();
  for (const auto& [name, value] :
       {std::pair{"norm", "pre"}, std::pair{"positions", "learned"},
        std::pair{"position_scale", "0.01"}, std::pair{"finetune_user", "past+empty"},
        std::pair{"tables", "dense"}}) {
    options = with(options, name, value);
  }
  return options;
}

TEST_F(RecGuru, WithPreNormScoresTheSameWhenLoaded) {
  for (const char* name : {"recguru", "autorec", "seqrec"}) {
    const auto model = make_model(name, quick_pre());
    FitContext context;
    model->fit(task(), context);
    const auto loaded = make_model(name, {});

    loaded->load_state(model->state(), model->details());

    expect_equal(scores(*model), scores(*loaded));
  }
}

TEST_F(RecGuru, WithPreNormResumedEndsWhereAnUninterruptedRunEnds) {
  const auto whole = make_model("recguru", quick_pre());
  FitContext plain;
  whole->fit(task(), plain);
  const testing::TempDir folder;
  FitContext context;
  context.checkpoint = folder.file("checkpoint");
  context.resume = true;
  int asked = 0;
  context.should_stop = [&asked] { return ++asked == 10 || asked == 18 || asked == 30; };
  for (int interruption = 0; interruption < 3; ++interruption) {
    EXPECT_THROW(make_model("recguru", quick_pre())->fit(task(), context), Error);
  }
  const auto parts = make_model("recguru", quick_pre());
  parts->fit(task(), context);

  expect_equal(scores(*whole), scores(*parts));
}

TEST(RecGuruIdentity, OfTheDefaultsKnowsNothingOfTheNewOptions) {
  recguru::Options options;
  EXPECT_FALSE(recguru::identity_of(options).contains("norm"));
  EXPECT_FALSE(recguru::identity_of(options).contains("position_scale"));
  EXPECT_FALSE(recguru::identity_of(options).contains("user_dropout"));
  options.norm = "pre";
  options.position_scale = 0.5;
  options.user_dropout = 0.25;
  EXPECT_EQ(recguru::identity_of(options).at("norm"), "pre");
  EXPECT_EQ(recguru::identity_of(options).at("user_dropout"), 0.25);
  EXPECT_EQ(recguru::identity_of(options).at("position_scale"), 0.5);
}

}  // namespace
}  // namespace kindling
