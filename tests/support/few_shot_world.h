// A small world of scenarios with vectors, for tests of few-shot models.
#pragma once

#include "kindling/data/synthetic_scenarios.h"
#include "kindling/models/few_shot.h"

namespace kindling::testing {

inline ScenarioSet small_scenarios(std::uint64_t seed = 5,
                                   const SyntheticScenarioOptions& world = {}) {
  ScenarioOptions options;
  options.min_items = 10;
  options.min_users = 20;
  options.validation_share = 0.2;
  return build_scenarios(make_synthetic_scenarios(world, seed).sources(), options);
}

// Users and items near the centre of their topic, users and items around different centres: what a
// method must learn is the map between the two, the same in all scenarios.
inline FrozenVectors topic_vectors(const ScenarioSet& set, std::size_t dim = 8,
                                   std::uint32_t topics = 4, double noise = 0.3) {
  Rng rng(11);
  const auto random_matrix = [&](std::size_t rows, double scale) {
    Matrix values(rows, dim);
    for (std::size_t r = 0; r < rows; ++r) {
      for (float& value : values.row(r)) value = static_cast<float>(scale * rng.normal());
    }
    return values;
  };
  const Matrix user_centres = random_matrix(topics, 0.5);
  const Matrix item_centres = random_matrix(topics, 0.5);
  FrozenVectors vectors;
  vectors.users = random_matrix(set.world.user_count(), noise * 0.5);
  vectors.items = random_matrix(set.world.item_count(), noise * 0.5);
  const auto add = [&](const Vocabulary& ids, const Matrix& centres, Matrix& values) {
    for (std::uint32_t r = 0; r < values.rows(); ++r) {
      const std::uint32_t topic = synthetic_topic(ids.name(r), topics);
      for (std::size_t c = 0; c < dim; ++c) values(r, c) += centres(topic, c);
    }
  };
  add(set.world.user_ids(), user_centres, vectors.users);
  add(set.world.item_ids(), item_centres, vectors.items);
  vectors.recipe = {{"options", {{"method", "topics"}}}};
  return vectors;
}

}  // namespace kindling::testing
