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

// Empty `vectors`: bpr.
std::string vector_method(const std::string& vectors);

void print_few_shot(const Json& document, const Common& common);

}  // namespace kindling::cli
