// The profiles and switches of RecGURU; what the released code leaks, and only when asked to.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/models/recguru/batch.h"
#include "kindling/models/recguru/net.h"
#include "tests/models/recguru_support.h"
#include "tests/support/error_kind.h"

namespace kindling {
namespace {

using testing::quick_guru;
using testing::RecGuru;
using testing::with;

// One user with items 0 to 6; 7 and 8 are there too.
Dataset seven_of_nine() {
  DatasetBuilder builder(false);
  for (int item = 0; item < 9; ++item) builder.item("i" + std::to_string(item));
  for (ItemId item = 0; item < 7; ++item) builder.add(builder.user("u"), item, 0);
  return std::move(builder).build("world");
}

TEST(RecGuruBatch, NeverDrawsWhatLeaked) {
  const Dataset data = seven_of_nine();  // 7 and 8 are left
  const std::vector<std::vector<ItemId>> leaked = {{7}};
  recguru::DomainData honest(data);
  recguru::DomainData domain(data, leaked);
  Rng rng(1);

  std::int64_t lowest = 8;
  for (int draw = 0; draw < 50; ++draw) {
    EXPECT_EQ(domain.draw_negative(0, false, rng), 8);
    lowest = std::min(lowest, honest.draw_negative(0, false, rng));
  }
  EXPECT_EQ(lowest, 7);
}

TEST_F(RecGuru, TakesEveryProfileAndSwitch) {
  const std::vector<std::pair<const char*, const char*>> switches = {
      {"profile", "paper"},
      {"profile", "released"},
      {"profile", "tuned"},
      {"adversary", "bce"},
      {"adversary", "none"},
      {"overlap_loss", "l2"},
      {"positions", "learned"},
      {"input_scale", "4"},
      {"tables", "dense"},
      {"finetune_user", "past"},
      {"finetune_user", "past+empty"},
      {"norm", "pre"},
      {"user_dropout", "0.5"},
      {"finetune_detach", "false"},
      {"finetune_loss", "bpr"},
      {"finetune_loss", "softmax"},
      {"finetune_reconstruction", "false"},
      {"recommender_start", "random"},
      {"recommender_start", "shared"},
      {"negatives_exclude", "training+test"}};
  for (const auto& [name, value] : switches) {
    const auto model = make_model("recguru", with(quick_guru(), name, value));
    FitContext context;

    model->fit(leaking_task(), context);

    EXPECT_TRUE(std::isfinite(scores(*model)(0, 0))) << name << "=" << value;
    EXPECT_EQ(model->details().at("options").at("pretrain_steps"), 12);
  }
}

TEST_F(RecGuru, LeavesTheTestItemsOutOfTheNegativesOnlyWhenAskedTo) {
  const auto fitted = [&](const TrainTask& learnt, OptionValues options) {
    const auto model = make_model("autorec", options);
    FitContext context;
    model->fit(learnt, context);
    return scores(*model);
  };
  const OptionValues leak = with(quick_guru(), "negatives_exclude", "training+test");

  const Matrix honest = fitted(task(), quick_guru());
  expect_equal(fitted(leaking_task(), quick_guru()), honest);
  EXPECT_NE(fitted(leaking_task(), leak)(0, 0), honest(0, 0));
}

TEST_F(RecGuru, ASharedRecommenderIsThePreTrainedDecoder) {
  const auto fitted = [&](const char* start, const char* finetune_steps) {
    OptionValues options = with(quick_guru(), "recommender_start", start);
    const auto model = make_model("recguru", with(options, "finetune_steps", finetune_steps));
    FitContext context;
    model->fit(task(), context);
    return scores(*model);
  };

  expect_equal(fitted("shared", "0"), fitted("decoder", "0"));
  EXPECT_NE(fitted("random", "0")(0, 0), fitted("decoder", "0")(0, 0));
  // Fine-tuning then also gets the gradient of the reconstruction through the same weights.
  EXPECT_NE(fitted("shared", "5")(0, 0), fitted("decoder", "5")(0, 0));
}

TEST_F(RecGuru, SaysThatTheLeakNeedsTheTestItems) {
  for (const char* name : {"recguru", "autorec", "seqrec", "autoem"}) {
    for (const auto& [option, value] :
         {std::pair{"negatives_exclude", "training+test"}, std::pair{"profile", "released"}}) {
      const auto model = make_model(name, with(quick_guru(), option, value));
      FitContext context;

      EXPECT_EQ(testing::kind_of([&] { model->fit(task(), context); }), Kind::kUnsupported) << name;
    }
  }
}

TEST_F(RecGuru, AutoEmPassesTheLeakOnToItsBase) {
  OptionValues options = with(quick_guru(), "negatives_exclude", "training+test");
  for (const auto& [name, value] : {std::pair{"map_epochs", "1"}, std::pair{"merge_steps", "1"}}) {
    options = with(options, name, value);
  }
  const auto model = make_model("autoem", options);
  FitContext context;

  model->fit(leaking_task(), context);

  EXPECT_TRUE(std::isfinite(scores(*model)(0, 0)));
}

TEST(RecGuruInput, ScalesItemVectorsButNotPositions) {
  recguru::Options plain;
  plain.dim = 8;
  plain.hidden = 8;
  plain.layers = 1;
  recguru::Options scaled = plain;
  scaled.input_scale = 2.0;
  recguru::Net one(plain, recguru::Variant::kAutoRec, true, Rng(3));
  recguru::Net two(scaled, recguru::Variant::kAutoRec, true, Rng(3));
  one.eval();
  two.eval();
  recguru::PackedRows rows;
  rows.offsets = {0, 3};
  rows.ids = {0, 1, 2};
  rows.positions = {97, 98, 99};
  const torch::Tensor table = torch::arange(24, torch::kFloat32).view({3, 8}) / 24.0;
  Rng unused(0);

  const torch::Tensor doubled = one.user_vectors(recguru::kTarget, 2.0 * table, rows, unused);
  const torch::Tensor read = two.user_vectors(recguru::kTarget, table, rows, unused);
  const torch::Tensor undone = one.user_vectors(recguru::kTarget, table, rows, unused);

  EXPECT_TRUE(torch::equal(doubled, read));
  EXPECT_FALSE(torch::equal(undone, read));
}

// specs/recguru.md 5: popular negatives from 0.8 T on, phase 3 lasts from 0.6 T to 1.2 T.
TEST(RecGuruOptions, TheReleasedProfileChangesItsNegativesAfterAThird) {
  EXPECT_DOUBLE_EQ(recguru::profile_options("released").popular_negatives_from, (0.8 - 0.6) / 0.6);
}

// What a profile sets, beside its name, that `clean` does not.
std::map<std::string, Json> set_by(const std::string& profile) {
  const Json clean = options_to_json(recguru::profile_options("clean"));
  const Json all = options_to_json(recguru::profile_options(profile));
  std::map<std::string, Json> set;
  for (const auto& [name, value] : all.items()) {
    if (name != "profile" && clean.at(name) != value) set[name] = value;
  }
  return set;
}

TEST(RecGuruOptions, TheCleanProfileIsTheDecisions) {
  const Json clean = options_to_json(recguru::profile_options("clean"));
  const Json decided = {{"adversary", "wgan-gp"},  // R6
                        {"gradient_penalty", 0.1},
                        {"critic_steps", 5},
                        {"critic", "paper"},      // R7
                        {"overlap_loss", "mse"},  // R8
                        {"reconstruction_weight", 1.0},
                        {"adversarial_weight", 1.0},
                        {"overlap_weight", 1.0},
                        {"pretrain_steps", 2000},  // R10
                        {"warmup", 1000},
                        {"pretrain_rate", 1.0},
                        {"adversarial_steps", 1000},
                        {"adversarial_rate", 1e-4},
                        {"finetune_steps", 5000},
                        {"finetune_rate", 1e-3},
                        {"finetune_beta2", 0.98},
                        {"evaluate_every", 100},
                        {"patience", 5},
                        {"batch_size", 1024},
                        {"negatives", 20},
                        {"finetune_negatives", 5},
                        {"keep", "best"}};  // R14

  for (const auto& [name, value] : decided.items()) EXPECT_EQ(clean.at(name), value) << name;
}

// specs/recguru.md 5: T = 300, of which phases 2 and 3 have 0.6 T each; a warm-up of half of 300
// passes.
TEST(RecGuruOptions, TheReleasedProfileIsTheCodesSettings) {
  constexpr int kSteps = 300;
  constexpr int kPass = (9024 + 46'810) / 1024;  // batches: users of Sport and Cloth

  const std::map<std::string, Json> released = {{"pretrain_steps", 200},
                                                {"warmup", 300 * kPass / 2},
                                                {"adversarial_steps", kSteps * 6 / 10},
                                                {"finetune_steps", kSteps * 6 / 10},
                                                {"patience", 0},
                                                {"keep", "last"},
                                                {"popular_negatives_from", 1.0 / 3.0},
                                                {"negatives", 30},
                                                {"negatives_exclude", "training+test"},
                                                {"finetune_loss", "bpr"},
                                                {"critic", "released"},
                                                {"overlap_loss", "none"},
                                                {"recommender_start", "random"}};

  EXPECT_EQ(set_by("released"), released);
  EXPECT_EQ(recguru::profile_options("released").warmup, 8100);
  EXPECT_EQ(recguru::profile_options("released").finetune_steps, 180);
}

// specs/recguru.md 5: AutoRec's own program.
TEST_F(RecGuru, TheReleasedProfileOfOneDomainIsAutoRecsProgram) {
  const auto model = make_model("autorec", with(quick_guru(), "profile", "released"));
  FitContext context;
  model->fit(leaking_task(), context);

  const Json learnt = model->details().at("options");
  EXPECT_EQ(learnt.at("finetune_loss"), "paper");
  EXPECT_EQ(learnt.at("pretrain_beta2"), 0.99);
  EXPECT_EQ(learnt.at("finetune_beta2"), 0.99);
  EXPECT_EQ(learnt.at("negatives_exclude"), "training+test");
  const recguru::Options released = recguru::profile_options("released", true);
  EXPECT_EQ(released.finetune_rate, 0.01);
  EXPECT_EQ(released.warmup, 1000);
  EXPECT_EQ(released.finetune_steps, 500 * 27);
}

TEST(RecGuruOptions, ThePaperProfileIsTheEquationsAsPrinted) {
  const std::map<std::string, Json> paper = {{"positions", "learned"},
                                             {"adversary", "bce"},    // (8)
                                             {"overlap_loss", "l2"},  // (9)
                                             {"finetune_beta2", 0.9},
                                             {"finetune_detach", false},
                                             {"finetune_reconstruction", false},
                                             {"popular_negatives_from", 1.0}};

  EXPECT_EQ(set_by("paper"), paper);
}

TEST_F(RecGuru, LearnsWithWhatItsProfileSets) {
  for (const char* profile : {"paper", "released"}) {
    const OptionValues given = with(quick_guru(), "profile", profile);
    const auto model = make_model("recguru", given);
    FitContext context;
    model->fit(leaking_task(), context);

    const Json learnt = model->details().at("options");
    EXPECT_EQ(learnt.at("profile"), profile);
    for (const auto& [name, value] : set_by(profile)) {
      const bool is_given =
          std::any_of(given.begin(), given.end(),
                      [&name = name](const auto& option) { return option.first == name; });
      if (is_given) continue;
      EXPECT_EQ(learnt.at(name), value) << profile << ' ' << name;
    }
  }
}

TEST_F(RecGuru, TellsTheValidationOfTheStateThatItKeeps) {
  for (const char* keep : {"best", "last"}) {
    const auto model = make_model("recguru", with(quick_guru(), "keep", keep));
    double asked = 1.0;
    FitContext context;
    context.validate = [&](const Recommender&) { return asked *= 0.5; };

    model->fit(task(), context);

    const bool best = std::string(keep) == "best";
    EXPECT_EQ(model->details().at("validation_hr@10"), best ? 0.5 : asked);
    EXPECT_EQ(model->details().contains("best_step"), best);
  }
}

TEST_F(RecGuru, OutOfTimeInPhaseOneItRecommendsByItsDecoderOrSaysSo) {
  FitContext context;
  context.max_seconds = 1e-9;
  const auto decoder = make_model("recguru", quick_guru());
  decoder->fit(task(), context);
  EXPECT_TRUE(std::isfinite(scores(*decoder)(0, 0)));

  const auto untrained = make_model("recguru", with(quick_guru(), "recommender_start", "random"));
  EXPECT_EQ(testing::kind_of([&] { untrained->fit(task(), context); }), Kind::kBadOption);
}

TEST(RecGuruOptions, AProfileSetsWhatIsNotGiven) {
  try {
    make_model("recguru", {{"profile", "released"}, {"heads", "3"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadOption);
  }
}

}  // namespace
}  // namespace kindling
