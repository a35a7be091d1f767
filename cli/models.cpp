// kindling models: what there is, what each needs, and its options.
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/models/registry.h"

namespace kindling::cli {

namespace {

Json needs_of(const ModelInfo& info) {
  Json needs = Json::array();
  if (info.needs_text) needs.push_back("item vectors");
  if (info.needs_source) needs.push_back("source domain");
  if (info.needs_target_train) needs.push_back("target interactions");
  return needs;
}

Json options_of(const ModelInfo& info) {
  Json options = Json::array();
  for (const OptionInfo& option : info.describe()) {
    options.push_back({{"name", option.name},
                       {"type", option.type},
                       {"default", option.value},
                       {"allowed", option.allowed},
                       {"description", option.description}});
  }
  return options;
}

std::string sentence(const Json& needs) {
  std::string text;
  for (const Json& need : needs) text += (text.empty() ? "" : ", ") + need.get<std::string>();
  return text.empty() ? "nothing" : text;
}

void list_models(const Common& common) {
  Json all = Json::array();
  for (const ModelInfo& info : all_models()) {
    if (common.json) {
      all.push_back({{"name", info.name}, {"source", info.source}, {"needs", needs_of(info)}});
    } else {
      fmt::print("{:<10} {}\n{:<10} needs: {}\n", info.name, info.source, "",
                 sentence(needs_of(info)));
    }
  }
  if (common.json) print_json({{"models", all}});
}

void describe_model(const std::string& name, const Common& common) {
  const ModelInfo& info = find_model(name);
  if (common.json) {
    print_json({{"name", info.name},
                {"source", info.source},
                {"needs", needs_of(info)},
                {"options", options_of(info)}});
    return;
  }
  fmt::print("{}: {}\nneeds: {}\n", info.name, info.source, sentence(needs_of(info)));
  for (const OptionInfo& option : info.describe()) {
    fmt::print("\n  {} = {}  ({}{}{})\n      {}\n", option.name,
               options_detail::text_of(option.value), option.type,
               option.allowed.empty() ? "" : ", ", option.allowed, option.description);
  }
}

}  // namespace

void add_models(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("models", "every model: source, what it needs, its options");
  auto name = std::make_shared<std::string>();
  verb->add_option("--describe", *name, "one model with all its options");
  add_common(*verb, common);
  verb->callback([name, &common] {
    if (name->empty()) {
      list_models(common);
    } else {
      describe_model(*name, common);
    }
  });
}

}  // namespace kindling::cli
