#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "kindling/base/parallel.h"
#include "kindling/data/synthetic.h"
#include "kindling/models/gru4rec_official/trainer.h"
#include "kindling/models/registry.h"

namespace kindling::gru4rec_official {
namespace {

Options small() {
  Options options;
  options.dim = 6;
  options.batch_size = 3;
  options.learning_rate = 1e-3;
  return options;
}

double tensor_value(const Trainer& trainer, const std::string& name, std::size_t at) {
  for (const NamedTensor& tensor : trainer.state()) {
    if (tensor.name == name) return tensor.values[at];
  }
  return NAN;
}

// Adagrad's first step moves a value by -rate · g / √(g² + eps): the gradient can be read off it.
// Moving the value by hand instead must change the loss by that gradient.
void expect_gradients(const Options& options) {
  const std::vector<std::int64_t> inputs{0, 3, 5};
  const std::vector<std::int64_t> targets{1, 4, 1};    // item 1 twice
  const std::vector<std::int64_t> negatives{2, 0, 7};  // item 0 is an input too
  const auto loss_with = [&](const std::string& name, std::size_t at, double change) {
    Trainer trainer(options, 9, Rng(4));
    ModelState state = trainer.state();
    for (NamedTensor& tensor : state) {
      if (tensor.name == name) tensor.values[at] += static_cast<float>(change);
    }
    trainer.load_state(state);
    trainer.start(3);
    return trainer.step({inputs, targets, negatives, {}}, Rng(1));
  };
  Options wide = options;
  wide.eps = 1.0;  // far from the kink at 0: the step is then a smooth function of g
  Trainer before(wide, 9, Rng(4));
  Trainer after(wide, 9, Rng(4));
  after.start(3);
  after.step({inputs, targets, negatives, {}}, Rng(1));
  for (const NamedTensor& tensor : before.state()) {
    for (std::size_t at = 0; at < tensor.values.size(); at += 5) {
      const double moved = tensor_value(after, tensor.name, at) - tensor.values[at];
      const double ratio = -moved / wide.learning_rate;  // g / √(g² + 1)
      const double gradient = ratio / std::sqrt(1.0 - ratio * ratio);
      const double difference =
          (loss_with(tensor.name, at, 2e-2) - loss_with(tensor.name, at, -2e-2)) / 4e-2;
      EXPECT_NEAR(gradient, difference, 2e-3) << tensor.name << " " << at;
    }
  }
}

TEST(Gru4RecOfficial, StepsDownTheGradientOfCrossEntropy) { expect_gradients(small()); }

TEST(Gru4RecOfficial, StepsDownTheGradientOfBprMax) {
  Options options = small();
  options.loss = "bpr-max";
  options.elu = 1.0;  // the only ELU without a kink at 0, where these scores lie
  expect_gradients(options);
}

// The last rows of an epoch weigh as much as those of a full batch.
TEST(Gru4RecOfficial, DividesByTheBatchSizeNotByTheRowsThatAreLeft) {
  for (const char* loss : {"cross-entropy", "bpr-max"}) {
    const auto gradients = [&](std::int64_t batch_size) {
      Options options = small();
      options.loss = loss;
      options.batch_size = batch_size;
      options.eps = 1e6;  // the first step is then -rate · g / √eps
      options.learning_rate = 1e3;
      Trainer trainer(options, 9, Rng(4));
      trainer.start(1);
      const std::vector<std::int64_t> inputs{0}, targets{1}, negatives{2, 3};
      const double value = trainer.step({inputs, targets, negatives, {}}, Rng(1));
      return std::pair(value, tensor_value(trainer, "bias", 1));
    };
    const auto [one_loss, one_step] = gradients(1);
    const auto [four_loss, four_step] = gradients(4);

    EXPECT_NEAR(four_loss, one_loss / 4.0, 1e-6) << loss;
    EXPECT_NEAR(four_step, one_step / 4.0, 1e-4 * std::fabs(one_step)) << loss;
    EXPECT_NE(one_step, 0.0);
  }
}

TEST(Gru4RecOfficial, CarriesTheDroppedState) {
  Options options;
  options.dim = 1;
  options.batch_size = 1;
  options.dropout_hidden = 0.5;
  options.learning_rate = 1e-12;  // the weights stay
  const std::vector<std::int64_t> inputs{0}, targets{1}, negatives{2};
  const auto losses = [&](const std::vector<std::uint64_t>& seeds) {
    Trainer trainer(options, 9, Rng(4));
    trainer.start(1);
    std::vector<double> all;
    for (const std::uint64_t seed : seeds) {
      all.push_back(trainer.step({inputs, targets, negatives, {}}, Rng(seed)));
    }
    return all;
  };
  const auto is_dropped = [&](std::uint64_t seed) {  // scores of 0
    return std::fabs(losses({seed})[0] - std::log(2.0)) < 1e-7;
  };
  std::uint64_t dropped = 0;
  while (!is_dropped(dropped)) ++dropped;
  std::uint64_t kept = 0;
  while (is_dropped(kept)) ++kept;

  EXPECT_EQ(losses({dropped, kept})[1], losses({kept})[0]);
  EXPECT_NE(losses({kept, kept})[1], losses({kept})[0]);
}

TEST(Gru4RecOfficial, TakesTheSameStepsWithMoreThreads) {
  for (const char* loss : {"cross-entropy", "bpr-max"}) {
    Options options;
    options.dim = 20;
    options.loss = loss;
    std::vector<std::int64_t> inputs, targets, negatives;
    Rng rng(3);
    for (int i = 0; i < 16; ++i) inputs.push_back(static_cast<std::int64_t>(rng.below(300)));
    for (int i = 0; i < 16; ++i) targets.push_back(static_cast<std::int64_t>(rng.below(300)));
    for (int i = 0; i < 900; ++i) negatives.push_back(static_cast<std::int64_t>(rng.below(300)));
    const auto train = [&](int count) {
      const int before = threads();
      set_threads(count);
      Trainer trainer(options, 300, Rng(4));
      trainer.start(16);
      for (int n = 0; n < 3; ++n) trainer.step({inputs, targets, negatives, {}}, Rng(1));
      set_threads(before);
      return trainer.state();
    };
    const ModelState one = train(1);
    const ModelState two = train(2);
    for (std::size_t t = 0; t < one.size(); ++t) EXPECT_EQ(one[t].values, two[t].values) << loss;
  }
}

TEST(Gru4RecOfficial, TouchesOnlyRowsThatItReads) {
  Trainer trainer(small(), 9, Rng(4));
  const ModelState before = trainer.state();
  trainer.start(1);
  const std::vector<std::int64_t> inputs{0}, targets{1}, negatives{2};

  trainer.step({inputs, targets, negatives, {}}, Rng(1));

  const ModelState after = trainer.state();
  for (std::size_t item = 0; item < 9; ++item) {
    const bool same =
        std::equal(before[0].values.begin() + static_cast<std::ptrdiff_t>(6 * item),
                   before[0].values.begin() + static_cast<std::ptrdiff_t>(6 * item + 6),
                   after[0].values.begin() + static_cast<std::ptrdiff_t>(6 * item));
    EXPECT_EQ(same, item > 2) << item;
  }
}

// The first step is the same; the second goes on by the share of the first.
TEST(Gru4RecOfficial, GoesOnByItsMomentum) {
  const std::vector<std::int64_t> inputs{0}, targets{1}, negatives{2};
  const auto steps = [&](double momentum) {
    Options options = small();
    options.momentum = momentum;
    options.learning_rate = 1e-4;
    Trainer trainer(options, 9, Rng(4));
    std::vector<double> biases;
    for (int t = 0; t < 2; ++t) {
      trainer.start(1);
      trainer.step({inputs, targets, negatives, {}}, Rng(1));
      biases.push_back(tensor_value(trainer, "bias", 1));
      biases.push_back(tensor_value(trainer, "input_bias", 2 * 6));
      biases.push_back(tensor_value(trainer, "table", 2 * 6));
    }
    return biases;
  };
  const std::vector<double> plain = steps(0.0);
  const std::vector<double> moved = steps(0.5);
  const Trainer start(small(), 9, Rng(4));
  const std::vector<double> before{0.0, 0.0, tensor_value(start, "table", 2 * 6)};

  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_FLOAT_EQ(moved[i], plain[i]);
    const double first = plain[i] - before[i];
    EXPECT_NE(first, 0.0);
    EXPECT_NEAR(moved[3 + i] - plain[3 + i], 0.5 * first, 0.01 * std::fabs(first));
  }
}

TEST(Gru4RecOfficial, CarriesTheStateAndForgetsItAtANewSession) {
  const std::vector<std::int64_t> inputs{0}, targets{1}, negatives{2};
  const auto second_loss = [&](bool reset) {
    Options still = small();
    still.learning_rate = 1e-12;  // the weights stay
    Trainer trainer(still, 9, Rng(4));
    trainer.start(1);
    const double first = trainer.step({inputs, targets, negatives, {}}, Rng(1));
    if (reset) trainer.reset_row(0);
    return trainer.step({inputs, targets, negatives, {}}, Rng(1)) - first;
  };

  EXPECT_NEAR(second_loss(true), 0.0, 1e-6);
  EXPECT_GT(std::fabs(second_loss(false)), 1e-5);
}

TEST(Gru4RecOfficial, LearnsWithEitherLoss) {
  const SyntheticDomain domain = make_synthetic_domain("t", {.users = 200, .items = 60}, 3);
  for (const char* loss : {"cross-entropy", "bpr-max"}) {
    const auto model = make({{"loss", loss}, {"dim", "16"}, {"negatives", "32"}, {"epochs", "8"}});
    FitContext context;
    TrainTask task;
    task.target_train = Domain{&domain.data, nullptr};

    model->fit(task, context);

    ASSERT_EQ(context.history.size(), 8U);
    EXPECT_LT(context.history.back().train_loss, 0.95 * context.history.front().train_loss) << loss;
    EXPECT_TRUE(std::isnan(context.history.back().validation_ndcg)) << "nothing was validated";
    EXPECT_TRUE(std::isnan(context.history.back().validation_loss)) << "nothing was validated";
  }
}

}  // namespace
}  // namespace kindling::gru4rec_official
