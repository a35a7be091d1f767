// The softmax of shared classes against its reference: chunks, ragged widths, repeated classes.
#include "kindling/kernels/shared_softmax.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/parallel.h"
#include "kindling/base/random.h"
#include "kindling/base/ready_threads.h"

namespace kindling::kernels {
namespace {

struct Example {
  Example(std::size_t rows, std::size_t columns, std::size_t dim)
      : states(rows * dim),
        table(kItems * dim),
        shift(columns),
        classes(columns),
        targets(rows),
        d_states(rows * dim, NAN),
        d_classes(columns * dim, NAN),
        d_shift(columns, NAN),
        problem{rows,         columns,        dim,          states.data(),
                table.data(), classes.data(), shift.data(), targets.data()} {
    Rng rng(7);
    for (auto* values : {&states, &table, &shift}) {
      for (float& value : *values) value = static_cast<float>(0.6 * rng.normal());
    }
    for (std::int64_t& item : classes) item = static_cast<std::int64_t>(rng.below(kItems));
    for (std::uint32_t& at : targets) at = static_cast<std::uint32_t>(rng.below(columns));
  }
  SharedSoftmaxGradients gradients() { return {d_states.data(), d_classes.data(), d_shift.data()}; }

  static constexpr std::size_t kItems = 300;
  std::vector<float> states, table, shift;
  std::vector<std::int64_t> classes;
  std::vector<std::uint32_t> targets;
  std::vector<float> d_states, d_classes, d_shift;
  SharedSoftmax problem;
};

void expect_near(const std::vector<float>& values, const std::vector<float>& wanted) {
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], wanted[i], 2e-6) << i;
}

TEST(SharedSoftmax, IsTheLogOfTheClassesForEqualScores) {
  Example example(2, 5, 3);
  example.states.assign(example.states.size(), 0.0F);
  example.shift.assign(5, 0.7F);
  example.targets = {4, 0};

  EXPECT_NEAR(shared_softmax(example.problem, example.gradients()), std::log(5.0), 1e-6);
  EXPECT_NEAR(example.d_shift[0], (0.2 + 0.2 - 1.0) / 2.0, 1e-6);
  EXPECT_NEAR(example.d_shift[1], (0.2 + 0.2) / 2.0, 1e-6);
}

TEST(SharedSoftmax, AgreesWithItsReference) {
  for (const std::size_t rows : {1UL, 7UL, 64UL}) {
    for (const std::size_t columns : {1UL, 40UL, 385UL, 1000UL}) {
      Example fast(rows, columns, 21);
      Example plain(rows, columns, 21);

      const double loss = shared_softmax(fast.problem, fast.gradients());

      EXPECT_NEAR(loss, shared_softmax_reference(plain.problem, plain.gradients()), 2e-6 * loss);
      expect_near(fast.d_states, plain.d_states);
      expect_near(fast.d_classes, plain.d_classes);
      expect_near(fast.d_shift, plain.d_shift);
    }
  }
}

TEST(SharedSoftmaxReference, HasTheGradientOfItsLoss) {
  Example example(3, 6, 4);
  shared_softmax_reference(example.problem, example.gradients());
  Example moved(3, 6, 4);
  const auto difference = [&](float& value) {
    const float before = value;
    value = before + 1e-2F;
    const double above = shared_softmax_reference(moved.problem, moved.gradients());
    value = before - 1e-2F;
    const double below = shared_softmax_reference(moved.problem, moved.gradients());
    value = before;
    return (above - below) / 2e-2;
  };
  for (std::size_t i = 0; i < example.states.size(); ++i) {
    EXPECT_NEAR(example.d_states[i], difference(moved.states[i]), 2e-4);
  }
  for (std::size_t c = 0; c < 6; ++c) {
    EXPECT_NEAR(example.d_shift[c], difference(moved.shift[c]), 2e-4);
  }
}

TEST(SharedSoftmax, SurvivesLargeScores) {
  Example example(4, 500, 8);
  for (float& value : example.states) value *= 200.0F;

  EXPECT_TRUE(std::isfinite(shared_softmax(example.problem, example.gradients())));
  for (const float value : example.d_classes) ASSERT_TRUE(std::isfinite(value));
}

TEST(SharedSoftmax, GivesTheSameBitsWithMoreThreads) {
  const int before = threads();
  set_threads(1);
  Example one(64, 1000, 33);
  shared_softmax(one.problem, one.gradients());
  set_threads(3);
  Example three(64, 1000, 33);
  with_ready_threads([&] { shared_softmax(three.problem, three.gradients()); });
  set_threads(before);

  EXPECT_EQ(one.d_states, three.d_states);
  EXPECT_EQ(one.d_classes, three.d_classes);
  EXPECT_EQ(one.d_shift, three.d_shift);
}

}  // namespace
}  // namespace kindling::kernels
