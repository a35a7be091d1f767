// RecGURU as a model: learning, resume, divergence, bad input.
#include <cmath>
#include <iostream>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/data/split.h"
#include "kindling/kernels/rank_count.h"
#include "kindling/models/registry.h"
#include "tests/models/recguru_support.h"
#include "tests/support/temp_dir.h"

namespace kindling {
namespace {

using testing::quick_guru;
using testing::RecGuru;
using testing::rename_users;
using testing::with;

TEST_F(RecGuru, RecordsTheCurvesOfFigure2) {
  const auto model = make_model("recguru", quick_guru());
  FitContext context;

  model->fit(task(), context);

  const Json details = model->details();
  for (const char* curve : {"reconstruction_a", "reconstruction_b", "wasserstein", "critic",
                            "overlap", "finetune", "finetune_reconstruction"}) {
    ASSERT_TRUE(details.at("curves").contains(curve)) << curve;
  }
  EXPECT_EQ(details.at("curves").at("reconstruction_a").size(), 3U);  // steps 0, 10, 12
  EXPECT_EQ(details.at("shared_users"), 80);
  EXPECT_GT(details.at("alike").at("before").at("domain_accuracy").get<double>(), 0.5);
  EXPECT_GT(details.at("alike").at("after").at("stranger_distance").get<double>(), 0.0);
  EXPECT_EQ(context.history.size(), 4U);
}

TEST_F(RecGuru, ReconstructionLossFalls) {
  const auto model =
      make_model("autorec", with(with(quick_guru(), "pretrain_steps", "101"), "dropout", "0"));
  FitContext context;

  model->fit(task(), context);

  const Json details = model->details();
  const Json& curve = details.at("curves").at("reconstruction_b");
  EXPECT_LT(curve.back().at(1).get<double>(), 0.8 * curve.front().at(1).get<double>());
}

TEST_F(RecGuru, ResumedEndsWhereAnUninterruptedRunEnds) {
  for (const char* name : {"recguru", "seqrec"}) {
    const auto whole = make_model(name, quick_guru());
    FitContext plain;
    whole->fit(task(), plain);
    // Interrupted in every phase in turn, each time a few steps after a checkpoint.
    const testing::TempDir folder;
    int asked = 0;
    int runs = 0;
    std::unique_ptr<Recommender> parts;
    for (bool done = false; !done; ++runs) {
      parts = make_model(name, quick_guru());
      FitContext context;
      context.checkpoint = folder.file("checkpoint");
      context.resume = true;
      const int limit = asked + 7;
      context.should_stop = [&asked, limit] { return ++asked > limit; };
      try {
        parts->fit(task(), context);
        done = true;
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), Kind::kIo) << error.what();
      }
    }

    EXPECT_GT(runs, 2);
    expect_equal(scores(*whole), scores(*parts));
  }
}

TEST_F(RecGuru, LosesNoStepWhenInterrupted) {
  const testing::TempDir folder;
  FitContext context;
  context.checkpoint = folder.file("checkpoint");
  context.resume = true;
  int asked = 0;
  context.should_stop = [&asked] { return ++asked == 6; };
  const OptionValues rare = with(quick_guru(), "checkpoint_every", "1000");

  EXPECT_THROW(make_model("seqrec", rare)->fit(task(), context), Error);
  make_model("seqrec", rare)->fit(task(), context);

  EXPECT_EQ(asked, 6 + 15);  // 20 steps, five of them before the interruption
}

// The last good state is older than the interruption: it must come back too.
TEST_F(RecGuru, ResumedDivergesAsAnUninterruptedRunDoes) {
  const OptionValues wild =
      with(with(with(quick_guru(), "adversarial_rate", "1e9"), "adversarial_steps", "12"),
           "checkpoint_every", "1000");
  const auto whole = make_model("recguru", wild);
  FitContext plain;
  whole->fit(task(), plain);
  const testing::TempDir folder;
  FitContext context;
  context.checkpoint = folder.file("checkpoint");
  context.resume = true;
  int asked = 0;
  context.should_stop = [&asked] { return ++asked == 14; };  // in the adversarial phase

  EXPECT_THROW(make_model("recguru", wild)->fit(task(), context), Error);
  const auto resumed = make_model("recguru", wild);
  resumed->fit(task(), context);

  EXPECT_GT(resumed->details().at("divergences").get<int>(), 0);
  EXPECT_EQ(resumed->details().at("divergences"), whole->details().at("divergences"));
  expect_equal(scores(*whole), scores(*resumed));
}

// Validation falls from step to step: the best state is the first one validated.
TEST_F(RecGuru, KeepsTheBestStateOrTheLast) {
  const OptionValues patient = with(quick_guru(), "patience", "0");
  const auto fitted = [&](const char* keep, bool validates) {
    auto model = make_model("seqrec", with(patient, "keep", keep));
    FitContext context;
    int asked = 0;
    if (validates) context.validate = [&](const Recommender&) { return 0.5 - 0.1 * ++asked; };
    model->fit(task(), context);
    return scores(*model);
  };
  const Matrix last = fitted("last", true);

  expect_equal(last, fitted("last", false));
  EXPECT_NE(last(0, 0), fitted("best", true)(0, 0));
}

TEST_F(RecGuru, RefusesTheCheckpointOfAnotherRun) {
  const testing::TempDir folder;
  FitContext context;
  context.checkpoint = folder.file("checkpoint");
  make_model("seqrec", quick_guru())->fit(task(), context);
  context.resume = true;
  context.seed = 2;

  EXPECT_THROW(make_model("seqrec", quick_guru())->fit(task(), context), Error);
}

TEST_F(RecGuru, GoesOnFromTheLastGoodStateWhenTheCriticDiverges) {
  const auto model = make_model(
      "recguru", with(with(quick_guru(), "adversarial_rate", "1e9"), "adversarial_steps", "12"));
  FitContext context;

  model->fit(task(), context);

  EXPECT_GT(model->details().at("divergences").get<int>(), 0);
  const Matrix found = scores(*model);
  for (std::size_t i = 0; i < found.rows() * found.cols(); ++i) {
    ASSERT_TRUE(std::isfinite(found.data()[i]));
  }
}

TEST_F(RecGuru, FineTuningThatDivergesGoesOnFromItsBestStateAtALowerRate) {
  const auto model = make_model("recguru", with(quick_guru(), "finetune_rate", "1e6"));
  FitContext context;
  int asked = 0;
  context.validate = [&](const Recommender&) { return 0.1 * ++asked; };

  model->fit(task(), context);

  EXPECT_GT(model->details().at("divergences").get<int>(), 0);
  EXPECT_GT(context.history.size(), 1U);
  const Matrix found = scores(*model);
  for (std::size_t i = 0; i < found.rows() * found.cols(); ++i) {
    ASSERT_TRUE(std::isfinite(found.data()[i]));
  }
}

TEST_F(RecGuru, FineTuningThatDivergesWithoutAStateToReturnToIsAnError) {
  for (const bool validates : {false, true}) {
    const auto model = make_model("recguru", with(quick_guru(), "finetune_rate", "1e18"));
    FitContext context;
    if (validates) context.validate = [](const Recommender&) { return 0.1; };

    EXPECT_THROW(model->fit(task(), context), Error) << validates;
  }
}

TEST_F(RecGuru, LearnsWithoutCommonUsersAndSaysThatTheOverlapLossIsSkipped) {
  source_ = rename_users(source_, "a");
  const auto model = make_model("recguru", quick_guru());
  FitContext context;

  model->fit(task(), context);

  EXPECT_EQ(model->details().at("overlap_loss"), "skipped: no common users");
  EXPECT_FALSE(model->details().at("curves").contains("overlap"));
}

TEST_F(RecGuru, RefusesAnEmptyDomain) {
  DatasetBuilder builder(false);
  builder.item("thing");
  builder.user("nobody");
  const Dataset empty = std::move(builder).build("empty");
  TrainTask lacking = task();
  lacking.source = Domain{&empty, nullptr};
  FitContext context;
  try {
    make_model("recguru", quick_guru())->fit(lacking, context);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kBadInput);
    EXPECT_EQ(error.place(), "empty");
  }
}

TEST_F(RecGuru, TakesSequencesOfOneItem) {
  DatasetBuilder builder(false);
  for (int item = 0; item < 5; ++item) builder.item("i" + std::to_string(item));
  for (UserId user = 0; user < 12; ++user) {
    builder.add(builder.user("u" + std::to_string(user)), user % 5, 0);
  }
  target_ = std::move(builder).build("short");
  for (const char* user : {"whole", "past"}) {
    const auto model = make_model("recguru", with(quick_guru(), "finetune_user", user));
    FitContext context;

    model->fit(task(), context);

    EXPECT_TRUE(std::isfinite(scores(*model)(0, 0)));
  }
}

TEST_F(RecGuru, KeepsTheBestValidatedStateAndStopsEarly) {
  int asked = 0;
  FitContext context;
  context.validate = [&](const Recommender& model) {
    EXPECT_TRUE(std::isfinite(scores(model)(0, 0)));
    return ++asked == 2 ? 0.5 : 0.1;
  };
  const auto model =
      make_model("recguru", with(with(quick_guru(), "finetune_steps", "500"), "patience", "3"));

  model->fit(task(), context);

  EXPECT_EQ(asked, 5);
  EXPECT_EQ(model->details().at("best_step"), 5);
  EXPECT_EQ(model->details().at("finetune_steps"), 20);
  EXPECT_EQ(context.history.back().validation_loss, 0.9);
}

TEST_F(RecGuru, KeepsWhatPreTrainingLeftWhereFineTuningOnlyHarms) {
  int asked = 0;
  Matrix before(0, 0);
  FitContext context;
  context.validate = [&](const Recommender& model) {
    if (asked == 0) before = scores(model);
    return ++asked == 1 ? 0.5 : 0.1;
  };
  const auto model = make_model("autorec", with(quick_guru(), "patience", "2"));

  model->fit(task(), context);

  EXPECT_EQ(model->details().at("best_step"), 0);
  EXPECT_EQ(model->details().at("finetune_steps"), 10);
  expect_equal(scores(*model), before);
}

}  // namespace
}  // namespace kindling
