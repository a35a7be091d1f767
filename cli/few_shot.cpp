// The --scenarios branches of train and evaluate.
#include "cli/few_shot.h"

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling::cli {

void add_few_shot(CLI::App& verb, FewShotArguments& arguments, bool evaluates) {
  verb.add_option(
      "--scenarios", arguments.scenarios,
      "scenario directory, for few-shot models; --vectors is then bpr, als or universal");
  verb.add_option("--vector-set", arguments.vector_settings,
                  "with --scenarios: key=value of the frozen vectors (dim, epochs, model, …)")
      ->needs("--scenarios");
  if (!evaluates) return;
  verb.add_option("--role", arguments.role, "with --scenarios: which scenarios are asked")
      ->check(CLI::IsMember({"meta-test", "validation"}))
      ->needs("--scenarios")
      ->capture_default_str();
  verb.add_option("--ties", arguments.ties,
                  "with --scenarios: expected rank, mean over all orders, or positives first as in "
                  "the authors' code [S14]")
      ->check(CLI::IsMember({"rank", "mean", "compat"}))
      ->needs("--scenarios")
      ->capture_default_str();
}

void not_with_scenarios(CLI::App& verb, const std::vector<std::string>& options) {
  for (const std::string& name : options) verb.get_option(name)->excludes("--scenarios");
}

void print_comparison(const Json& document) {
  if (!document.contains("comparison")) return;
  const Json& c = document["comparison"];
  fmt::print("  {} against {}: {:+.4f} [{:+.4f}, {:+.4f}], p = {:.4f}\n",
             c["metric"].get<std::string>(), c["against"].get<std::string>(),
             c["difference"].get<double>(), c["low"].get<double>(), c["high"].get<double>(),
             c["p_value"].get<double>());
}

void print_few_shot(const Json& document, const Common& common) {
  if (common.json) {
    print_json(document);
    return;
  }
  fmt::print("{} on {}, {}: {} scenarios, {} users, {:.1f} s\n",
             document["model"].get<std::string>(), document["target"].get<std::string>(),
             document["role"].get<std::string>(), document["scenario_count"].get<std::size_t>(),
             document["queries"].get<std::size_t>(), document["seconds"].get<double>());
  const bool spread = document.contains("metrics_sd");
  for (const auto& [name, value] : document["metrics"].items()) {
    fmt::print("  {:<10} {:.4f}", name, value.get<double>());
    if (spread) fmt::print(" +- {:.4f}", document["metrics_sd"][name].get<double>());
    fmt::print("   macro {:.4f}\n", document["macro"][name].get<double>());
  }
  for (const char* key : {"below_unadapted", "below_itempop"}) {
    if (document.contains(key)) {
      fmt::print("  {} in {:.1f} % of the scenarios\n", key, 100.0 * document[key].get<double>());
    }
  }
  print_comparison(document);
}

}  // namespace kindling::cli
