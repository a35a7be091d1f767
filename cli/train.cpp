// kindling train: a model directory from dataset directories.
#include <atomic>
#include <cmath>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/few_shot.h"
#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/eval/protocol.h"
#include "kindling/models/few_shot_run.h"
#include "kindling/models/registry.h"
#include "kindling/models/train_run.h"

namespace kindling::cli {

namespace {

std::atomic<bool> interrupted{false};

extern "C" void note_signal(int) { interrupted = true; }

struct TrainArguments {
  TrainRun run;
  std::vector<std::string> settings;
  std::string options_file;
  std::string candidates = "popularity:199";
  std::string collapse = "off";
  FewShotArguments few_shot;
};

// --options first, so that --set overrides the file.
OptionValues gather_options(const TrainArguments& arguments) {
  OptionValues values;
  if (!arguments.options_file.empty()) {
    const Json object = read_json(arguments.options_file);
    if (!object.is_object()) {
      throw Error(Kind::kBadInput, "expected a JSON object of options", arguments.options_file);
    }
    for (const auto& [name, value] : object.items()) {
      values.emplace_back(name, options_detail::text_of(value));
    }
  }
  for (auto& value : parse_settings(arguments.settings, "--set")) values.push_back(value);
  return values;
}

Json curve_of(const ModelRecord& record) {
  Json curve = Json::array();
  for (const EpochRecord& epoch : record.history) {
    curve.push_back({{"epoch", epoch.epoch},
                     {"train_loss", epoch.train_loss},
                     {"seconds", epoch.seconds},
                     {"learning_rate", epoch.learning_rate}});
    if (!std::isnan(epoch.validation_loss)) {
      curve.back()["validation_loss"] = epoch.validation_loss;
    }
    if (!std::isnan(epoch.validation_ndcg)) {
      curve.back()["validation_ndcg@20"] = epoch.validation_ndcg;
    }
    if (epoch.validation_hr) curve.back()["validation_hr@10"] = *epoch.validation_hr;
  }
  return curve;
}

void print_record(const std::string& out, const ModelRecord& record, const Common& common) {
  if (!common.json) {
    fmt::print("{}\n", out);
    return;
  }
  print_json({{"model", record.model},
              {"out", out},
              {"seed", record.seed},
              {"data", record.data},
              {"metrics", record.metrics},
              {"details", record.details},
              {"history", curve_of(record)}});
}

void run_few_shot(const TrainArguments& arguments, const Common& common) {
  const TrainRun& run = arguments.run;
  FewShotRun few;
  few.model = run.model;
  few.options = gather_options(arguments);
  few.scenarios = arguments.few_shot.scenarios;
  few.vectors = run.vectors;
  few.vector_options = parse_settings(arguments.few_shot.vector_settings, "--vector-set");
  few.out = run.out;
  few.seed = run.seed;
  few.device = run.device;
  few.resume = run.resume;
  few.force = run.force;
  few.max_minutes = run.max_minutes;
  few.version = KINDLING_VERSION;
  few.should_stop = [] { return interrupted.load(); };
  few.on_epoch = [](const EpochRecord& epoch) {
    const std::string validation =
        std::isnan(epoch.validation_loss)
            ? ""
            : fmt::format(", validation N@20 {:.4f}", epoch.validation_ndcg);
    log_info("round {}: loss {:.4f}{}, {}", epoch.epoch, epoch.train_loss, validation,
             format_seconds(epoch.seconds));
  };
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
  print_record(few.out, run_few_shot_training(few), common);
}

void run_train(TrainArguments arguments, const Common& common) {
  if (!arguments.few_shot.scenarios.empty()) return run_few_shot(arguments, common);
  TrainRun& run = arguments.run;
  run.options = gather_options(arguments);
  run.version = KINDLING_VERSION;
  run.should_stop = [] { return interrupted.load(); };
  if (run.protocol == "leave-two-out") {
    EvaluationOptions options;
    options.protocol = run.protocol;
    options.candidates = parse_candidates(arguments.candidates);
    options.collapse = arguments.collapse;
    run.validated_by = fmt::format("{}, seed {}, collapse {}", name_of(options.candidates),
                                   options.candidates.seed, options.collapse);
    run.make_validator = [options](const Domain& target, const TargetSplit& split) {
      return make_validator(target, split, options);
    };
  }
  run.on_epoch = [](const EpochRecord& epoch) {
    if (epoch.validation_hr) {
      log_info("epoch {}: loss {:.4f}, validation HR@10 {:.4f}, {}", epoch.epoch, epoch.train_loss,
               *epoch.validation_hr, format_seconds(epoch.seconds));
      return;
    }
    const std::string validation = std::isnan(epoch.validation_loss)
                                       ? ""
                                       : fmt::format(", validation {:.4f}, N@20 {:.4f}",
                                                     epoch.validation_loss, epoch.validation_ndcg);
    log_info("epoch {}: loss {:.4f}{}, {}", epoch.epoch, epoch.train_loss, validation,
             format_seconds(epoch.seconds));
  };
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
  print_record(run.out, run_training(run), common);
}

// `option` says how validation asks.
void check_validated(const TrainRun& run, const std::string& option) {
  if (run.protocol != "leave-two-out") {
    throw Error(Kind::kBadOption, fmt::format("it means nothing under {}", run.protocol), option,
                "validation asks like this under --protocol leave-two-out");
  }
  if (!find_model(run.model).asks_validation) {
    log_info("{} is not validated while it learns: {} is left aside", run.model, option);
  }
}

}  // namespace

void add_train(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("train", "fit a model on a source domain");
  auto arguments = std::make_shared<TrainArguments>();
  TrainRun& run = arguments->run;
  verb->add_option("MODEL", run.model, "one of `kindling models`")->required();
  verb->add_option("--source", run.source, "dataset directory to learn from");
  verb->add_option("--target", run.target,
                   "dataset directory of the later target: its users and items are left out of the "
                   "source, see --remove-overlap");
  verb->add_option("--vectors", run.vectors,
                   "item vectors: a name under DIR/vectors, or a .npy or .safetensors file");
  verb->add_option("--protocol", run.protocol, "how the target is split")
      ->check(CLI::IsMember(protocol_names()))
      ->capture_default_str();
  verb->add_option("--remove-overlap", run.remove_overlap,
                   "what of the target is left out of the source, users with one event after it "
                   "too; auto: both, under leave-two-out none [Z4]")
      ->check(CLI::IsMember({"auto", "both", "users", "items", "none"}))
      ->capture_default_str();
  verb->add_option("--candidates", arguments->candidates,
                   "leave-two-out: what validation ranks against, popularity:N, uniform:N or full")
      ->capture_default_str();
  verb->add_option("--collapse", arguments->collapse,
                   "leave-two-out: repeats in what validation asks, as `kindling evaluate` has it; "
                   "what is learnt keeps its repeats [Z3]")
      ->check(CLI::IsMember({"off", "runs", "any"}))
      ->capture_default_str();
  add_few_shot(*verb, arguments->few_shot, false);
  verb->add_option("--set", arguments->settings, "key=value, see `kindling models --describe`");
  verb->add_option("--options", arguments->options_file, "JSON file of options");
  verb->add_option("--out", run.out, "model directory to write")->required();
  verb->add_option("--seed", run.seed, "seed of every random number")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_option("--device", run.device, "cpu or cuda")->capture_default_str();
  verb->add_flag("--resume", run.resume, "go on from the checkpoint in OUT.ckpt");
  verb->add_flag("--force", run.force, "replace an existing model directory");
  verb->add_option("--max-minutes", run.max_minutes, "stop after this time; 0: no limit")
      ->check(minutes());
  not_with_scenarios(*verb, {"--source", "--target", "--protocol", "--remove-overlap",
                             "--candidates", "--collapse"});
  add_common(*verb, common);
  verb->callback([arguments, &common, verb] {
    const TrainRun& asked = arguments->run;
    for (const char* option : {"--candidates", "--collapse"}) {
      if (verb->count(option) > 0) check_validated(asked, option);
    }
    if (verb->count("--protocol") > 0 && asked.target.empty() &&
        asked.protocol != "leave-two-out") {
      throw Error(Kind::kBadOption, fmt::format("{} splits the target", asked.protocol),
                  "--protocol", "name the target too, with --target DIR");
    }
    run_train(*arguments, common);
  });
}

}  // namespace kindling::cli
