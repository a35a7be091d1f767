// Meta-training tasks: a scenario's pairs, split anew each time into support and query.
//
//   const Episodes episodes(scenarios.meta_train, vectors, options, rng);
//   Episode episode = episodes.draw(task_number);       // the same number, the same episode
//
// Scenarios come in random order, each once per pass. The support is `support` pairs; of a scenario
// with no more than that, half of the pairs are, and copies fill it up. The query is `query` of the
// rest, with replacement where there are fewer. A query's negative is no item of its user's; where
// there is none such, any candidate (specs: s2meta 4, 5). The split is of pairs, not of users.
// Errors: Error{kBadInput} when no scenario has two pairs and two candidates with vectors.
#pragma once

#include <string>
#include <vector>

#include "kindling/models/s2meta/inner_loop.h"

namespace kindling::s2meta {

struct Episode {
  const std::vector<ItemId>* candidates = nullptr;
  std::vector<UserItem> support;
  Triples query;
  Rng draws{0};  // for the learning itself
};

class Episodes {
 public:
  Episodes(const std::vector<Scenario>& scenarios, const FrozenVectors& vectors,
           const Options& options, const Rng& rng);

  std::size_t scenarios() const { return tasks_.size(); }
  Episode draw(std::uint64_t number) const;

 private:
  struct Task {
    std::vector<UserItem> pairs;  // sorted
    std::vector<ItemId> candidates;
  };
  ItemId draw_query_negative(const Task& task, UserId user, Rng& rng) const;

  const FrozenVectors* vectors_;
  std::size_t support_;
  std::size_t query_;
  Rng rng_;
  std::vector<Task> tasks_;
};

}  // namespace kindling::s2meta
