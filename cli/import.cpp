// kindling import FORMAT PATH... --out DIR: files of the outside world -> a dataset directory.
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/data/dataset.h"
#include "kindling/data/readers/reader.h"
#include "kindling/data/transforms.h"

namespace kindling::cli {

namespace {

struct Arguments {
  std::string format;
  std::vector<std::string> paths;
  std::string out;
  std::string name;
  std::string without;
  bool force = false;
  std::map<std::string, std::string> values;  // every reader and transform option given
};

std::string flag_of(std::string name) {
  for (char& c : name) c = c == '_' ? '-' : c;
  return "--" + name;
}

// One flag for each option of any reader and of the transforms; which reader knows it is checked
// when it is set.
void add_options(CLI::App& verb, Arguments& arguments) {
  std::map<std::string, std::string> groups;
  const auto add = [&](const OptionInfo& option, const std::string& group) {
    if (!groups.emplace(option.name, group).second) return;
    std::string help = option.description;
    if (!option.allowed.empty()) help += fmt::format(" ({})", option.allowed);
    verb.add_option_function<std::string>(
            flag_of(option.name),
            [&arguments, name = option.name](const std::string& text) {
              arguments.values[name] = text;
            },
            help)
        ->group(group);
  };
  for (const OptionInfo& option : describe_options(TransformOptions{})) add(option, "Filters");
  for (const Reader& reader : all_readers()) {
    for (const OptionInfo& option : reader.describe()) add(option, "Options of the formats");
  }
}

Json summary(const Dataset& data, const std::string& out, const ImportReport& report,
             const Json& steps) {
  return {{"dataset", out},
          {"name", data.name},
          {"users", data.user_count()},
          {"items", data.item_count()},
          {"interactions", data.event_count()},
          {"has_times", data.has_times},
          {"fingerprint", data.fingerprint()},
          {"read", report.to_json()},
          {"steps", steps}};
}

void run_import(const Arguments& arguments, const Common& common) {
  const Reader& reader = find_reader(arguments.format);
  TransformOptions transforms;
  ReaderValues values;
  const auto known = describe_options(transforms);
  for (const auto& [name, text] : arguments.values) {
    const bool transform =
        std::any_of(known.begin(), known.end(),
                    [&wanted = name](const OptionInfo& option) { return option.name == wanted; });
    if (transform) {
      set_option(transforms, name, text);
    } else {
      values.emplace_back(name, text);
    }
  }
  std::optional<Dataset> target;
  if (!arguments.without.empty()) target = load_dataset(arguments.without);
  ImportReport report;
  Json steps;
  Dataset data = apply_transforms(reader.read(arguments.paths, values, report), transforms, steps);
  if (target) data = remove_overlap(data, *target, transforms.min_user_length);
  if (!arguments.name.empty()) data.name = arguments.name;
  data.origin["transforms"] = options_to_json(transforms);
  data.origin["steps"] = steps;
  data.origin["report"] = report.to_json();
  save_dataset(data, arguments.out, arguments.force);

  for (const auto& note : report.notes) log_info("{}", note);
  for (const auto& [reason, count] : report.left_out) log_info("left out: {} {}", count, reason);
  for (const auto& [file, count] : report.skipped) log_warning("{}: skipped {} rows", file, count);
  for (const auto& example : report.examples) log_warning("skipped {}", example);
  if (common.json) {
    print_json(summary(data, arguments.out, report, steps));
    return;
  }
  fmt::print("{}: {} users, {} items, {} interactions{}\n", arguments.out, data.user_count(),
             data.item_count(), data.event_count(), data.has_times ? "" : " (order only)");
}

}  // namespace

void add_import(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("import", "read interactions and item texts into a dataset");
  auto arguments = std::make_shared<Arguments>();
  std::string formats;
  for (const Reader& reader : all_readers()) {
    formats += fmt::format("\n  {:<10} {}", reader.name, reader.files);
  }
  verb->footer("Formats:" + formats);
  verb->add_option("format", arguments->format, "what the files are, see below")->required();
  verb->add_option("paths", arguments->paths, "files or folders");
  verb->add_option("--out", arguments->out, "dataset directory to make")->required();
  verb->add_option("--name", arguments->name, "name of the dataset; default: from the path");
  verb->add_option("--without-overlap-with", arguments->without,
                   "dataset whose users and items are left out, as zero-shot needs [Z4]");
  verb->add_flag("--force", arguments->force, "replace an existing dataset");
  add_options(*verb, *arguments);
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_import(*arguments, common); });
}

}  // namespace kindling::cli
