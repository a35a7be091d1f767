// Messages of a command line that CLI11 could not parse, in our own form.
#include "cli/mistakes.h"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling::cli {

namespace {

std::vector<std::string> verbs_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string hint_for(const std::string& wrong, const std::vector<std::string>& names,
                     const std::string& command) {
  if (const auto near = nearest_name(wrong, names)) return fmt::format("did you mean {}?", *near);
  return fmt::format("{} --help lists what there is", command);
}

}  // namespace

Error explain(const CLI::App& app, const CLI::ParseError& caught) {
  const auto parsed = app.get_subcommands();
  if (parsed.empty() && !app.remaining().empty() && !app.remaining().front().starts_with("-")) {
    const std::string wrong = app.remaining().front();
    return {Kind::kBadOption,
            fmt::format("there is no command {}", quote(wrong)),
            {},
            hint_for(wrong, verbs_of(app), "kindling")};
  }
  const CLI::App& verb = parsed.empty() ? app : *parsed.front();
  const std::string place = parsed.empty() ? "" : verb.get_name();
  const std::string command = parsed.empty() ? "kindling" : "kindling " + place;
  for (const std::string& argument : verb.remaining()) {
    const std::string name = argument.substr(0, argument.find('='));
    if (!name.starts_with("-")) continue;
    return {Kind::kBadOption, fmt::format("there is no option {}", quote(name)), place,
            hint_for(name, options_of(verb), command)};
  }
  if (parsed.empty())
    return {Kind::kBadOption, "no command is given", {}, command + " --help lists them"};
  return {Kind::kBadOption, caught.what(), place, command + " --help tells more"};
}

}  // namespace kindling::cli
