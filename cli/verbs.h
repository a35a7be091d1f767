// The verbs of the program: each adds one subcommand, its options and what it runs.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "kindling/base/error.h"
#include "kindling/base/json.h"
#include "kindling/models/registry.h"

namespace kindling::cli {

// Flags that every verb takes; filled before a verb's callback runs.
struct Common {
  bool quiet = false;
  bool json = false;
  int threads = 0;  // 0: one per core
};

// Adds --quiet, --json and --threads to a verb.
void add_common(CLI::App& verb, Common& common);

// "key=value" of --set and its like; `flag` names the option in errors.
// Errors: kBadOption for one without a key or without '='.
OptionValues parse_settings(const std::vector<std::string>& settings, const std::string& flag);

// A result that fails its own check: exit code 3.
class FailedCheck : public Error {
 public:
  using Error::Error;
};

// A whole number from 0 on, written plainly: "-1" and what does not fit would become other numbers.
CLI::Validator whole_number();
// A finite number from 0 on.
CLI::Validator minutes();

// One JSON document on stdout; nothing else may be printed there under --json.
void print_json(const Json& document);

// Every add_… makes the subcommand and sets its callback. The callback throws Error; main turns it
// into exit codes.
void add_import(CLI::App& app, Common& common);
void add_inspect(CLI::App& app, Common& common);
void add_embed(CLI::App& app, Common& common);
void add_scenarios(CLI::App& app, Common& common);
void add_adapt(CLI::App& app, Common& common);
void add_train(CLI::App& app, Common& common);
void add_evaluate(CLI::App& app, Common& common);
void add_recommend(CLI::App& app, Common& common);
void add_models(CLI::App& app, Common& common);
void add_candidates(CLI::App& app, Common& common);
void add_overlap(CLI::App& app, Common& common);
void add_experiment(CLI::App& app, Common& common);
void add_report(CLI::App& app, Common& common);

}  // namespace kindling::cli
