// kindling experiment NAME: one table or figure of a paper, our value beside the published one.
#include "kindling/eval/experiment.h"

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/eval/experiment_results.h"

namespace kindling::cli {

namespace {

struct Arguments {
  std::string name;
  std::string file;
  bool list = false;
  bool check = false;
  ExperimentRun run;
};

void list_plans(const Common& common) {
  Json all = Json::array();
  for (const std::string& name : plan_names()) {
    const ExperimentPlan plan = load_plan(name);
    if (common.json) {
      all.push_back({{"name", name}, {"title", plan.title}, {"source", plan.source}});
    } else {
      fmt::print("{:<22} {}\n", name, plan.title);
    }
  }
  if (common.json) print_json({{"experiments", all}});
}

ExperimentPlan plan_of(const Arguments& arguments) {
  if (!arguments.file.empty()) return read_plan(arguments.file);
  if (arguments.name.empty()) {
    throw Error(Kind::kBadOption, "which experiment?", {},
                "give a name, see kindling experiment --list, or --file PATH");
  }
  return load_plan(arguments.name);
}

// Reads one plan or all, and says what of its data is not there.
void check_plans(const Arguments& arguments, const Common& common) {
  std::vector<ExperimentPlan> plans;
  if (arguments.name.empty() && arguments.file.empty()) {
    for (const std::string& name : plan_names()) plans.push_back(load_plan(name));
  } else {
    plans.push_back(plan_of(arguments));
  }
  Json all = Json::array();
  for (const ExperimentPlan& plan : plans) {
    const auto missing = missing_parts(plan, arguments.run.data);
    all.push_back({{"name", plan.name}, {"missing", missing}});
    if (common.json) continue;
    fmt::print("{}: well formed, {} models on {} pairs\n", plan.name, plan.models.size(),
               plan.pairs.size());
    for (const std::string& part : missing) fmt::print("  {}\n", part);
  }
  if (common.json) print_json({{"experiments", all}});
}

void run_verb(Arguments arguments, const Common& common) {
  if (arguments.list) return list_plans(common);
  if (arguments.check) return check_plans(arguments, common);
  arguments.run.version = KINDLING_VERSION;
  arguments.run.threads = threads();
  const Json document = run_experiment(plan_of(arguments), arguments.run);
  if (common.json) {
    print_json(document);
  } else {
    fmt::print("{}", experiment_text(document));
  }
  for (const Json& one : document.value("again", Json::array())) {
    if (one["same"].get<bool>()) continue;
    throw FailedCheck(Kind::kInternal, "a cell did not give the same numbers again",
                      one["cell"].get<std::string>(),
                      "made by other libraries, another processor or an earlier build?");
  }
  const std::size_t failed = document["failed"].size();
  if (failed > 0) {
    throw Error(Kind::kInternal, fmt::format("{} cells failed; the warnings above say why", failed),
                {}, "the same command runs them again");
  }
}

}  // namespace

void add_experiment(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("experiment", "one table or figure of a paper, cell by cell");
  auto arguments = std::make_shared<Arguments>();
  ExperimentRun& run = arguments->run;
  run.data = "../shared/data";
  verb->add_option("NAME", arguments->name, "one of --list");
  verb->add_option("--file", arguments->file, "an experiment file of your own instead");
  verb->add_flag("--list", arguments->list, "name the experiments");
  verb->add_flag("--check", arguments->check,
                 "read the experiment (without NAME: all) and say what of its data is missing");
  verb->add_option("--out", run.out, "directory of results; finished cells are not run again");
  verb->add_option("--data", run.data, "folder of the raw data")->capture_default_str();
  verb->add_option("--seeds", run.seeds, "number of seeds; 0: as the experiment says")
      ->check(CLI::Range(0, 100));
  verb->add_option("--jobs", run.jobs, "cells at a time, a thread each")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--minutes", run.minutes, "start no cell after this time; 0: no limit")
      ->check(minutes());
  verb->add_option(
          "--only", run.only,
          "run only the cells whose names fit one of these patterns, separated by commas, such "
          "as '*.bert4rec.*' or '*.0'; a name is pair.encoder.row[.step].seed")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option(
          "--again", run.again,
          "run so many of the finished cells once more, and say whether they give the same "
          "numbers; OUT stays as it is")
      ->check(CLI::Range(1, 100'000));
  verb->get_option("NAME")->excludes("--file");
  for (const char* other : {"NAME", "--file", "--check", "--out", "--seeds", "--jobs", "--minutes",
                            "--only", "--again", "--data"}) {
    verb->get_option("--list")->excludes(other);
  }
  for (const char* other : {"--out", "--seeds", "--jobs", "--minutes", "--only", "--again"}) {
    verb->get_option("--check")->excludes(other);
  }
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_verb(*arguments, common); });
}

}  // namespace kindling::cli
