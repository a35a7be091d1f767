#include "kindling/models/s2meta/episodes.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/models/s2meta/adapt.h"

namespace kindling::s2meta {

namespace {

bool pair_before(const UserItem& a, const UserItem& b) {
  return std::tie(a.user, a.item) < std::tie(b.user, b.item);
}

}  // namespace

Episodes::Episodes(const std::vector<Scenario>& scenarios, const FrozenVectors& vectors,
                   const Options& options, const Rng& rng)
    : vectors_(&vectors),
      support_(static_cast<std::size_t>(options.support)),
      query_(static_cast<std::size_t>(options.query)),
      rng_(rng) {
  for (const Scenario& scenario : scenarios) {
    Task task{pairs_with_vectors(vectors, scenario.pairs, scenario.name),
              items_with_vectors(vectors, scenario.candidates, scenario.name)};
    std::sort(task.pairs.begin(), task.pairs.end(), pair_before);
    if (task.pairs.size() < 2 || task.candidates.size() < 2) {
      log_warning("{}: {} pairs and {} candidates with vectors; left out of meta-training",
                  scenario.name, task.pairs.size(), task.candidates.size());
      continue;
    }
    tasks_.push_back(std::move(task));
  }
  if (tasks_.empty()) {
    throw Error(Kind::kBadInput,
                fmt::format("none of {} meta-training scenarios has two pairs and two candidates "
                            "with vectors",
                            scenarios.size()),
                "s2meta");
  }
}

ItemId Episodes::draw_query_negative(const Task& task, UserId user, Rng& rng) const {
  const auto first =
      std::lower_bound(task.pairs.begin(), task.pairs.end(), UserItem{user, 0}, pair_before);
  auto last = first;
  while (last != task.pairs.end() && last->user == user) ++last;
  const auto owned = static_cast<std::size_t>(last - first);
  for (;;) {
    const ItemId item = task.candidates[rng.below(task.candidates.size())];
    if (owned >= task.candidates.size()) return item;
    if (!std::binary_search(first, last, UserItem{user, item}, pair_before)) return item;
  }
}

Episode Episodes::draw(std::uint64_t number) const {
  Rng order = rng_.fork("pass", number / tasks_.size());
  const Task& task = tasks_[permutation(tasks_.size(), order)[number % tasks_.size()]];
  Rng rng = rng_.fork("task", number);
  std::vector<UserItem> pairs = task.pairs;
  const std::size_t known = pairs.size() > support_ ? support_ : pairs.size() / 2;
  const std::size_t wanted = std::min(pairs.size(), known + query_);
  for (std::size_t i = 0; i < wanted; ++i) {
    std::swap(pairs[i], pairs[i + rng.below(pairs.size() - i)]);
  }
  Episode episode;
  episode.candidates = &task.candidates;
  const auto middle = pairs.begin() + static_cast<std::ptrdiff_t>(known);
  episode.support.assign(pairs.begin(), middle);
  while (episode.support.size() < support_) {
    episode.support.push_back(episode.support[rng.below(known)]);
  }
  std::vector<UserItem> query(middle, pairs.begin() + static_cast<std::ptrdiff_t>(wanted));
  if (query.size() < query_) {
    const std::vector<UserItem> rest = query;
    query.clear();
    while (query.size() < query_) query.push_back(rest[rng.below(rest.size())]);
  }
  std::vector<ItemId> negatives;
  for (const UserItem& pair : query) {
    negatives.push_back(draw_query_negative(task, pair.user, rng));
  }
  episode.query = gather_triples(*vectors_, query, negatives);
  episode.draws = rng.fork("inner");
  return episode;
}

}  // namespace kindling::s2meta
