// kindling scenarios: tasks of few interactions beside a source, split once for all methods.
#include "kindling/data/scenarios.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verbs.h"

namespace kindling::cli {

namespace {

struct ScenarioArguments {
  std::vector<std::string> source;
  std::vector<std::string> meta_train;
  std::vector<std::string> meta_test;
  std::map<std::string, std::string> values;
  std::string out;
  bool force = false;
};

std::vector<Dataset> load_all(const std::vector<std::string>& directories) {
  std::vector<Dataset> datasets;
  datasets.reserve(directories.size());
  for (const std::string& directory : directories) datasets.push_back(load_dataset(directory));
  return datasets;
}

std::vector<const Dataset*> pointers(const std::vector<Dataset>& datasets) {
  std::vector<const Dataset*> all;
  all.reserve(datasets.size());
  for (const Dataset& data : datasets) all.push_back(&data);
  return all;
}

Json facts_of(const std::vector<Scenario>& tasks) {
  std::size_t pairs = 0;
  std::size_t support = 0;
  std::size_t evaluation = 0;
  std::size_t candidates = 0;
  for (const Scenario& task : tasks) {
    pairs += task.pairs.size();
    support += task.support.size();
    evaluation += task.evaluation.size();
    candidates += task.candidates.size();
  }
  Json facts = {{"scenarios", tasks.size()}, {"candidates", candidates}};
  if (pairs > 0) facts["pairs"] = pairs;
  if (support > 0) facts["support"] = support;
  if (evaluation > 0) facts["evaluation"] = evaluation;
  return facts;
}

void run_scenarios(const ScenarioArguments& arguments, const Common& common) {
  ScenarioOptions options;
  for (const auto& [name, value] : arguments.values) set_option(options, name, value);
  const auto source = load_all(arguments.source);
  const auto meta_train = load_all(arguments.meta_train);
  const auto meta_test = load_all(arguments.meta_test);
  const ScenarioSet set =
      build_scenarios({pointers(source), pointers(meta_train), pointers(meta_test)}, options);
  save_scenarios(set, arguments.out, arguments.force);
  const Json document = {{"out", arguments.out},
                         {"users", set.world.user_count()},
                         {"items", set.world.item_count()},
                         {"source_items", set.source_items},
                         {"world_interactions", set.world.event_count()},
                         {"meta_train", facts_of(set.meta_train)},
                         {"validation", facts_of(set.validation)},
                         {"meta_test", facts_of(set.meta_test)},
                         {"fingerprint", set.fingerprint()}};
  if (common.json) {
    print_json(document);
    return;
  }
  fmt::print("{}: {} meta-train, {} validation and {} meta-test scenarios beside {} source items\n",
             arguments.out, set.meta_train.size(), set.validation.size(), set.meta_test.size(),
             set.source_items);
}

void add_scenario_options(CLI::App& verb, ScenarioArguments& arguments) {
  for (const OptionInfo& option : describe_options(ScenarioOptions{})) {
    std::string flag = "--" + option.name;
    for (char& c : flag) c = c == '_' ? '-' : c;
    verb.add_option_function<std::string>(
        flag,
        [&arguments, name = option.name](const std::string& text) {
          arguments.values[name] = text;
        },
        fmt::format("{} [{}]", option.description, options_detail::text_of(option.value)));
  }
}

}  // namespace

void add_scenarios(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("scenarios", "make tasks of few interactions beside a source");
  auto arguments = std::make_shared<ScenarioArguments>();
  verb->add_option("--source", arguments->source,
                   "dataset directories of the source; none: items that are in no scenario");
  verb->add_option("--meta-train", arguments->meta_train,
                   "dataset directories whose categories are scenarios to learn from")
      ->required();
  verb->add_option("--meta-test", arguments->meta_test,
                   "… to test on; none: --meta-train's scenarios are split at random");
  add_scenario_options(*verb, *arguments);
  verb->add_option("--out", arguments->out, "scenario directory to make")->required();
  verb->add_flag("--force", arguments->force, "replace an existing scenario directory");
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_scenarios(*arguments, common); });
}

}  // namespace kindling::cli
