#include "kindling/eval/few_shot.h"

#include <chrono>
#include <map>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/text.h"
#include "kindling/eval/metrics.h"

namespace kindling {

namespace {

constexpr std::int64_t kCompareAt = 20;

using Metric = double (*)(const UserStanding&, std::int64_t, Ties);

struct NamedMetric {
  Metric metric = nullptr;
  std::int64_t cutoff = 0;
};

NamedMetric parse_metric(const std::string& name) {
  const auto at = name.find('@');
  const std::string kind = name.substr(0, at);
  const auto cutoff = at == std::string::npos ? std::nullopt : to_int(name.substr(at + 1));
  if (cutoff && *cutoff > 0) {
    if (kind == "recall") return {recall_of, *cutoff};
    if (kind == "ndcg") return {ndcg_of, *cutoff};
    if (kind == "hr") return {hit_of, *cutoff};
  }
  throw Error(Kind::kBadOption, fmt::format("unknown metric {}", quote(name)), {},
              "recall@K, ndcg@K or hr@K");
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

ScenarioResult run_scenario(const FewShotModel& model, const FewShotModel& itempop,
                            const FewShotTask& task, const Scenario& scenario,
                            const FewShotEvaluation& options) {
  ScenarioResult result;
  result.name = scenario.name;
  result.candidates = scenario.candidates.size();
  result.support = scenario.support.size();
  const Rng rng = Rng(options.seed).fork("adapt").fork(scenario.name);
  AdaptRecord record;
  const auto start = std::chrono::steady_clock::now();
  const auto scorer = model.adapt(task, scenario, rng, &record);
  result.adapt_seconds = seconds_since(start);
  result.steps = record.steps.size();
  result.users = rank_scenario(*scorer, scenario);
  for (const UserStanding& one : result.users) {
    result.histories.push_back(task.scenarios->world.history(one.user).size());
  }
  result.recall = mean_recall(result.users, kCompareAt, options.ties);
  if (!options.compare) return result;
  const auto popular = itempop.adapt(task, scenario, rng, nullptr);
  result.recall_itempop = mean_recall(rank_scenario(*popular, scenario), kCompareAt, options.ties);
  if (const auto before = model.unadapted(task, scenario)) {
    result.has_unadapted = true;
    result.recall_unadapted =
        mean_recall(rank_scenario(*before, scenario), kCompareAt, options.ties);
  }
  return result;
}

std::string size_slice(std::size_t candidates) {
  if (candidates < 50) return "candidates 1-49";
  if (candidates < 100) return "candidates 50-99";
  return candidates < 500 ? "candidates 100-499" : "candidates 500+";
}

template <class Below>
double share(const std::vector<ScenarioResult>& scenarios, const Below& below) {
  double count = 0.0;
  for (const ScenarioResult& one : scenarios) count += below(one) ? 1.0 : 0.0;
  return scenarios.empty() ? 0.0 : count / static_cast<double>(scenarios.size());
}

}  // namespace

std::vector<std::string> FewShotResult::metrics() const {
  std::vector<std::string> names;
  for (const char* kind : {"recall", "ndcg", "hr"}) {
    for (const std::int64_t k : options.cutoffs) names.push_back(fmt::format("{}@{}", kind, k));
  }
  return names;
}

std::vector<double> FewShotResult::values(const std::string& metric) const {
  const NamedMetric named = parse_metric(metric);
  std::vector<double> all;
  for (const ScenarioResult& scenario : scenarios) {
    for (const UserStanding& user : scenario.users) {
      all.push_back(named.metric(user, named.cutoff, options.ties));
    }
  }
  return all;
}

double FewShotResult::pooled(const std::string& metric) const {
  const std::vector<double> all = values(metric);
  double sum = 0.0;
  for (const double value : all) sum += value;
  return all.empty() ? 0.0 : sum / static_cast<double>(all.size());
}

double FewShotResult::macro(const std::string& metric) const {
  const NamedMetric named = parse_metric(metric);
  double sum = 0.0;
  double count = 0.0;
  for (const ScenarioResult& scenario : scenarios) {
    if (scenario.users.empty()) continue;
    double mean = 0.0;
    for (const UserStanding& user : scenario.users) {
      mean += named.metric(user, named.cutoff, options.ties);
    }
    sum += mean / static_cast<double>(scenario.users.size());
    count += 1.0;
  }
  return count > 0.0 ? sum / count : 0.0;
}

Json FewShotResult::slices() const {
  std::vector<std::string> order = history_slices();
  for (const std::size_t size : {1, 50, 100, 500}) order.push_back(size_slice(size));
  std::map<std::string, FewShotResult> parts;
  for (const ScenarioResult& scenario : scenarios) {
    for (std::size_t n = 0; n < scenario.users.size(); ++n) {
      for (const std::string& name :
           {history_slice(scenario.histories[n]), size_slice(scenario.candidates)}) {
        FewShotResult& part = parts[name];
        part.options = options;
        part.scenarios.resize(1);
        part.scenarios[0].users.push_back(scenario.users[n]);
      }
    }
  }
  Json document = Json::object();
  for (const std::string& name : order) {
    const auto part = parts.find(name);
    if (part == parts.end()) continue;
    Json means = Json::object();
    for (const std::string& metric : metrics()) means[metric] = part->second.pooled(metric);
    document[name] = {{"queries", part->second.scenarios[0].users.size()}, {"metrics", means}};
  }
  return document;
}

double FewShotResult::below_itempop() const {
  if (!options.compare) return 0.0;
  return share(scenarios,
               [](const ScenarioResult& one) { return one.recall < one.recall_itempop; });
}

double FewShotResult::below_unadapted() const {
  return share(scenarios, [](const ScenarioResult& one) {
    return one.has_unadapted && one.recall < one.recall_unadapted;
  });
}

Json FewShotResult::to_json() const {
  Json pooled_values = Json::object();
  Json macro_values = Json::object();
  for (const auto& name : metrics()) {
    pooled_values[name] = pooled(name);
    macro_values[name] = macro(name);
  }
  std::size_t users = 0;
  std::size_t ranked = 0;
  bool has_unadapted = false;
  Json all = Json::array();
  for (const ScenarioResult& one : scenarios) {
    users += one.users.size();
    ranked += one.users.size() * one.candidates;
    has_unadapted = has_unadapted || one.has_unadapted;
    Json line = {{"name", one.name},       {"candidates", one.candidates},
                 {"support", one.support}, {"users", one.users.size()},
                 {"steps", one.steps},     {"recall@20", one.recall}};
    if (options.compare) line["itempop_recall@20"] = one.recall_itempop;
    if (one.has_unadapted) line["unadapted_recall@20"] = one.recall_unadapted;
    all.push_back(std::move(line));
  }
  Json document = {{"protocol", "few-shot"},
                   {"scenario_count", scenarios.size()},
                   {"queries", users},
                   {"candidates", static_cast<double>(ranked) / static_cast<double>(users)},
                   {"metrics", std::move(pooled_values)},
                   {"slices", slices()},
                   {"macro", std::move(macro_values)}};
  if (options.compare) document["below_itempop"] = below_itempop();
  if (has_unadapted) document["below_unadapted"] = below_unadapted();
  document["seed"] = options.seed;
  document["seconds"] = seconds;
  document["scenarios"] = std::move(all);
  return document;
}

FewShotResult evaluate_few_shot(const FewShotModel& model, const FewShotTask& task,
                                const std::vector<Scenario>& scenarios,
                                const FewShotEvaluation& options) {
  const auto start = std::chrono::steady_clock::now();
  FewShotResult result;
  result.options = options;
  result.scenarios.resize(scenarios.size());
  const auto itempop = make_few_shot("itempop", {});
  parallel_for(scenarios.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      result.scenarios[n] = run_scenario(model, *itempop, task, scenarios[n], options);
    }
  });
  std::size_t users = 0;
  for (const ScenarioResult& one : result.scenarios) users += one.users.size();
  if (users == 0) {
    throw Error(Kind::kBadInput, "no scenario has a user with a positive and another candidate",
                "scenarios");
  }
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace kindling
