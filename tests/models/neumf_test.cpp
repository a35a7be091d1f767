// NeuMF is one model of all scenarios: what it may learn from.
#include <gtest/gtest.h>

#include "kindling/models/few_shot.h"
#include "tests/support/few_shot_world.h"

namespace kindling {
namespace {

std::size_t positives_of(const ScenarioSet& set) {
  const FrozenVectors vectors = testing::topic_vectors(set);
  const auto model = make_few_shot("neumf", {{"epochs", "1"}, {"negatives", "1"}});
  FitContext context;
  model->fit({&set, &vectors}, context);
  return model->details().at("positives").get<std::size_t>();
}

TEST(Neumf, NeverLearnsAPairThatAnotherScenarioAsks) {
  ScenarioSet set = testing::small_scenarios(5);
  ASSERT_GE(set.meta_test.size(), 2U);
  const std::size_t before = positives_of(set);

  // The second scenario shares an item with the first, where one of its users is asked about it.
  set.meta_test[1].support.push_back(set.meta_test[0].evaluation.front());
  EXPECT_EQ(positives_of(set), before);

  set.meta_test[1].support.push_back(
      {set.meta_test[0].evaluation.front().user, set.meta_test[1].candidates.front()});
  EXPECT_EQ(positives_of(set), before + 1);
}

}  // namespace
}  // namespace kindling
