#include "kindling/eval/few_shot_cells.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/eval/few_shot.h"
#include "kindling/eval/learning_plots.h"
#include "kindling/eval/metrics.h"
#include "kindling/eval/next_item_cells.h"
#include "kindling/models/frozen_vectors.h"

namespace kindling {

namespace {

namespace fs = std::filesystem;

constexpr const char* kVectorsPrefix = "vectors_";
constexpr std::size_t kHashDigits = 12;
constexpr std::int64_t kCompareAt = 20;

// Settings of the cells themselves.
struct FewShotSettings {
  std::string trace;
  std::int64_t forced_steps = 0;
  std::string ties = "rank";

  template <class Visitor>
  void fields(Visitor& field) {
    field("trace", trace, kAny,
          "name of a meta-test scenario whose learning is recorded step by step; \"largest\": the "
          "one with most evaluation users");
    field("forced_steps", forced_steps, between(0, 1000),
          "also rank after each number of steps up to this one, without stopping; 0: no");
    field("ties", ties, one_of({"rank", "mean", "compat"}), "how ties count [S14]");
  }
};

struct FewShotCell {
  FewShotSettings settings;
  ScenarioOptions scenarios;
  FrozenOptions vectors;
};

bool has_name(const std::vector<OptionInfo>& infos, const std::string& name) {
  return std::any_of(infos.begin(), infos.end(),
                     [&](const OptionInfo& info) { return info.name == name; });
}

FewShotCell read_settings(const Json& settings) {
  FewShotCell cell;
  const auto own = describe_options(cell.settings);
  const auto scenarios = describe_options(cell.scenarios);
  for (const auto& [name, value] : settings.items()) {
    const std::string text = options_detail::text_of(value);
    if (has_name(own, name)) {
      set_option(cell.settings, name, text);
    } else if (has_name(scenarios, name)) {
      set_option(cell.scenarios, name, text);
    } else {
      set_option(cell.vectors, name.substr(std::string_view(kVectorsPrefix).size()), text);
    }
  }
  return cell;
}

std::vector<Dataset> load_role(const CellTask& task, const std::string& role) {
  std::vector<Dataset> sets;
  const auto found = task.data.find(role);
  if (found != task.data.end()) sets.push_back(load_dataset(found->second));
  return sets;
}

std::vector<const Dataset*> pointers_to(const std::vector<Dataset>& sets) {
  std::vector<const Dataset*> all;
  all.reserve(sets.size());
  for (const Dataset& set : sets) all.push_back(&set);
  return all;
}

// The scenario directory of these data sets and options; made when it is not there.
std::string scenario_directory(const CellTask& task, const ScenarioOptions& options) {
  const Json what = {{"data", Json(task.data)}, {"options", options_to_json(options)}};
  const std::string key = sha256(what.dump()).substr(0, kHashDigits);
  const fs::path directory = fs::path(task.shared) / "scenarios" / key;
  if (fs::exists(directory / kScenarioMarker)) return directory.string();
  const auto source = load_role(task, "source");
  const auto meta_train = load_role(task, "meta-train");
  const auto meta_test = load_role(task, "meta-test");
  const ScenarioSet set = build_scenarios(
      {pointers_to(source), pointers_to(meta_train), pointers_to(meta_test)}, options);
  make_directories(directory.parent_path());
  save_scenarios(set, directory.string(), true);
  return directory.string();
}

const Scenario& find_traced(const std::vector<Scenario>& tasks, const std::string& name) {
  if (name == "largest") {
    return *std::max_element(tasks.begin(), tasks.end(), [](const Scenario& a, const Scenario& b) {
      return a.evaluation.size() < b.evaluation.size();
    });
  }
  for (const Scenario& task : tasks) {
    if (task.name == name) return task;
  }
  throw Error(Kind::kNotFound, fmt::format("there is no meta-test scenario {}", quote(name)),
              "trace");
}

Rng stream_of(std::uint64_t seed, const Scenario& scenario) {
  return Rng(seed).fork("adapt").fork(scenario.name);
}

// The paper's figure 2: what the learner did and how good the recommender was before each step.
Json trace_learning(const FewShotModel& model, const FewShotTask& task, const Scenario& scenario,
                    std::uint64_t seed, Ties ties) {
  AdaptRecord record;
  std::vector<double> recalls;
  record.on_step = [&](std::size_t, const ScenarioScorer& scorer) {
    recalls.push_back(mean_recall(rank_scenario(scorer, scenario), kCompareAt, ties));
  };
  model.adapt(task, scenario, stream_of(seed, scenario), &record);
  Json learning = record.to_json();
  for (std::size_t step = 0; step < learning["steps"].size(); ++step) {
    if (step < recalls.size()) learning["steps"][step]["recall@20"] = recalls[step];
  }
  learning["scenario"] = scenario.name;
  if (!recalls.empty()) learning["recall@20"] = recalls.back();
  return learning;
}

// The same learner without its stop controller's say: Recall@20 of all users after 0 … N steps.
void add_forced_steps(const CellTask& task, const FewShotModel& model, const FewShotTask& world,
                      const FewShotCell& cell, std::uint64_t seed, Ties ties, Json& metrics) {
  const auto steps = static_cast<std::size_t>(cell.settings.forced_steps);
  OptionValues values = task.options;
  for (const char* name : {"min_steps", "max_steps"}) {
    std::erase_if(values, [&](const auto& option) { return option.first == name; });
    values.emplace_back(name, std::to_string(steps));
  }
  const auto forced = make_few_shot(task.model, values);
  forced->load_state(model.state(), model.details());
  std::vector<double> sums(steps + 1, 0.0);
  double users = 0.0;
  for (const Scenario& scenario : world.scenarios->meta_test) {
    AdaptRecord record;
    record.on_step = [&](std::size_t step, const ScenarioScorer& scorer) {
      const auto standings = rank_scenario(scorer, scenario);
      if (step == 0) users += static_cast<double>(standings.size());
      if (step <= steps) {
        sums[step] +=
            mean_recall(standings, kCompareAt, ties) * static_cast<double>(standings.size());
      }
    };
    forced->adapt(world, scenario, stream_of(seed, scenario), &record);
  }
  for (std::size_t step = 0; step <= steps; ++step) {
    metrics[fmt::format("recall@20/{}", step)] = users > 0.0 ? sums[step] / users : 0.0;
  }
}

CellResult to_cell(const FewShotResult& result) {
  const Json document = result.to_json();
  CellResult cell;
  cell.metrics = document["metrics"];
  for (const auto& [name, value] : document["macro"].items()) {
    cell.metrics[fmt::format("macro_{}", name)] = value;
  }
  for (const char* share : {"below_itempop", "below_unadapted"}) {
    if (document.contains(share)) cell.metrics[share] = document[share];
  }
  double steps = 0.0;
  double seconds = 0.0;
  for (const ScenarioResult& one : result.scenarios) {
    steps += static_cast<double>(one.steps);
    seconds += one.adapt_seconds;
  }
  const auto count = static_cast<double>(result.scenarios.size());
  cell.metrics["steps"] = steps / count;
  cell.metrics["adapt_seconds"] = seconds / count;
  cell.more["scenarios"] = document["scenarios"];
  cell.more["queries"] = document["queries"];
  for (const std::string& metric : result.metrics()) {
    const std::vector<double> values = result.values(metric);
    cell.values[metric].assign(values.begin(), values.end());
  }
  for (std::size_t n = 0; n < result.scenarios.size(); ++n) {
    cell.scenarios.insert(cell.scenarios.end(), result.scenarios[n].users.size(),
                          static_cast<float>(n));
  }
  return cell;
}

class FewShotCells : public CellRunner {
 public:
  std::vector<OptionInfo> settings() const override {
    std::vector<OptionInfo> all = describe_options(FewShotSettings{});
    const auto scenarios = describe_options(ScenarioOptions{});
    all.insert(all.end(), scenarios.begin(), scenarios.end());
    for (OptionInfo info : describe_options(FrozenOptions{})) {
      info.name = kVectorsPrefix + info.name;
      all.push_back(std::move(info));
    }
    return all;
  }

  bool has_metric(const std::string& metric) const override {
    const std::string plain = without_macro(metric);
    const std::string of_user = plain.substr(0, plain.find('/'));
    return (!of_user.starts_with("mrr") && is_metric_at(of_user, FewShotEvaluation{}.cutoffs)) ||
           metric == "steps" || metric == "adapt_seconds" || metric == "below_itempop" ||
           metric == "below_unadapted";
  }

  std::vector<std::string> roles(const std::string&) const override { return {"meta-train"}; }
  std::vector<std::string> optional_roles() const override { return {"source", "meta-test"}; }

  bool needs_vectors(const std::string&) const override { return false; }

  void check(const std::string& model, const OptionValues& options) const override {
    find_few_shot(model).make(options);
  }

  CellResult run(const CellTask& task) const override {
    const FewShotCell cell = read_settings(task.settings);
    const std::string directory = scenario_directory(task, cell.scenarios);
    const ScenarioSet set = load_scenarios(directory);
    const FrozenVectors vectors = cached_frozen_vectors(set, cell.vectors, directory);
    const FewShotTask world{&set, &vectors};
    const auto model = make_few_shot(task.model, task.options);
    FitContext context;
    context.seed = task.seed;
    context.checkpoint = (fs::path(task.work) / "checkpoint").string();
    context.resume = true;
    context.should_stop = task.should_stop;
    model->fit(world, context);
    FewShotEvaluation evaluation;
    evaluation.seed = task.seed;
    evaluation.ties = parse_ties(cell.settings.ties);
    CellResult result = to_cell(evaluate_few_shot(*model, world, set.meta_test, evaluation));
    result.queries = set.fingerprint();
    result.more["details"] = model->details();
    result.more["frozen_vectors"] = vectors.recipe;
    result.more["history"] = history_json(context.history);
    if (!cell.settings.trace.empty()) {
      Json learning = trace_learning(*model, world, find_traced(set.meta_test, cell.settings.trace),
                                     task.seed, evaluation.ties);
      result.more["plots"] = learning_plots(learning);
      result.more["learning"] = std::move(learning);
    }
    const bool learns_in_steps = has_name(find_few_shot(task.model).describe(), "max_steps");
    if (cell.settings.forced_steps > 0 && learns_in_steps) {
      add_forced_steps(task, *model, world, cell, task.seed, evaluation.ties, result.metrics);
    }
    return result;
  }
};

}  // namespace

const CellRunner& few_shot_cells() {
  static const FewShotCells cells;
  return cells;
}

}  // namespace kindling
