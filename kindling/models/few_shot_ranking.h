// Where a scenario's positives stand among its candidates: what validation, grid searches and
// eval/few_shot.h share.
//
//   const auto users = rank_scenario(*scorer, scenario);
//   double recall = mean_recall(users, 20, Ties::kExpectedRank);
//
// Every candidate of the scenario is scored for every evaluation user with at least one positive
// and one other candidate; positives compete with each other. Recall@N = positives in the first N /
// positives of the user (not min(N, ·)).
// Source: specs/s2meta.md 6, decision S14. Errors: Error{kInternal} for a score that is not finite.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kindling/models/few_shot.h"

namespace kindling {

// Equal scores: the expected rank 1 + greater + equal / 2 [S14]; the metric's mean over all orders
// of the equal; or positives first (the authors' code: a constant scorer then looks perfect).
enum class Ties { kExpectedRank, kMeanOverOrders, kPositivesFirst };
Ties parse_ties(const std::string& name);  // "rank", "mean", "compat"

// A positive among the user's candidates.
struct Standing {
  double greater = 0.0;          // candidates with a larger score
  double equal = 0.0;            // others with the same score
  double equal_positives = 0.0;  // the other positives among those
};

struct UserStanding {
  UserId user = 0;
  std::vector<Standing> positives;
};

std::vector<UserStanding> rank_scenario(const ScenarioScorer& scorer, const Scenario& scenario);

// Metrics of one user.
double recall_of(const UserStanding& user, std::int64_t k, Ties ties);
double ndcg_of(const UserStanding& user, std::int64_t k, Ties ties);  // ideal: min(k, positives)
double hit_of(const UserStanding& user, std::int64_t k, Ties ties);   // any positive in the first k

// Mean over users; 0 for none.
double mean_recall(std::span<const UserStanding> users, std::int64_t k, Ties ties);

}  // namespace kindling
