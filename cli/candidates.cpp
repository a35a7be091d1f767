// kindling candidates DIR: fixed lists of negatives for every user, in a file.
#include "kindling/eval/candidates.h"

#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/error.h"

namespace kindling::cli {

namespace {

struct CandidateArguments {
  std::string target;
  std::string draw = "popularity:199";
  std::uint64_t seed = 1;
  bool released = false;
  std::string out;
};

void run_candidates(const CandidateArguments& arguments, const Common& common) {
  CandidateOptions options = parse_candidates(arguments.draw);
  if (options.draw == "full" || options.draw == "file") {
    throw Error(Kind::kBadOption, fmt::format("{} draws no lists", quote(arguments.draw)), "--draw",
                "expected popularity:N or uniform:N");
  }
  options.seed = arguments.seed;
  options.released = arguments.released;
  const Dataset target = load_dataset(arguments.target);
  CandidateLists(target, options).save(arguments.out);
  if (common.json) {
    print_json({{"file", arguments.out},
                {"dataset", target.fingerprint()},
                {"users", target.user_count()},
                {"draw", name_of(options)},
                {"seed", options.seed},
                {"released", options.released}});
  } else {
    fmt::print("{}: {} for each of {} users\n", arguments.out, name_of(options),
               target.user_count());
  }
}

}  // namespace

void add_candidates(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("candidates", "draw each user's fixed list of negatives");
  auto arguments = std::make_shared<CandidateArguments>();
  verb->add_option("DIR", arguments->target, "dataset directory")->required();
  verb->add_option("--draw", arguments->draw, "popularity:N or uniform:N [R12]")
      ->capture_default_str();
  verb->add_option("--seed", arguments->seed, "seed of the lists")
      ->check(whole_number())
      ->capture_default_str();
  verb->add_flag("--released", arguments->released,
                 "as RecGURU's code draws: with repeats, the validation item not kept out [R12]");
  verb->add_option("--out", arguments->out, "file to write")->required();
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_candidates(*arguments, common); });
}

}  // namespace kindling::cli
