#include "kindling/eval/few_shot_run.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/eval/few_shot_queries.h"
#include "kindling/models/few_shot_run.h"

namespace kindling {

namespace {

const std::vector<Scenario>& tasks_of(const ScenarioSet& set, const std::string& role) {
  if (role == "meta-test") return set.meta_test;
  if (role == "validation") return set.validation;
  throw Error(Kind::kBadOption, fmt::format("unknown role {}", quote(role)), {},
              "meta-test or validation");
}

using Spread = std::map<std::string, std::vector<double>>;

void gather(const Json& document, const char* key, Spread& values) {
  for (const auto& [name, value] : document[key].items()) {
    values[name].push_back(value.get<double>());
  }
}

void put_means(const Spread& values, const std::string& key, Json& document) {
  for (const auto& [name, all] : values) {
    const MeanSd spread = mean_sd(all);
    document[key][name] = spread.mean;
    document[key + "_sd"][name] = spread.sd;
  }
}

// A fitted model and what it was fitted on.
struct Fitted {
  std::string name;
  std::unique_ptr<FewShotModel> model;
};

Fitted fit_by_name(const FewShotEvaluateRun& run, const FewShotTask& task, std::uint64_t seed) {
  Fitted fitted{run.model, make_few_shot(run.model, run.options)};
  FitContext context;
  context.seed = seed;
  context.max_seconds = run.max_minutes * 60.0;
  fitted.model->fit(task, context);
  return fitted;
}

Json finish(const FewShotEvaluateRun& run, const std::string& model, const Json& document) {
  Json head = {{"model", model}, {"target", run.scenarios}, {"role", run.role}, {"ties", run.ties}};
  head.update(document);
  return head;
}

// What is asked of the users of each seed beside their means: a file of them, and a comparison.
class UserResults {
 public:
  UserResults(const FewShotEvaluateRun& run, const Dataset& world) : run_(run), world_(world) {
    if (!run.compare.empty()) saved_.emplace(run.compare, run.compare_by);
  }
  void add(const FewShotResult& result) {
    if (saved_) saved_->add(result, world_);
    if (first_ && !run_.per_query.empty())
      save_scenario_users(scenario_users(result, world_), run_.per_query);
    first_ = false;
  }
  void write(Json& document) const {
    if (!saved_) return;
    document["comparison"] = saved_->result(Rng(run_.seed)).to_json();
    document["comparison"]["metric"] = run_.compare_by;
    document["comparison"]["against"] = run_.compare;
  }

 private:
  const FewShotEvaluateRun& run_;
  const Dataset& world_;
  std::optional<SavedScenarios> saved_;
  bool first_ = true;
};

Json evaluate_directory(const FewShotEvaluateRun& run, const ScenarioSet& set,
                        const FewShotEvaluation& options, UserResults& users) {
  if (!run.options.empty()) {
    throw Error(Kind::kBadOption, "a trained model keeps the options that it was trained with",
                "--set", "pass a model's name instead of a directory, or train again");
  }
  if (!run.vectors.empty() || !run.vector_options.empty()) {
    throw Error(Kind::kBadOption, "a trained model keeps the vectors that it was trained with",
                run.vectors.empty() ? "--vector-set" : "--vectors",
                "pass a model's name instead of a directory, or train again");
  }
  if (run.model.find('/') == std::string::npos && !std::filesystem::exists(run.model)) {
    find_few_shot(run.model);  // a name, misspelt
  }
  const LoadedFewShot loaded = load_few_shot(run.model);
  if (run.seeds > 1) {
    throw Error(Kind::kBadOption, "a trained model has one seed", "--seeds",
                "train one model for each seed and evaluate each");
  }
  const auto trained = json_get<std::string>(loaded.record.data, "fingerprint", run.model);
  if (trained != set.fingerprint()) {
    throw Error(Kind::kBadInput, "the model was trained on other scenarios", run.model,
                "evaluate it on the scenario directory that it was trained with");
  }
  const FewShotTask task{&set, &loaded.vectors};
  const FewShotResult result =
      evaluate_few_shot(*loaded.model, task, tasks_of(set, run.role), options);
  users.add(result);
  Json document = result.to_json();
  users.write(document);
  document["details"] = loaded.model->details();
  document["frozen_vectors"] = loaded.vectors.recipe;
  return finish(run, loaded.record.model, document);
}

}  // namespace

Json run_few_shot_evaluation(const FewShotEvaluateRun& run) {
  if (run.seeds < 1) throw Error(Kind::kBadOption, "at least one seed is needed", "--seeds");
  FewShotEvaluation options;
  options.seed = run.seed;
  options.cutoffs = run.cutoffs;
  options.ties = parse_ties(run.ties);
  const ScenarioSet set = load_scenarios(run.scenarios);
  UserResults users(run, set.world);
  if (!is_few_shot_model(run.model)) return evaluate_directory(run, set, options, users);
  const FrozenVectors vectors =
      cached_frozen_vectors(set, frozen_options(run.vectors, run.vector_options), run.scenarios);
  const FewShotTask task{&set, &vectors};
  Json first;
  Spread pooled;
  Spread macro;
  for (std::int64_t n = 0; n < run.seeds; ++n) {
    options.seed = run.seed + static_cast<std::uint64_t>(n);
    const Fitted fitted = fit_by_name(run, task, options.seed);
    const FewShotResult result =
        evaluate_few_shot(*fitted.model, task, tasks_of(set, run.role), options);
    users.add(result);
    Json document = result.to_json();
    document["details"] = fitted.model->details();
    gather(document, "metrics", pooled);
    gather(document, "macro", macro);
    if (n == 0) first = std::move(document);
  }
  if (run.seeds > 1) {
    put_means(pooled, "metrics", first);
    put_means(macro, "macro", first);
    first["seeds"] = run.seeds;
  }
  users.write(first);
  first["frozen_vectors"] = vectors.recipe;
  return finish(run, run.model, first);
}

std::vector<RecommendedItem> recommend_adapted(const std::string& directory,
                                               const std::string& user, std::size_t k,
                                               bool keep_seen) {
  const LoadedAdapted adapted = load_adapted(directory);
  const auto id = adapted.world.user_ids().find(user);
  if (!id) {
    throw Error(Kind::kNotFound, fmt::format("there is no user {}", quote(user)), directory,
                "users are those of the world that the model was trained with");
  }
  std::vector<ItemId> items;
  const auto seen = adapted.world.history(*id);
  for (ItemId item = 0; item < adapted.world.item_count(); ++item) {
    const bool known = std::any_of(seen.begin(), seen.end(),
                                   [&](const Event& event) { return event.item == item; });
    if (keep_seen || !known) items.push_back(item);
  }
  if (items.empty()) return {};
  const Matrix scores = adapted.scorer->score(std::span(&*id, 1), items);
  std::vector<std::size_t> order(items.size());
  for (std::size_t c = 0; c < order.size(); ++c) order[c] = c;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores(0, a) > scores(0, b); });
  order.resize(std::min(order.size(), k));
  std::vector<RecommendedItem> list;
  for (const std::size_t c : order) {
    const Item& item = adapted.world.items()[items[c]];
    list.push_back({adapted.world.item_ids().name(items[c]),
                    item.title.empty() ? item.text : item.title, scores(0, c)});
  }
  return list;
}

}  // namespace kindling
