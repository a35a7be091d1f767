// kindling inspect DIR [--against DIR]: statistics, and what two domains share.
#include "kindling/data/inspect.h"

#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/data/dataset.h"
#include "kindling/data/item_vectors.h"
#include "kindling/text/moments.h"

namespace kindling::cli {

namespace {

struct Arguments {
  std::string dataset;
  std::string against;
  std::string vectors;
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

// How much of the target's variance a model trained on the source has seen.
Json compare_vectors(const Arguments& arguments, const Dataset& target, const Dataset& source) {
  const auto load = [&](const std::string& directory, const Dataset& data) {
    return load_item_vectors(vectors_path(directory, arguments.vectors), data);
  };
  const ItemVectors ours = load(arguments.dataset, target);
  const ItemVectors theirs = load(arguments.against, source);
  return {{"name", arguments.vectors},
          {"same_space", ours.fingerprint == theirs.fingerprint},
          {"target_variance_in_source_subspace", shared_variance(theirs.values, ours.values)}};
}

void run_inspect(const Arguments& arguments, const Common& common) {
  const Dataset data = load_dataset(arguments.dataset);
  Json facts = inspect_dataset(data);
  if (!arguments.against.empty()) {
    const Dataset source = load_dataset(arguments.against);
    facts["against"] = inspect_against(data, source);
    if (!arguments.vectors.empty()) facts["vectors"] = compare_vectors(arguments, data, source);
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
  verb->add_option("--vectors", arguments->vectors,
                   "with --against: vectors of both; how much of the target's variance lies in the "
                   "subspace that holds 90 % of the source's")
      ->needs("--against");
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_inspect(*arguments, common); });
}

}  // namespace kindling::cli
