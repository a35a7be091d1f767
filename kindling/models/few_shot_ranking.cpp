#include "kindling/models/few_shot_ranking.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling {

namespace {

// Users whose scores are held at once.
constexpr std::size_t kBlock = 256;

// Positions 1 … of the user's positives, cut to what can be ranked.
struct Asked {
  UserId user = 0;
  std::vector<std::size_t> positives;  // places in scenario.candidates
};

std::vector<Asked> users_of(const Scenario& scenario) {
  std::map<UserId, std::vector<std::size_t>> by_user;
  for (const UserItem& pair : scenario.evaluation) {
    const auto place =
        std::lower_bound(scenario.candidates.begin(), scenario.candidates.end(), pair.item);
    check(place != scenario.candidates.end() && *place == pair.item,
          "an evaluation item is no candidate of its scenario");
    by_user[pair.user].push_back(static_cast<std::size_t>(place - scenario.candidates.begin()));
  }
  std::vector<Asked> asked;
  for (auto& [user, positives] : by_user) {
    std::sort(positives.begin(), positives.end());
    positives.erase(std::unique(positives.begin(), positives.end()), positives.end());
    if (positives.size() < scenario.candidates.size()) asked.push_back({user, positives});
  }
  return asked;
}

UserStanding standing_of(std::span<const float> scores, const Asked& asked) {
  std::vector<float> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<float> own;
  for (const std::size_t place : asked.positives) own.push_back(scores[place]);
  std::sort(own.begin(), own.end());
  UserStanding user{asked.user, {}};
  for (const std::size_t place : asked.positives) {
    const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), scores[place]);
    const auto [first, last] = std::equal_range(own.begin(), own.end(), scores[place]);
    user.positives.push_back({static_cast<double>(sorted.end() - high),
                              static_cast<double>(high - low - 1),
                              static_cast<double>(last - first - 1)});
  }
  return user;
}

// Positives of equal score, once: the first place of the group, its size, the positives in it.
struct Group {
  double before = 0.0;
  double size = 0.0;
  double positives = 0.0;
};

std::vector<Group> groups_of(const UserStanding& user) {
  std::map<double, Group> groups;
  for (const Standing& one : user.positives) {
    groups[one.greater] = {one.greater, one.equal + 1.0, one.equal_positives + 1.0};
  }
  std::vector<Group> all;
  for (const auto& [before, group] : groups) all.push_back(group);
  return all;
}

double gain_at(double rank, std::int64_t k) {
  return rank <= static_cast<double>(k) ? 1.0 / std::log2(rank + 1.0) : 0.0;
}

// Sum of gains of the places [from, to), 0-based.
double gain_sum(double from, double to, std::int64_t k) {
  double sum = 0.0;
  const double end = std::min(to, static_cast<double>(k));
  for (double place = from; place < end; place += 1.0) sum += 1.0 / std::log2(place + 2.0);
  return sum;
}

// Places of the group that lie among the first k.
double places_within(const Group& group, std::int64_t k) {
  return std::clamp(static_cast<double>(k) - group.before, 0.0, group.size);
}

double expected_rank_of(const Standing& one) { return 1.0 + one.greater + one.equal / 2.0; }

// Probability that none of the group's positives stands on its first `places` places.
double all_miss(const Group& group, double places) {
  double miss = 1.0;
  for (double drawn = 0.0; drawn < group.positives; drawn += 1.0) {
    miss *= std::max(0.0, group.size - places - drawn) / (group.size - drawn);
  }
  return miss;
}

}  // namespace

Ties parse_ties(const std::string& name) {
  if (name == "rank") return Ties::kExpectedRank;
  if (name == "mean") return Ties::kMeanOverOrders;
  if (name == "compat") return Ties::kPositivesFirst;
  throw Error(Kind::kBadOption, fmt::format("unknown treatment of ties {}", quote(name)), {},
              "one of rank, mean, compat");
}

std::vector<UserStanding> rank_scenario(const ScenarioScorer& scorer, const Scenario& scenario) {
  const std::vector<Asked> asked = users_of(scenario);
  std::vector<UserStanding> standings;
  standings.reserve(asked.size());
  for (std::size_t begin = 0; begin < asked.size(); begin += kBlock) {
    std::vector<UserId> users;
    const std::size_t end = std::min(asked.size(), begin + kBlock);
    for (std::size_t n = begin; n < end; ++n) users.push_back(asked[n].user);
    const Matrix scores = scorer.score(users, scenario.candidates);
    check(scores.rows() == users.size() && scores.cols() == scenario.candidates.size(),
          "a scorer gave a matrix of another shape");
    for (std::size_t n = begin; n < end; ++n) {
      const auto row = scores.row(n - begin);
      const auto bad =
          std::find_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
      if (bad != row.end()) {
        throw Error(Kind::kInternal, fmt::format("a score is {}", *bad),
                    fmt::format("scenario {}", quote(scenario.name)));
      }
      standings.push_back(standing_of(row, asked[n]));
    }
  }
  return standings;
}

double recall_of(const UserStanding& user, std::int64_t k, Ties ties) {
  if (user.positives.empty()) return 0.0;
  double found = 0.0;
  if (ties == Ties::kExpectedRank) {
    for (const Standing& one : user.positives) {
      if (expected_rank_of(one) <= static_cast<double>(k)) found += 1.0;
    }
  } else {
    for (const Group& group : groups_of(user)) {
      const double places = places_within(group, k);
      found += ties == Ties::kPositivesFirst ? std::min(places, group.positives)
                                             : places * group.positives / group.size;
    }
  }
  return found / static_cast<double>(user.positives.size());
}

double ndcg_of(const UserStanding& user, std::int64_t k, Ties ties) {
  if (user.positives.empty()) return 0.0;
  double gain = 0.0;
  if (ties == Ties::kExpectedRank) {
    for (const Standing& one : user.positives) gain += gain_at(expected_rank_of(one), k);
  } else {
    for (const Group& group : groups_of(user)) {
      gain +=
          ties == Ties::kPositivesFirst
              ? gain_sum(group.before, group.before + group.positives, k)
              : gain_sum(group.before, group.before + group.size, k) * group.positives / group.size;
    }
  }
  return gain / gain_sum(0.0, static_cast<double>(user.positives.size()), k);
}

double hit_of(const UserStanding& user, std::int64_t k, Ties ties) {
  double miss = 1.0;
  if (ties == Ties::kExpectedRank) {
    for (const Standing& one : user.positives) {
      if (expected_rank_of(one) <= static_cast<double>(k)) miss = 0.0;
    }
  } else {
    for (const Group& group : groups_of(user)) {
      const double places = places_within(group, k);
      miss *= ties == Ties::kPositivesFirst ? (places >= 1.0 ? 0.0 : 1.0) : all_miss(group, places);
    }
  }
  return user.positives.empty() ? 0.0 : 1.0 - miss;
}

double mean_recall(std::span<const UserStanding> users, std::int64_t k, Ties ties) {
  double sum = 0.0;
  for (const UserStanding& user : users) sum += recall_of(user, k, ties);
  return users.empty() ? 0.0 : sum / static_cast<double>(users.size());
}

}  // namespace kindling
