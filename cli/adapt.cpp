// kindling adapt: a trained few-shot model and a handful of interactions of a new scenario.
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/data/readers/reader.h"
#include "kindling/models/few_shot_run.h"

namespace kindling::cli {

namespace {

void run_adapt(AdaptRun run, const Common& common) {
  run.version = KINDLING_VERSION;
  const Json document = run_adaptation(run);
  if (common.json) {
    print_json(document);
    return;
  }
  const Json& steps = document["adaptation"]["steps"];
  fmt::print("{}: {} adapted to {} interactions, {} candidates, {} steps, {:.2f} s\n", run.out,
             document["model"].get<std::string>(), document["support"].get<std::size_t>(),
             document["candidates"].get<std::size_t>(), steps.size(),
             document["seconds"].get<double>());
  for (const Json& step : steps) {
    fmt::print("  step {:>3}  loss {:.4f}  stop {:.3f}\n", step["step"].get<std::size_t>(),
               step["loss"].get<double>(), step["stop_probability"].get<double>());
  }
}

// What the reader's hints name must be there; columns have flags of their own.
void add_reading(CLI::App& verb, AdaptRun& run) {
  for (const OptionInfo& option : find_reader("csv").describe()) {
    for (const auto& [name, flag] :
         {std::pair("separator", "--separator"), std::pair("header", "--header"),
          std::pair("quotes", "--quotes"), std::pair("bad_rows", "--bad-rows")}) {
      if (option.name != name) continue;
      verb.add_option_function<std::string>(
          flag,
          [&run, key = option.name](const std::string& text) {
            run.reading.emplace_back(key, text);
          },
          option.description);
    }
  }
}

}  // namespace

void add_adapt(CLI::App& app, Common& common) {
  auto* verb =
      app.add_subcommand("adapt", "fit a trained few-shot model to a new scenario's interactions");
  auto run = std::make_shared<AdaptRun>();
  verb->add_option("MODEL_DIR", run->model, "made with kindling train MODEL --scenarios DIR")
      ->required();
  verb->add_option("--scenario", run->support,
                   "delimited file of the scenario's interactions, columns user and item")
      ->required();
  verb->add_option("--candidates", run->items,
                   "file of the scenario's item ids, one a line; none: the items of --scenario");
  verb->add_option(
      "--world", run->world,
      "dataset directory with item vectors: its users and items, new ones too, in "
      "place of the training scenarios'; for a model trained with --vectors universal");
  verb->add_option("--vectors", run->text_vectors,
                   "item vectors of --world by name; default: the only ones");
  verb->add_option("--universal", run->universal,
                   "where the model of the universal vectors is; default: where it was");
  verb->add_option("--user", run->user_column, "column of the user, by name or number from 1");
  verb->add_option("--item", run->item_column, "column of the item");
  add_reading(*verb, *run);
  verb->add_option("--name", run->name, "name of the scenario; default: the file's");
  verb->add_option("--seed", run->seed, "seed of batches and stopping")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_option("--out", run->out, "directory of the adapted recommender")->required();
  verb->add_flag("--force", run->force, "replace an existing directory");
  add_common(*verb, common);
  verb->callback([run, &common] { run_adapt(*run, common); });
}

}  // namespace kindling::cli
