// Few-shot branches of `train` and `evaluate`: what --scenarios turns on.
#pragma once

#include <string>
#include <vector>

#include "cli/verbs.h"

namespace kindling::cli {

struct FewShotArguments {
  std::string scenarios;
  std::vector<std::string> vector_settings;
  std::string role = "meta-test";
  std::string ties = "rank";
};

// --scenarios and --vector-set; for evaluate --role and --ties too.
void add_few_shot(CLI::App& verb, FewShotArguments& arguments, bool evaluates);

// Options that mean nothing to a few-shot model are refused beside --scenarios.
void not_with_scenarios(CLI::App& verb, const std::vector<std::string>& options);

// The line of --compare; nothing without it.
void print_comparison(const Json& document);
void print_few_shot(const Json& document, const Common& common);

}  // namespace kindling::cli
