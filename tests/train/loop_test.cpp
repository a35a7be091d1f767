#include "kindling/train/loop.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/random.h"
#include "kindling/train/checkpoint.h"
#include "tests/support/temp_dir.h"

namespace kindling::train {
namespace {

// Noisy descent towards (3, 3): validation falls at first and then jitters.
class Bowl {
 public:
  Bowl() : p(torch::zeros({2}).requires_grad_(true)) {
    optimizer = make_optimizer({.kind = "adam", .learning_rate = 0.3}, {{"p", p}});
    job.name = "bowl";
    job.identity = "bowl of soup";
    job.begin_epoch = [](std::int64_t) { return 3; };
    job.run_batch = [this](std::int64_t epoch, std::int64_t batch, const Job::Step& step) {
      Rng rng = Rng(5)
                    .fork("epoch", static_cast<std::uint64_t>(epoch))
                    .fork("batch", static_cast<std::uint64_t>(batch));
      const torch::Tensor loss = (p - 3.0 + rng.normal()).square().sum();
      loss.backward();
      step({loss.item<double>(), 1});
    };
    job.validate = [this](double) {
      return Validation{(p.detach() - 3.0).square().sum().item<double>(), 0.5};
    };
  }

  torch::Tensor p;
  std::unique_ptr<Optimizer> optimizer;
  Job job;
};

TEST(RunEpochs, LeavesTheBestWeightsInPlace) {
  Bowl bowl;

  const LoopResult result = run_epochs(bowl.job, *bowl.optimizer, {.epochs = 12});

  double best = std::numeric_limits<double>::infinity();
  for (const EpochResult& epoch : result.history) best = std::min(best, epoch.validation.loss);
  EXPECT_EQ(result.history.size(), 12U);
  EXPECT_DOUBLE_EQ(result.best_loss, best);
  EXPECT_DOUBLE_EQ(bowl.job.validate(0).loss, best);
}

TEST(RunEpochs, ResumingEqualsAnUninterruptedRunBitForBit) {
  Bowl straight;
  LoopOptions options{.epochs = 8, .plateau = {.factor = 0.25, .patience = 2}};
  const LoopResult expected = run_epochs(straight.job, *straight.optimizer, options);
  const testing::TempDir folder;
  options.checkpoint = folder.file("run.ckpt");

  Bowl first;
  options.epochs = 3;
  run_epochs(first.job, *first.optimizer, options);
  Bowl second;
  options.epochs = 8;
  options.resume = true;
  const LoopResult resumed = run_epochs(second.job, *second.optimizer, options);

  EXPECT_TRUE(torch::equal(straight.p, second.p));
  ASSERT_EQ(resumed.history.size(), 8U);
  for (std::size_t e = 0; e < 8; ++e) {
    EXPECT_EQ(resumed.history[e].train_loss, expected.history[e].train_loss);
    EXPECT_EQ(resumed.history[e].validation.loss, expected.history[e].validation.loss);
    EXPECT_EQ(resumed.history[e].learning_rate, expected.history[e].learning_rate);
  }
}

TEST(RunEpochs, InterruptionInsideAnEpochKeepsTheEpochBefore) {
  const testing::TempDir folder;
  LoopOptions options{.epochs = 4, .checkpoint = folder.file("run.ckpt")};
  Bowl straight;
  run_epochs(straight.job, *straight.optimizer, {.epochs = 4});

  Bowl stopped;
  int asked = 0;
  stopped.job.should_stop = [&] { return ++asked == 8; };  // in the third epoch
  try {
    run_epochs(stopped.job, *stopped.optimizer, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kIo);
    EXPECT_NE(error.hint().find("--resume"), std::string::npos);
  }
  Bowl resumed;
  options.resume = true;
  run_epochs(resumed.job, *resumed.optimizer, options);

  EXPECT_TRUE(torch::equal(straight.p, resumed.p));
}

TEST(RunEpochs, DivergenceNamesEpochAndBatchAndKeepsTheCheckpoint) {
  const testing::TempDir folder;
  Bowl bowl;
  const auto honest = bowl.job.run_batch;
  bowl.job.run_batch = [&](std::int64_t epoch, std::int64_t batch, const Job::Step& step) {
    if (epoch == 2 && batch == 1) step({std::nan(""), 1});
    honest(epoch, batch, step);
  };
  try {
    run_epochs(bowl.job, *bowl.optimizer, {.epochs = 4, .checkpoint = folder.file("c")});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kDiverged);
    EXPECT_NE(error.message().find("epoch 2, batch 2"), std::string::npos) << error.message();
    EXPECT_NE(error.hint().find("learning_rate"), std::string::npos);
  }
  EXPECT_EQ(load_checkpoint(folder.file("c"))->facts.at("epoch"), 1);
}

TEST(RunEpochs, StopsAfterPatience) {
  Bowl bowl;
  bowl.job.validate = [](double) { return Validation{1.0, 0.0}; };

  const LoopResult result =
      run_epochs(bowl.job, *bowl.optimizer,
                 {.epochs = 50, .plateau = {.factor = 1.0, .patience = 0, .stop_patience = 3}});

  EXPECT_EQ(result.history.size(), 4U);
  EXPECT_EQ(result.best_epoch, 1);
}

TEST(RunEpochs, TimeLimitEndsTheRunWithAValidatedEpoch) {
  Bowl bowl;

  const LoopResult result =
      run_epochs(bowl.job, *bowl.optimizer, {.epochs = 1000, .max_seconds = 1e-9});

  EXPECT_EQ(result.history.size(), 1U);
}

TEST(RunEpochs, RefusesTheCheckpointOfAnotherRun) {
  const testing::TempDir folder;
  LoopOptions options{.epochs = 1, .checkpoint = folder.file("c")};
  Bowl first;
  run_epochs(first.job, *first.optimizer, options);
  Bowl other;
  other.job.identity = "bowl of rice";
  options.resume = true;

  EXPECT_THROW(run_epochs(other.job, *other.optimizer, options), Error);
}

TEST(RunEpochs, AnEmptyEpochIsAClearError) {
  Bowl bowl;
  bowl.job.begin_epoch = [](std::int64_t) { return 0; };

  EXPECT_THROW(run_epochs(bowl.job, *bowl.optimizer, {.epochs = 1}), Error);
}

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const testing::TempDir folder;
  const Checkpoint written{{{"a/b", torch::cos(torch::arange(6)).view({2, 3})}},
                           {{"epoch", 4}, {"loss", 0.1}}};

  save_checkpoint(folder.file("c"), written);
  const auto read = load_checkpoint(folder.file("c"));

  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->facts, written.facts);
  EXPECT_EQ(read->tensors[0].first, "a/b");
  EXPECT_TRUE(torch::equal(read->tensors[0].second, written.tensors[0].second));
}

TEST(Checkpoint, IsNothingWhenAbsentAndGoneWhenRemoved) {
  const testing::TempDir folder;
  EXPECT_FALSE(load_checkpoint(folder.file("c")).has_value());
  save_checkpoint(folder.file("c"), {});

  remove_checkpoint(folder.file("c"));

  EXPECT_FALSE(std::filesystem::exists(folder.file("c")));
}

TEST(Checkpoint, DamageIsCorruption) {
  const testing::TempDir folder;
  folder.write("c/checkpoint.safetensors", "not tensors");
  try {
    load_checkpoint(folder.file("c"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::kCorrupt);
  }
}

}  // namespace
}  // namespace kindling::train
