// kindling evaluate: how well a model ranks what the users of a target domain chose next.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/few_shot.h"
#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/eval/evaluate_run.h"
#include "kindling/eval/few_shot_run.h"

namespace kindling::cli {

namespace {

struct EvaluateArguments {
  EvaluateRun run;
  std::vector<std::string> settings;
  std::vector<std::int64_t> cutoffs;
  std::string candidates;
  FewShotArguments few_shot;
  std::vector<std::string> beside{"auto"};
  std::string of_lists;  // an option of drawn lists that is given; may be empty
};

void print_table(const Json& document) {
  std::string queries = fmt::format("{}", document["queries"].get<std::size_t>());
  if (document.contains("queries_in_all")) {
    queries =
        fmt::format("the first {} of {}", queries, document["queries_in_all"].get<std::size_t>());
  }
  fmt::print("{} on {}, {}: {} queries, {} candidates, {:.1f} s\n",
             document["model"].get<std::string>(), document["target"].get<std::string>(),
             document["protocol"].get<std::string>(), queries,
             document["candidates"].get<std::size_t>(), document["seconds"].get<double>());
  const bool spread = document.contains("metrics_sd");
  for (const auto& [name, value] : document["metrics"].items()) {
    fmt::print("  {:<10} {:.4f}", name, value.get<double>());
    if (spread) fmt::print(" +- {:.4f}", document["metrics_sd"][name].get<double>());
    const Json& random = document["random_expectation"];
    if (random.contains(name)) fmt::print("   random {:.4f}", random[name].get<double>());
    fmt::print("\n");
  }
  if (document.contains("metrics_among")) {
    for (const auto& [name, metrics] : document["metrics_among"].items()) {
      fmt::print("  among {}: hr@{} {:.4f}\n", name, document["cutoffs"].back().get<std::int64_t>(),
                 metrics[fmt::format("hr@{}", document["cutoffs"].back().get<std::int64_t>())]
                     .get<double>());
    }
  }
  print_comparison(document);
}

// The two-domain protocol ranks among lists, with uniform lists and the whole catalogue beside them
// [R12]; every other protocol ranks the whole catalogue.
void choose_candidates(EvaluateArguments& arguments) {
  EvaluationOptions& options = arguments.run.evaluation;
  const bool pairs = options.protocol == "leave-two-out";
  options.cutoffs = arguments.cutoffs;
  if (options.cutoffs.empty()) {
    options.cutoffs =
        pairs ? std::vector<std::int64_t>{5, 10, 20} : std::vector<std::int64_t>{10, 20};
  }
  const CandidateOptions given = options.candidates;  // seed and `released`
  const auto parse = [&](const std::string& text) {
    CandidateOptions parsed = parse_candidates(text);
    parsed.seed = given.seed;
    parsed.released = given.released;
    return parsed;
  };
  const std::string fallback = pairs ? "popularity:199" : "full";
  options.candidates = parse(arguments.candidates.empty() ? fallback : arguments.candidates);
  std::vector<std::string> beside = arguments.beside;
  if (beside == std::vector<std::string>{"none"}) beside.clear();
  if (beside == std::vector<std::string>{"auto"}) {
    beside.clear();
    if (options.candidates.draw == "popularity") {
      beside = {fmt::format("uniform:{}", options.candidates.negatives), "full"};
    }
  }
  for (const std::string& other : beside) options.beside.push_back(parse(other));
  const auto draws = [](const CandidateOptions& one) { return one.negatives > 0; };
  const bool drawn =
      draws(options.candidates) || std::any_of(options.beside.begin(), options.beside.end(), draws);
  if (drawn || arguments.of_lists.empty()) return;
  throw Error(Kind::kBadOption, "no lists are drawn here", arguments.of_lists,
              "it is for --candidates popularity:N or uniform:N; a file keeps its own");
}

void run_few_shot(const EvaluateArguments& arguments, const Common& common) {
  FewShotEvaluateRun few;
  few.model = arguments.run.model;
  few.scenarios = arguments.few_shot.scenarios;
  few.role = arguments.few_shot.role;
  few.options = parse_settings(arguments.settings, "--set");
  few.vectors = arguments.run.vectors;
  few.vector_options = parse_settings(arguments.few_shot.vector_settings, "--vector-set");
  few.seed = arguments.run.seed;
  few.seeds = arguments.run.seeds;
  if (!arguments.cutoffs.empty()) few.cutoffs = arguments.cutoffs;
  few.ties = arguments.few_shot.ties;
  few.per_query = arguments.run.per_query;
  few.compare = arguments.run.compare;
  few.compare_by = arguments.run.compare_by;
  print_few_shot(run_few_shot_evaluation(few), common);
}

void run_evaluate(EvaluateArguments arguments, const Common& common) {
  if (!arguments.few_shot.scenarios.empty()) return run_few_shot(arguments, common);
  for (const char* needed : {"--target", "--protocol"}) {
    const bool target = std::string_view(needed) == "--target";
    if ((target ? arguments.run.target : arguments.run.evaluation.protocol).empty()) {
      throw Error(Kind::kBadOption, "is required", needed, "or --scenarios for a few-shot model");
    }
  }
  arguments.run.options = parse_settings(arguments.settings, "--set");
  choose_candidates(arguments);
  const Json document = run_evaluation(arguments.run);
  if (common.json) {
    print_json(document);
  } else {
    print_table(document);
  }
}

}  // namespace

void add_evaluate(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("evaluate", "rank what users chose next among all items");
  auto arguments = std::make_shared<EvaluateArguments>();
  EvaluateRun& run = arguments->run;
  EvaluationOptions& options = run.evaluation;
  options.protocol.clear();  // to be named
  verb->add_option("MODEL", run.model, "model directory, or the name of a model without a source")
      ->required();
  verb->add_option("--target", run.target, "dataset directory");
  verb->add_option("--protocol", options.protocol,
                   fmt::format("one of {}", join(protocol_names(), ", ")));
  verb->add_option("--k", arguments->cutoffs,
                   "cut-offs of the metrics; default 10,20; leave-two-out: 5,10,20")
      ->check(whole_number())
      ->delimiter(',');
  verb->add_option(
      "--candidates", arguments->candidates,
      "full, popularity:N, uniform:N or a file of `kindling candidates`; default: full; "
      "leave-two-out: popularity:199 [R12]");
  verb->add_option(
          "--beside", arguments->beside,
          "further candidates to rank the same queries among, none, or auto: uniform lists "
          "and full beside popularity's")
      ->delimiter(',');
  verb->add_option("--candidate-seed", options.candidates.seed, "seed of the lists")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_flag("--released-candidates", options.candidates.released,
                 "lists as RecGURU's code draws them: with repeats, see the documentation [R12]");
  verb->add_option("--vectors", run.vectors,
                   "item vectors: a name under DIR/vectors, or a .npy or .safetensors file");
  add_few_shot(*verb, arguments->few_shot, true);
  verb->add_option("--set", arguments->settings, "key=value, see `kindling models --describe`");
  verb->add_option("--seed", run.seed, "first seed")->check(whole_number())->capture_default_str();
  verb->add_option(
      "--seeds", run.seeds,
      "number of seeds; mean and sd of the metrics are given, slices and --per-query of the "
      "first");
  verb->add_flag("--mask-seen", options.mask_seen, "items of the history are no candidates");
  verb->add_flag("--mean-over-users", options.mean_over_users, "instead of over interactions");
  verb->add_option("--context", options.context,
                   "history of a query: all earlier events, or those of train or test only [Z21]")
      ->check(CLI::IsMember({"all", "train", "test"}))
      ->capture_default_str();
  verb->add_option("--collapse", options.collapse,
                   "repeats of an item, in queries alone: runs become one event, or a user's first "
                   "event with it counts, or all stay [Z3]")
      ->check(CLI::IsMember({"off", "runs", "any"}))
      ->capture_default_str();
  verb->add_option("--max-queries", options.max_queries,
                   "ask the first so many queries only, in the order of the users; 0: all. "
                   "RecGURU's code asks 2048 users [R15]")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_option("--per-query", run.per_query,
                   "write the rank of every query to this file; with --scenarios every user's "
                   "metrics");
  verb->add_option("--compare", run.compare, "paired bootstrap against such a file");
  verb->add_option("--compare-by", run.compare_by, "metric to compare by")
      ->needs("--compare")
      ->capture_default_str();
  not_with_scenarios(*verb, {"--target", "--protocol", "--candidates", "--beside",
                             "--candidate-seed", "--released-candidates", "--mask-seen",
                             "--mean-over-users", "--context", "--collapse", "--max-queries"});
  add_common(*verb, common);
  verb->callback([arguments, &common, verb] {
    for (const char* option : {"--candidate-seed", "--released-candidates"}) {
      if (verb->count(option) > 0) arguments->of_lists = option;
    }
    run_evaluate(*arguments, common);
  });
}

}  // namespace kindling::cli
