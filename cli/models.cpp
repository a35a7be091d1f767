// kindling models: what there is, what each needs, and its options.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/models/few_shot.h"
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

// A row of either table.
struct Row {
  std::string name;
  std::string source;
  Json needs;
  std::vector<OptionInfo> (*describe)();
};

Row row_of(const ModelInfo& info) {
  return {info.name, info.source, needs_of(info), info.describe};
}

Row row_of(const FewShotInfo& info) {
  return {info.name, info.source, Json::array({"scenarios"}), info.describe};
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const ModelInfo& info : all_models()) rows.push_back(row_of(info));
  for (const FewShotInfo& info : few_shot_models()) rows.push_back(row_of(info));
  return rows;
}

Json options_of(const Row& row) {
  Json options = Json::array();
  for (const OptionInfo& option : row.describe()) {
    options.push_back({{"name", option.name},
                       {"type", option.type},
                       {"default", option.value},
                       {"allowed", option.allowed.describe()},
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
  for (const Row& row : all_rows()) {
    if (common.json) {
      all.push_back({{"name", row.name}, {"source", row.source}, {"needs", row.needs}});
    } else {
      fmt::print("{:<10} {}\n{:<10} needs: {}\n", row.name, row.source, "", sentence(row.needs));
    }
  }
  if (common.json) print_json({{"models", all}});
}

void describe_model(const std::string& name, const Common& common) {
  const Row row = is_few_shot_model(name) ? row_of(find_few_shot(name)) : row_of(find_model(name));
  if (common.json) {
    print_json({{"name", row.name},
                {"source", row.source},
                {"needs", row.needs},
                {"options", options_of(row)}});
    return;
  }
  fmt::print("{}: {}\nneeds: {}\n", row.name, row.source, sentence(row.needs));
  for (const OptionInfo& option : row.describe()) {
    const std::string allowed = option.allowed.describe();
    fmt::print("\n  {} = {}  ({}{}{})\n      {}\n", option.name,
               options_detail::text_of(option.value), option.type, allowed.empty() ? "" : ", ",
               allowed, option.description);
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
