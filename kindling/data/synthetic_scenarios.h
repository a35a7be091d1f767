// A world of scenarios with known structure, for tests, benchmarks and the smoke demo.
//
//   const SyntheticScenarios raw = make_synthetic_scenarios({}, 7);
//   const ScenarioSet set = build_scenarios(raw.sources(), {.min_items = 10, .min_users = 20});
//
// Every user and every item has one topic. Users choose items of their own topic with probability
// `loyalty`, in the source and in every scenario, and Zipf-popular ones among them. So popularity
// beats chance, and a method that has learnt from the meta-train scenarios how a user's source
// vector selects items beats popularity in the meta-test scenarios.
#pragma once

#include <cstdint>
#include <string_view>

#include "kindling/data/dataset.h"
#include "kindling/data/scenarios.h"

namespace kindling {

struct SyntheticScenarioOptions {
  std::uint32_t topics = 4;
  std::uint32_t shared_users = 240;  // in the source and in scenarios
  std::uint32_t target_users = 240;  // in scenarios only
  std::uint32_t source_items = 80;
  std::uint32_t train_scenarios = 12;
  std::uint32_t test_scenarios = 6;
  std::uint32_t scenario_items = 40;
  double loyalty = 0.85;
  double presence = 0.4;              // share of the users that are active in a scenario
  std::uint32_t source_events = 8;    // a user
  std::uint32_t scenario_events = 3;  // a user and scenario
};

struct SyntheticScenarios {
  Dataset source;
  Dataset meta_train;
  Dataset meta_test;

  ScenarioSources sources() const { return {{&source}, {&meta_train}, {&meta_test}}; }
};

// Users are called u0, u1, …, items <scenario>-i0, …; the number modulo `topics` is the topic.
SyntheticScenarios make_synthetic_scenarios(const SyntheticScenarioOptions& options,
                                            std::uint64_t seed);
// The topic of a user or item by its outside id.
std::uint32_t synthetic_topic(std::string_view id, std::uint32_t topics);

}  // namespace kindling
