// A small world with known structure, for tests, benchmarks and the smoke experiment.
//
//   const SyntheticWorld world = make_synthetic_world({}, 7);
//   world.source.data, world.source.vectors;     // two domains without a common user or item …
//   world.target.data, world.target.vectors;     // … that share topics
//
// Every item has one topic; its text holds words of the topic and its vector lies near the topic's
// centre, the same centre in both domains. Topics form a ring: a user's next item keeps the topic
// with probability `stay`, moves to the next topic of the ring with probability `advance`, and is
// of any topic otherwise. A shared user starts with the same topic in both domains, so that a
// two-domain model has something to carry over. Inside a topic items are Zipf-popular. So kNN on
// texts beats chance where `stay` is large, a sequence model that has learnt the ring in one domain
// beats kNN in the other (advance), and popularity beats chance.
#pragma once

#include <cstdint>
#include <string>

#include "kindling/data/dataset.h"
#include "kindling/data/item_vectors.h"

namespace kindling {

struct SyntheticOptions {
  std::uint32_t users = 300;
  std::uint32_t shared_users = 0;  // the first of them are the same people in every domain
  std::uint32_t items = 120;
  std::uint32_t topics = 6;
  std::uint32_t dim = 16;
  std::uint32_t min_length = 3;
  std::uint32_t max_length = 12;
  double stay = 0.3;
  double advance = 0.6;
  double noise = 0.3;     // of vectors around their topic's centre (centres have length 1)
  bool has_times = true;  // a sequence a user, hours apart, within thirty days
};

struct SyntheticDomain {
  Dataset data;
  ItemVectors vectors;
};

struct SyntheticWorld {
  SyntheticDomain source;
  SyntheticDomain target;
};

// Topic of item j is j % topics. The same seed gives the same world; `name` is part of all ids.
SyntheticDomain make_synthetic_domain(const std::string& name, const SyntheticOptions& options,
                                      std::uint64_t seed);
SyntheticWorld make_synthetic_world(const SyntheticOptions& options, std::uint64_t seed);

}  // namespace kindling
