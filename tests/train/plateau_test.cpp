#include "kindling/train/plateau.h"

#include <gtest/gtest.h>

namespace kindling::train {
namespace {

TEST(Plateau, LowersTheRateAfterFourEpochsWithoutImprovementAndAsksToReload) {
  Plateau plateau({.factor = 0.25, .patience = 4}, 0.1);

  EXPECT_TRUE(plateau.see(2.0).best);
  for (int epoch = 0; epoch < 3; ++epoch) EXPECT_FALSE(plateau.see(2.0).reload);
  EXPECT_TRUE(plateau.see(2.0).reload);

  EXPECT_DOUBLE_EQ(plateau.learning_rate(), 0.025);
}

TEST(Plateau, CountsAnewAfterLowering) {
  Plateau plateau({.factor = 0.5, .patience = 2}, 1.0);
  plateau.see(1.0);

  plateau.see(1.0);
  EXPECT_TRUE(plateau.see(1.0).reload);
  EXPECT_FALSE(plateau.see(1.0).reload);
  EXPECT_TRUE(plateau.see(1.0).reload);

  EXPECT_DOUBLE_EQ(plateau.learning_rate(), 0.25);
}

TEST(Plateau, ImprovementResetsBothCounts) {
  Plateau plateau({.factor = 0.5, .patience = 2, .stop_patience = 2}, 1.0);
  plateau.see(1.0);
  plateau.see(1.5);
  EXPECT_TRUE(plateau.see(0.5).best);

  EXPECT_FALSE(plateau.see(0.6).stop);
  EXPECT_TRUE(plateau.see(0.6).stop);
}

TEST(Plateau, NeverLowersWithFactorOneAndNeverStopsWithoutPatience) {
  Plateau plateau({.factor = 1.0, .patience = 1, .stop_patience = 0}, 1.0);
  plateau.see(1.0);

  for (int epoch = 0; epoch < 9; ++epoch) {
    const auto verdict = plateau.see(1.0);
    EXPECT_FALSE(verdict.reload || verdict.stop);
  }
}

TEST(Plateau, StateContinuesWhereItWasSaved) {
  Plateau straight({.factor = 0.5, .patience = 2, .stop_patience = 3}, 1.0);
  straight.see(1.0);
  straight.see(1.0);
  Plateau resumed({.factor = 0.5, .patience = 2, .stop_patience = 3}, 1.0);
  resumed.load(straight.state());

  EXPECT_TRUE(resumed.see(1.0).reload);
  EXPECT_TRUE(resumed.see(1.0).stop);
  EXPECT_DOUBLE_EQ(resumed.learning_rate(), 0.5);
}

}  // namespace
}  // namespace kindling::train
