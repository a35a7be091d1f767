// kindling import FORMAT PATH... --out DIR: files of the outside world -> a dataset directory.
#include <filesystem>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/log.h"
#include "kindling/data/dataset.h"
#include "kindling/data/import_dataset.h"
#include "kindling/data/transforms.h"

namespace kindling::cli {

namespace {

struct Arguments {
  ImportRequest request;
  std::string out;
  bool force = false;
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
    const std::string allowed = option.allowed.describe();
    if (!allowed.empty()) help += fmt::format(" ({})", allowed);
    verb.add_option_function<std::string>(
            flag_of(option.name),
            [&arguments, name = option.name](const std::string& text) {
              arguments.request.options[name] = text;
            },
            help)
        ->group(group);
  };
  for (const OptionInfo& option : describe_options(TransformOptions{})) add(option, "Filters");
  for (const Reader& reader : all_readers()) {
    for (const OptionInfo& option : reader.describe()) add(option, "Options of the formats");
  }
}

Json summary(const Imported& imported, const std::string& out) {
  const Dataset& data = imported.data;
  return {{"dataset", out},
          {"name", data.name},
          {"users", data.user_count()},
          {"items", data.item_count()},
          {"interactions", data.event_count()},
          {"has_times", data.has_times},
          {"fingerprint", data.fingerprint()},
          {"read", imported.report.to_json()},
          {"steps", imported.steps}};
}

void run_import(const Arguments& arguments, const Common& common) {
  ImportRequest request = arguments.request;
  if (request.name.empty()) {
    const auto path = std::filesystem::absolute(arguments.out).lexically_normal();
    request.name = (path.has_filename() ? path : path.parent_path()).filename().string();
  }
  const Imported imported = import_dataset(request);
  const Dataset& data = imported.data;
  const ImportReport& report = imported.report;
  save_dataset(data, arguments.out, arguments.force);

  for (const auto& note : report.notes) log_info("{}", note);
  for (const auto& [reason, count] : report.left_out) log_info("left out: {} {}", count, reason);
  for (const auto& [file, count] : report.skipped) log_warning("{}: skipped {} rows", file, count);
  for (const auto& example : report.examples) log_warning("skipped {}", example);
  if (common.json) {
    print_json(summary(imported, arguments.out));
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
  verb->add_option("format", arguments->request.format, "what the files are, see below")
      ->required();
  verb->add_option("paths", arguments->request.paths, "files or folders");
  verb->add_option("--out", arguments->out, "dataset directory to make")->required();
  verb->add_option("--name", arguments->request.name,
                   "name of the dataset; default: that of the directory to make");
  verb->add_option("--without-overlap-with", arguments->request.without,
                   "dataset whose users and items are left out, as zero-shot needs [Z4]");
  verb->add_flag("--force", arguments->force, "replace an existing dataset");
  add_options(*verb, *arguments);
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_import(*arguments, common); });
}

}  // namespace kindling::cli
