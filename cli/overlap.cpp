// kindling overlap A B: two domains whose common users are thinned to a share.
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/data/domains.h"

namespace kindling::cli {

namespace {

struct OverlapArguments {
  std::string first;
  std::string second;
  OverlapOptions options;
  std::uint64_t seed = 0;
  std::string out_first;
  std::string out_second;
  bool force = false;
};

Json facts_of(const Dataset& data, const std::string& out) {
  const auto users = static_cast<double>(data.user_count());
  return {{"dataset", out},
          {"users", data.user_count()},
          {"items", data.item_count()},
          {"interactions", data.event_count()},
          {"mean_length", users > 0 ? static_cast<double>(data.event_count()) / users : 0.0}};
}

void run_overlap(const OverlapArguments& arguments, const Common& common) {
  const Dataset first = load_dataset(arguments.first);
  const Dataset second = load_dataset(arguments.second);
  for (const std::string& out : {arguments.out_first, arguments.out_second}) {
    check_replaceable(out, arguments.force, kDatasetMarker);
  }
  if (std::filesystem::weakly_canonical(arguments.out_first) ==
      std::filesystem::weakly_canonical(arguments.out_second)) {
    throw Error(Kind::kBadOption, "is the same directory as --out-a", "--out-b");
  }
  const std::size_t before = shared_users(first, second).size();
  const DomainPair pair = thin_overlap(first, second, arguments.options, Rng(arguments.seed));
  save_pair(pair, arguments.out_first, arguments.out_second, arguments.force);
  const Json document = {{"shared_before", before},
                         {"shared", pair.shared},
                         {"first", facts_of(pair.first, arguments.out_first)},
                         {"second", facts_of(pair.second, arguments.out_second)}};
  if (common.json) {
    print_json(document);
    return;
  }
  fmt::print("shared users: {} of {}\n", pair.shared, before);
  for (const char* side : {"first", "second"}) {
    const Json& facts = document[side];
    fmt::print("{}: {} users, {} items, mean length {:.2f}\n", facts["dataset"].get<std::string>(),
               facts["users"].get<std::size_t>(), facts["items"].get<std::size_t>(),
               facts["mean_length"].get<double>());
  }
}

}  // namespace

void add_overlap(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("overlap", "thin the common users of two domains to a share");
  auto arguments = std::make_shared<OverlapArguments>();
  OverlapOptions& options = arguments->options;
  verb->add_option("A", arguments->first, "dataset directory")->required();
  verb->add_option("B", arguments->second, "dataset directory of the other domain")->required();
  verb->add_option("--keep", options.keep,
                   "share of the common users who stay in both; the others keep one domain")
      ->required();
  verb->add_option("--of", options.of, "a share of the shared users, or of all users of the first")
      ->check(CLI::IsMember({"shared", "first"}))
      ->capture_default_str();
  verb->add_option("--rule", options.rule, "which domain the others keep")
      ->check(CLI::IsMember({"random", "alternate"}))
      ->capture_default_str();
  verb->add_option("--seed", arguments->seed, "who stays")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_option("--out-a", arguments->out_first, "dataset directory to make of A")->required();
  verb->add_option("--out-b", arguments->out_second, "dataset directory to make of B")->required();
  verb->add_flag("--force", arguments->force, "replace existing datasets");
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_overlap(*arguments, common); });
}

}  // namespace kindling::cli
