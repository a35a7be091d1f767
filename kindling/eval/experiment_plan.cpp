#include "kindling/eval/experiment_plan.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/data/readers/reader.h"
#include "kindling/eval/experiment_plan_check.h"

namespace kindling {

namespace plan_detail {

[[noreturn]] void refuse(const std::string& place, const std::string& message,
                         const std::string& hint) {
  throw Error(Kind::kBadInput, message, place, hint);
}

void require_known(const std::string& place, const std::string& what, const std::string& name,
                   const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    const auto near = nearest_name(name, known);
    refuse(place, fmt::format("there is no {} {}", what, quote(name)),
           near ? fmt::format("did you mean {}?", *near)
                : fmt::format("known: {}", quote(join(known, ", "), 400)));
  }
}

}  // namespace plan_detail

namespace {

using plan_detail::refuse;
using plan_detail::require_known;

constexpr std::size_t kMaxList = 1000;
constexpr std::int64_t kMaxSeeds = 100;
constexpr double kMaxWhole = 1e15;

using Names = std::vector<std::string>;

// An object with no members but these.
const Json& object_of(const Json& value, const Names& members, const std::string& place) {
  if (!value.is_object()) refuse(place, "expected an object, not " + quote(value.dump()));
  for (const auto& [name, unused] : value.items()) require_known(place, "member", name, members);
  return value;
}

// Names become parts of file names.
std::string name_of(const Json& object, const std::string& member, const std::string& place) {
  auto name = json_get<std::string>(object, member, place);
  const bool fits = !name.empty() && name.size() <= 80 && name.front() != '.' &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                    });
  if (!fits) {
    refuse(place, fmt::format("{} cannot be {}", member, quote(name)),
           "letters, digits, '.', '_' and '-', not beginning with '.'");
  }
  return name;
}

std::string title_of(const Json& object, const std::string& fallback, const std::string& place) {
  return json_get_or<std::string>(object, "title", fallback, place);
}

std::string value_text(const Json& value, const std::string& place) {
  if (value.is_structured() || value.is_null()) refuse(place, "expected text, a number or a truth");
  return options_detail::text_of(value);
}

Json settings_of(const Json& object, const std::string& place) {
  auto settings = json_get_or<Json>(object, "settings", Json::object(), place);
  if (!settings.is_object()) refuse(place + ".settings", "expected an object");
  return settings;
}

OptionValues set_of(const Json& object, const std::string& member, const std::string& place) {
  OptionValues values;
  const auto set = json_get_or<Json>(object, member, Json::object(), place);
  const std::string here = fmt::format("{}.{}", place, member);
  if (!set.is_object()) refuse(here, "expected an object, not " + quote(set.dump()));
  for (const auto& [name, value] : set.items()) {
    values.emplace_back(name, value_text(value, fmt::format("{}.{}", here, name)));
  }
  return values;
}

std::map<std::string, OptionValues> pair_sets_of(const Json& object, const std::string& place) {
  std::map<std::string, OptionValues> all;
  const auto sets = json_get_or<Json>(object, "pair_set", Json::object(), place);
  const std::string here = place + ".pair_set";
  if (!sets.is_object()) refuse(here, "expected an object, not " + quote(sets.dump()));
  for (const auto& [pair, unused] : sets.items()) all[pair] = set_of(sets, pair, here);
  return all;
}

std::map<std::string, std::string> options_of(const Json& object, const std::string& place) {
  std::map<std::string, std::string> values;
  const auto set = json_get_or<Json>(object, "options", Json::object(), place);
  if (!set.is_object()) refuse(place + ".options", "expected an object");
  for (const auto& [name, value] : set.items()) {
    values[name] = value_text(value, fmt::format("{}.options.{}", place, name));
  }
  return values;
}

// The members of an array of objects, one after another.
template <class T>
std::vector<T> list_of(const Json& object, const std::string& member, const std::string& place,
                       T (*read)(const Json&, const std::string&)) {
  std::vector<T> all;
  const auto list = json_get_or<Json>(object, member, Json::array(), place);
  if (!list.is_array() || list.size() > kMaxList) {
    refuse(place, fmt::format("{} is {}; expected a list of at most {}", member,
                              list.is_array() ? fmt::format("a list of {}", list.size())
                                              : quote(list.dump()),
                              kMaxList));
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    all.push_back(read(list[i], fmt::format("{}: {}[{}]", place, member, i)));
  }
  return all;
}

// A relative path that stays below its folder.
std::string inner_path(const std::string& path, const std::string& place) {
  if (path.find('\0') != std::string::npos) refuse(place, "a path holds a zero byte");
  const auto normal = std::filesystem::path(path).lexically_normal();
  if (normal.is_absolute() || (!normal.empty() && *normal.begin() == "..")) {
    refuse(place, "path " + quote(path) + " leaves the directory");
  }
  return path;
}

PlanFile read_plan_file(const Json& value, const std::string& place) {
  object_of(value, {"name", "bytes"}, place);
  PlanFile file;
  file.name = inner_path(json_get<std::string>(value, "name", place), place);
  if (value.contains("bytes")) file.bytes = json_get<std::uint64_t>(value, "bytes", place);
  return file;
}

PlanData read_data(const Json& value, const std::string& place) {
  object_of(value, {"name", "format", "folder", "paths", "files", "options"}, place);
  PlanData data;
  data.name = name_of(value, "name", place);
  data.format = json_get<std::string>(value, "format", place);
  Names formats{"synthetic"};
  for (const Reader& reader : all_readers()) formats.emplace_back(reader.name);
  require_known(place, "format", data.format, formats);
  data.folder = inner_path(json_get_or<std::string>(value, "folder", "", place), place);
  if (data.folder.empty() && data.format != "synthetic") refuse(place, "folder is missing");
  for (const auto& path : json_get_or<Names>(value, "paths", {}, place)) {
    data.paths.push_back(inner_path(path, place));
  }
  data.files = list_of<PlanFile>(value, "files", place, read_plan_file);
  data.options = options_of(value, place);
  return data;
}

PlanEncoder read_encoder(const Json& value, const std::string& place) {
  object_of(value, {"name", "title", "encoder", "fit_pair", "options"}, place);
  PlanEncoder encoder;
  encoder.name = name_of(value, "name", place);
  encoder.title = title_of(value, encoder.name, place);
  encoder.encoder = json_get<std::string>(value, "encoder", place);
  encoder.fit_pair = json_get_or<bool>(value, "fit_pair", false, place);
  encoder.options = options_of(value, place);
  return encoder;
}

PlanPair read_pair(const Json& value, const std::string& place) {
  object_of(value,
            {"name", "title", "source", "target", "data", "protocol", "set", "settings", "encoders",
             "stands_for"},
            place);
  PlanPair pair;
  for (const auto& [role, name] :
       json_get_or<std::map<std::string, std::string>>(value, "data", {}, place)) {
    pair.data[role] = name;
  }
  for (const char* role : {"source", "target"}) {
    if (value.contains(role)) pair.data[role] = json_get<std::string>(value, role, place);
  }
  pair.name = name_of(value, "name", place);
  pair.title = title_of(value, pair.name, place);
  pair.protocol = json_get_or<std::string>(value, "protocol", "", place);
  pair.set = set_of(value, "set", place);
  pair.settings = settings_of(value, place);
  pair.encoders = json_get_or<Names>(value, "encoders", {}, place);
  pair.stands_for = json_get_or<std::string>(value, "stands_for", "", place);
  return pair;
}

PlanRole role_of(const std::string& name, const std::string& place) {
  require_known(place, "role", name, {"ours", "baseline", "oracle"});
  if (name == "ours") return PlanRole::kOurs;
  return name == "oracle" ? PlanRole::kOracle : PlanRole::kBaseline;
}

PlanModel read_model(const Json& value, const std::string& place) {
  object_of(value,
            {"label", "title", "model", "kind", "role", "set", "pair_set", "settings", "seeded",
             "swept", "encoders", "pairs", "sweep_values"},
            place);
  PlanModel model;
  model.label = name_of(value, "label", place);
  model.title = title_of(value, model.label, place);
  model.model = json_get<std::string>(value, "model", place);
  model.kind = json_get_or<std::string>(value, "kind", "", place);
  model.role = role_of(json_get_or<std::string>(value, "role", "baseline", place), place);
  model.set = set_of(value, "set", place);
  model.pair_set = pair_sets_of(value, place);
  model.settings = settings_of(value, place);
  model.seeded = json_get_or<bool>(value, "seeded", true, place);
  model.swept = json_get_or<bool>(value, "swept", true, place);
  model.encoders = json_get_or<Names>(value, "encoders", {}, place);
  model.pairs = json_get_or<Names>(value, "pairs", {}, place);
  model.sweep_values = json_get_or<std::vector<double>>(value, "sweep_values", {}, place);
  return model;
}

PlanSweep read_sweep(const Json& object, const std::string& place) {
  PlanSweep sweep;
  if (!object.contains("sweep")) return sweep;
  const std::string here = place + ": sweep";
  const Json& value = object_of(object["sweep"], {"setting", "title", "values"}, here);
  sweep.setting = json_get<std::string>(value, "setting", here);
  sweep.title = title_of(value, sweep.setting, here);
  sweep.values = json_get<std::vector<double>>(value, "values", here);
  if (sweep.values.empty() || sweep.values.size() > kMaxList) refuse(here, "expected some values");
  return sweep;
}

PlanAnalysis read_analysis(const Json& value, const std::string& place) {
  object_of(value, {"kind", "settings"}, place);
  PlanAnalysis analysis{.kind = json_get<std::string>(value, "kind", place),
                        .settings = settings_of(value, place)};
  require_known(place, "analysis", analysis.kind, {"against", "overtake", "selection"});
  return analysis;
}

}  // namespace

const PlanData& ExperimentPlan::find_data(const std::string& wanted) const {
  for (const PlanData& one : data) {
    if (one.name == wanted) return one;
  }
  throw Error(Kind::kInternal, "a pair names a data set that the plan does not have");
}

bool PlanModel::has_value(double value) const {
  return sweep_values.empty() ||
         std::find(sweep_values.begin(), sweep_values.end(), value) != sweep_values.end();
}

Json PlanSweep::value_at(std::size_t step) const {
  const double value = values[step];
  if (value != std::trunc(value) || std::abs(value) > kMaxWhole) return value;
  return static_cast<std::int64_t>(value);
}

std::optional<double> ExperimentPlan::published_value(const PlanPair& pair,
                                                      const std::string& label,
                                                      const std::string& metric,
                                                      std::optional<std::size_t> step) const {
  for (const std::string& where : {pair.name, pair.stands_for}) {
    if (!published.contains(where) || !published[where].contains(label)) continue;
    const Json& row = published[where][label];
    if (!row.contains(metric)) continue;
    if (row[metric].is_number()) return row[metric].get<double>();
    if (step && row[metric][*step].is_number()) return row[metric][*step].get<double>();
  }
  return std::nullopt;
}

ExperimentPlan plan_detail::read_members(std::string_view text, std::string_view where) {
  const std::string place(where);
  const Json file = parse_json(text, place);
  object_of(file,
            {"name", "title", "source", "notes", "kind", "seeds", "metrics", "data", "encoders",
             "pairs", "models", "settings", "sweep", "analyses", "published"},
            place);
  ExperimentPlan plan;
  plan.name = name_of(file, "name", place);
  plan.title = title_of(file, plan.name, place);
  plan.source = json_get_or<std::string>(file, "source", "", place);
  plan.notes = json_get_or<Names>(file, "notes", {}, place);
  plan.seeds = json_get_or<std::int64_t>(file, "seeds", 3, place);
  if (plan.seeds < 1 || plan.seeds > kMaxSeeds) {
    refuse(place, fmt::format("seeds cannot be {}; expected 1 to {}", plan.seeds, kMaxSeeds));
  }
  plan.metrics = json_get_or<Names>(file, "metrics", {"recall@20", "ndcg@20"}, place);
  if (plan.metrics.empty()) refuse(place, "no metrics");
  const auto kind = json_get_or<std::string>(file, "kind", "zero-shot", place);
  plan.data = list_of<PlanData>(file, "data", place, read_data);
  plan.encoders = list_of<PlanEncoder>(file, "encoders", place, read_encoder);
  plan.pairs = list_of<PlanPair>(file, "pairs", place, read_pair);
  plan.models = list_of<PlanModel>(file, "models", place, read_model);
  for (PlanModel& model : plan.models) {
    if (model.kind.empty()) model.kind = kind;
  }
  plan.settings = settings_of(file, place);
  plan.sweep = read_sweep(file, place);
  plan.analyses = list_of<PlanAnalysis>(file, "analyses", place, read_analysis);
  plan.published = json_get_or<Json>(file, "published", Json::object(), place);
  return plan;
}

}  // namespace kindling
