#include "kindling/eval/few_shot_queries.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/eval/metrics.h"

namespace kindling {

namespace {

constexpr const char* kSame = "compare evaluations of the same scenarios and --role";

}  // namespace

ScenarioUsers scenario_users(const FewShotResult& result, const Dataset& world) {
  ScenarioUsers all;
  all.metrics = result.metrics();
  for (const ScenarioResult& scenario : result.scenarios) {
    for (const UserStanding& one : scenario.users) {
      all.users.push_back({scenario.name, world.user_ids().name(one.user), {}});
    }
  }
  for (const std::string& metric : all.metrics) {
    const std::vector<double> values = result.values(metric);
    for (std::size_t n = 0; n < values.size(); ++n) all.users[n].values.push_back(values[n]);
  }
  return all;
}

SavedScenarios::SavedScenarios(const std::string& path, const std::string& metric)
    : path_(path), metric_(metric), saved_(load_scenario_users(path)) {
  const auto& columns = saved_.metrics;
  const auto found = std::find(columns.begin(), columns.end(), without_macro(metric));
  if (found == columns.end()) {
    throw Error(Kind::kBadOption, fmt::format("{} has no {}", path, quote(without_macro(metric))),
                "--compare-by", "it has " + join(columns, ", "));
  }
  const auto column = static_cast<std::size_t>(found - columns.begin());
  std::uint32_t scenario = 0;
  for (std::size_t n = 0; n < saved_.users.size(); ++n) {
    if (n > 0 && saved_.users[n].scenario != saved_.users[n - 1].scenario) ++scenario;
    scenarios_.push_back(scenario);
    theirs_.push_back(saved_.users[n].values[column]);
  }
}

void SavedScenarios::add(const FewShotResult& result, const Dataset& world) {
  std::size_t n = 0;
  for (const ScenarioResult& scenario : result.scenarios) {
    for (const UserStanding& one : scenario.users) {
      const std::string& user = world.user_ids().name(one.user);
      const bool same = n < saved_.users.size() && saved_.users[n].user == user &&
                        saved_.users[n].scenario == saved_name(scenario.name);
      ++n;
      if (same) continue;
      throw Error(Kind::kBadInput,
                  fmt::format("user {} of scenario {} does not stand there", quote(user),
                              quote(scenario.name)),
                  at_line(path_, static_cast<std::int64_t>(n) + 1), kSame);
    }
  }
  if (n != saved_.users.size()) {
    throw Error(Kind::kBadInput,
                fmt::format("holds {} users, this evaluation has {}", saved_.users.size(), n),
                path_, kSame);
  }
  ours_.push_back(result.values(without_macro(metric_)));
}

Comparison SavedScenarios::result(const Rng& rng) const {
  return compare_seeds(ours_, {theirs_}, scenarios_, rng, kResamples,
                       is_macro(metric_) ? MeanOver::kUnits : MeanOver::kQueries);
}

}  // namespace kindling
