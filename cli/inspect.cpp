// kindling inspect DIR [--against DIR]: statistics, and what two domains share.
#include "kindling/data/inspect.h"

#include <memory>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/data/dataset.h"

namespace kindling::cli {

namespace {

struct Arguments {
  std::string dataset;
  std::string against;
};

// One line a fact, nested names joined by a space; lists only with --json.
void print_facts(const Json& facts, const std::string& prefix) {
  for (const auto& [key, value] : facts.items()) {
    if (key == "origin" || value.is_array()) continue;
    std::string name = prefix + key;
    for (char& c : name) c = c == '_' ? ' ' : c;
    if (value.is_object()) {
      print_facts(value, name + ": ");
    } else if (value.is_null()) {
      fmt::print("{:<44} none\n", name);
    } else {
      fmt::print("{:<44} {}\n", name,
                 value.is_string()         ? value.get<std::string>()
                 : value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
                                           : value.dump());
    }
  }
}

void run_inspect(const Arguments& arguments, const Common& common) {
  const Dataset data = load_dataset(arguments.dataset);
  Json facts = inspect_dataset(data);
  if (!arguments.against.empty()) {
    facts["against"] = inspect_against(data, load_dataset(arguments.against));
  }
  if (common.json) {
    print_json(facts);
    return;
  }
  print_facts(facts, "");
}

}  // namespace

void add_inspect(CLI::App& app, Common& common) {
  auto* verb =
      app.add_subcommand("inspect", "statistics of a dataset; what it shares with another");
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("dataset", arguments->dataset, "dataset directory (the target)")->required();
  verb->add_option("--against", arguments->against,
                   "the source: shared users and items, near-duplicate texts, time leakage");
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_inspect(*arguments, common); });
}

}  // namespace kindling::cli
