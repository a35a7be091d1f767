// Which scenarios are learnt from, which choose the model and which test it.
//
//   assign_roles(tasks, is_test, options, rng, set);   // set.meta_train, validation, meta_test
//
// tasks: all scenarios in order of names, with all their pairs. Validation is a share
// options.validation_share, drawn at random, of those that are not for test [S3]. Items that are
// asked leave what is learnt (overlap=separate). Source: specs/s2meta.md 2. Internal to
// build_scenarios().
#pragma once

#include <vector>

#include "kindling/data/scenarios.h"

namespace kindling {

// Two users and two items at least.
bool is_task(const std::vector<UserItem>& pairs);

void assign_roles(std::vector<Scenario> tasks, const std::vector<bool>& is_test,
                  const ScenarioOptions& options, const Rng& rng, ScenarioSet& set);

}  // namespace kindling
