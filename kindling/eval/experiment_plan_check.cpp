#include "kindling/eval/experiment_plan_check.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/text.h"
#include "kindling/data/readers/reader.h"
#include "kindling/data/transforms.h"
#include "kindling/eval/experiment_cells.h"
#include "kindling/eval/experiment_data.h"
#include "kindling/eval/experiment_results.h"
#include "kindling/eval/report_metrics.h"
#include "kindling/text/encoder.h"

namespace kindling {

using plan_detail::refuse;
using plan_detail::require_known;
using Names = std::vector<std::string>;

namespace {

constexpr std::size_t kMaxPlanBytes = std::size_t{4} << 20U;

template <class T, class Name>
Names unique_names(const std::vector<T>& list, const std::string& place, const char* what,
                   Name name) {
  Names names;
  for (const T& one : list) names.push_back(name(one));
  std::set<std::string> seen;
  for (const auto& each : names) {
    if (!seen.insert(each).second) refuse(place, fmt::format("two {} {}", what, quote(each)));
  }
  return names;
}

void check_option(const std::vector<OptionInfo>& known, const char* what, const std::string& name,
                  const Json& value, const std::string& place) {
  Names names;
  for (const OptionInfo& info : known) names.push_back(info.name);
  require_known(place, what, name, names);
  const OptionInfo& setting = *std::find_if(
      known.begin(), known.end(), [&](const OptionInfo& info) { return info.name == name; });
  try {
    check_value(setting, value);
  } catch (const Error& error) {
    refuse(place, error.message(), setting.description);
  }
}

void check_settings(const ExperimentPlan& plan, const PlanModel& model, const PlanPair& pair,
                    const std::string& place) {
  const CellRunner& runner = find_cell_kind(model.kind).runner();
  const std::vector<OptionInfo> known = runner.settings();
  const auto check = [&](const std::string& name, const Json& value) {
    check_option(known, "setting", name, value, place);
    try {
      runner.check_setting(name, value);
    } catch (const Error& error) {
      refuse(place, fmt::format("setting {}: {}", name, error.message()), error.hint());
    }
  };
  for (const Json* settings : {&plan.settings, &pair.settings, &model.settings}) {
    for (const auto& [name, value] : settings->items()) check(name, value);
  }
  for (std::size_t step = 0; model.swept && step < plan.sweep.values.size(); ++step) {
    check(plan.sweep.setting, plan.sweep.value_at(step));
  }
  if (const Names protocols = runner.protocols(); !protocols.empty()) {
    require_known(place, "protocol", pair.protocol, protocols);
  }
  for (const std::string& role : runner.roles(model.model)) {
    if (!pair.data.contains(role)) {
      refuse(place,
             fmt::format("{} needs the {} domain, pair {} has none", model.label, role, pair.name));
    }
  }
}

void check_metric(const ExperimentPlan& plan, const std::string& metric, const std::string& place) {
  const bool known =
      std::any_of(plan.models.begin(), plan.models.end(), [&](const PlanModel& model) {
        return find_cell_kind(model.kind).runner().has_metric(metric);
      });
  if (!known) {
    refuse(place, fmt::format("unknown metric {}", quote(metric)),
           "metrics are ndcg@K, recall@K, hr@K, mrr@K, mrr and those that docs/file_formats.md "
           "names for the kind of cells");
  }
}

// A pair's "stands_for" is what "published" has its numbers under; without any it is but a remark.
void check_published(const ExperimentPlan& plan, const Names& pairs, const Names& labels,
                     const std::string& place) {
  if (!plan.published.is_object()) refuse(place + ": published", "expected an object");
  Names places = pairs;
  Names published;
  for (const auto& [pair, rows] : plan.published.items()) published.push_back(pair);
  for (const PlanPair& pair : plan.pairs) {
    if (pair.stands_for.empty()) continue;
    places.push_back(pair.stands_for);
    if (published.empty()) continue;
    require_known(fmt::format("{}: pair {}", place, pair.name), "published pair", pair.stands_for,
                  published);
  }
  for (const auto& [pair, rows] : plan.published.items()) {
    const std::string here = fmt::format("{}: published.{}", place, pair);
    require_known(here, "pair", pair, places);
    if (!rows.is_object()) refuse(here, "expected an object");
    for (const auto& [label, metrics] : rows.items()) {
      require_known(here, "model", label, labels);
      if (!metrics.is_object()) refuse(here, "expected an object");
      for (const auto& [metric, value] : metrics.items()) {
        check_metric(plan, metric, here);
        const bool numbers =
            value.is_number() || (value.is_array() && value.size() == plan.sweep.values.size() &&
                                  std::all_of(value.begin(), value.end(), [](const Json& one) {
                                    return one.is_number() || one.is_null();
                                  }));
        if (!numbers)
          refuse(fmt::format("{}.{}", here, metric), "expected a number, or one a sweep value");
      }
    }
  }
}

void check_held_out(const Json& choices, const Names& pairs, const std::string& place) {
  if (!choices.is_object()) refuse(place, "expected an object of pairs");
  for (const auto& [pair, others] : choices.items()) {
    require_known(place, "pair", pair, pairs);
    const auto names = json_get<Names>(choices, pair, place);
    if (names.empty()) refuse(place, "no pairs are held out for " + pair);
    for (const std::string& name : names) require_known(place, "pair", name, pairs);
  }
}

void check_analysis(const ExperimentPlan& plan, const PlanAnalysis& analysis, const Names& pairs,
                    const std::string& place) {
  const bool is_selection = analysis.kind == "selection";
  Names members = {"metric"};
  if (is_selection) members.emplace_back("held_out");
  if (analysis.kind == "against") members.insert(members.end(), {"of", "beside"});
  for (const auto& [name, value] : analysis.settings.items()) {
    require_known(place, "setting", name, members);
  }
  Names labels;
  for (const PlanModel& model : plan.models) labels.push_back(model.label);
  for (const std::string list : {"of", "beside"}) {
    if (!analysis.settings.contains(list)) continue;
    for (const auto& label : json_get<Names>(analysis.settings, list, place)) {
      require_known(fmt::format("{}.{}", place, list), "row", label, labels);
    }
  }
  if (analysis.settings.contains("metric")) {
    const auto metric = json_get<std::string>(analysis.settings, "metric", place);
    check_metric(plan, metric, place);
    if (analysis.kind == "against" && !is_of_queries(metric)) {
      refuse(place, fmt::format("metric {} is no function of a rank", quote(metric)),
             "queries are compared by ndcg@K, recall@K, hr@K, mrr@K or mrr");
    }
  }
  if (analysis.kind == "overtake" && analysis.settings.contains("metric") &&
      metric_direction(analysis.settings["metric"]) != MetricDirection::kLarger) {
    refuse(place, fmt::format("no line is overtaken by {}", analysis.settings["metric"].dump()),
           "overtaking needs a metric of which larger values are better");
  }
  if (is_selection && analysis.settings.contains("held_out")) {
    check_held_out(analysis.settings["held_out"], pairs, place + ".held_out");
  }
}

bool applies(const Names& chosen, const std::string& name) {
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

// What a plan calls an encoder: one of ours, or the folder of a model, which has a slash.
void check_encoder(const PlanEncoder& encoder, const std::string& place) {
  if (encoder.encoder.find('/') == std::string::npos) {
    require_known(place, "encoder", encoder.encoder,
                  {"lsa", "hash", "a folder with a '/' in its path"});
  }
  const std::vector<OptionInfo> known = options_of_encoder(encoder.encoder);
  for (const auto& [name, value] : encoder.options) {
    check_option(known, "option", name, value, place);
  }
}

void check_parts(const ExperimentPlan& plan, const std::string& place) {
  for (const PlanData& data : plan.data) {
    if (data.format == "synthetic") {  // its reader is the experiment's own
      check_synthetic(data, fmt::format("{}: data {}", place, data.name));
      continue;
    }
    std::vector<OptionInfo> known = describe_options(TransformOptions{});
    for (const OptionInfo& option : find_reader(data.format).describe()) known.push_back(option);
    for (const auto& [name, value] : data.options) {
      check_option(known, "option", name, value, fmt::format("{}: data {}", place, data.name));
    }
  }
  for (const PlanEncoder& encoder : plan.encoders) {
    check_encoder(encoder, fmt::format("{}: encoder {}", place, encoder.name));
  }
  Names kinds;
  for (const CellKind& kind : all_cell_kinds()) kinds.emplace_back(kind.name);
  for (const PlanModel& model : plan.models) {
    require_known(fmt::format("{}: model {}", place, model.label), "kind of cells", model.kind,
                  kinds);
  }
}

// A row takes of a pair's options those that it has, so one that no row of the pair has, such as a
// misspelt one, would be dropped without a word.
void check_set(const ExperimentPlan& plan, const PlanPair& pair, const std::string& place) {
  std::set<std::string> known;
  for (const PlanModel& model : plan.models) {
    if (!applies(model.pairs, pair.name)) continue;
    for (const OptionInfo& option : options_known_to(model.model)) known.insert(option.name);
  }
  for (const auto& [name, value] : pair.set) {
    require_known(place + ".set", "option", name, {known.begin(), known.end()});
  }
}

// So would a data set of a role that no row of the pair reads.
void check_roles(const ExperimentPlan& plan, const PlanPair& pair, const std::string& place) {
  std::set<std::string> known{"source", "target"};
  for (const PlanModel& model : plan.models) {
    if (!applies(model.pairs, pair.name)) continue;
    const CellRunner& runner = find_cell_kind(model.kind).runner();
    for (const Names& roles : {runner.roles(model.model), runner.optional_roles()}) {
      known.insert(roles.begin(), roles.end());
    }
  }
  for (const auto& [role, data] : pair.data) {
    require_known(place, "role", role, {known.begin(), known.end()});
  }
}

void check_sweep_values(const ExperimentPlan& plan, const PlanModel& model,
                        const std::string& place) {
  if (model.sweep_values.empty()) return;
  if (!model.swept) refuse(place, "a row with sweep_values is swept");
  const std::vector<double>& all = plan.sweep.values;
  for (const double value : model.sweep_values) {
    if (std::find(all.begin(), all.end(), value) != all.end()) continue;
    refuse(place, fmt::format("sweep_values: {} is no value of the sweep", value),
           all.empty() ? "there is no sweep" : fmt::format("they are {}", fmt::join(all, ", ")));
  }
}

void check_plan(const ExperimentPlan& plan, const std::string& place) {
  check_parts(plan, place);
  const Names data =
      unique_names(plan.data, place, "data sets", [](const auto& d) { return d.name; });
  const Names encoders =
      unique_names(plan.encoders, place, "encoders", [](const auto& e) { return e.name; });
  const Names pairs =
      unique_names(plan.pairs, place, "pairs", [](const auto& p) { return p.name; });
  const Names labels =
      unique_names(plan.models, place, "models", [](const auto& m) { return m.label; });
  if (plan.pairs.empty() || plan.models.empty()) refuse(place, "no pairs or no models");
  for (const PlanPair& pair : plan.pairs) {
    const std::string here = fmt::format("{}: pair {}", place, pair.name);
    for (const auto& [role, name] : pair.data) require_known(here, "data set", name, data);
    for (const auto& name : pair.encoders) require_known(here, "encoder", name, encoders);
  }
  for (const PlanModel& model : plan.models) {
    const std::string here = fmt::format("{}: model {}", place, model.label);
    for (const auto& name : model.encoders) require_known(here, "encoder", name, encoders);
    for (const auto& name : model.pairs) require_known(here, "pair", name, pairs);
    check_sweep_values(plan, model, here);
    for (const auto& [name, set] : model.pair_set) {
      require_known(here + ".pair_set", "pair", name, pairs);
    }
    for (const PlanPair& pair : plan.pairs) {
      if (!applies(model.pairs, pair.name)) continue;
      try {
        find_cell_kind(model.kind).runner().check(model.model, model_options(model, pair));
      } catch (const Error& error) {
        throw Error(Kind::kBadInput, error.message(), here, error.hint());
      }
      check_settings(plan, model, pair, here);
    }
  }
  for (const PlanPair& pair : plan.pairs) {
    const std::string here = fmt::format("{}: pair {}", place, pair.name);
    check_set(plan, pair, here);
    check_roles(plan, pair, here);
  }
  for (const auto& metric : plan.metrics) check_metric(plan, metric, place + ": metrics");
  for (std::size_t n = 0; n < plan.analyses.size(); ++n) {
    check_analysis(plan, plan.analyses[n], pairs,
                   fmt::format("{}: analyses[{}].settings", place, n));
  }
  check_published(plan, pairs, labels, place);
}

}  // namespace

ExperimentPlan parse_plan(std::string_view text, std::string_view place) {
  try {
    ExperimentPlan plan = plan_detail::read_members(text, place);
    check_plan(plan, std::string(place));
    return plan;
  } catch (const Error& error) {
    if (!error.hint().empty()) throw;
    throw Error(error.kind(), error.message(), error.place(),
                "docs/file_formats.md says what an experiment file holds");
  }
}

ExperimentPlan read_plan(const std::string& path) {
  return parse_plan(read_file(path, kMaxPlanBytes), path);
}

std::vector<std::string> plan_names() {
  Names names;
  for (const EmbeddedPlan& plan : embedded_plans()) names.emplace_back(plan.name);
  return names;
}

ExperimentPlan load_plan(const std::string& name) {
  for (const EmbeddedPlan& plan : embedded_plans()) {
    if (name == plan.name) return parse_plan(plan.text, fmt::format("experiments/{}.json", name));
  }
  const auto near = nearest_name(name, plan_names());
  throw Error(Kind::kNotFound, fmt::format("there is no experiment {}", quote(name)), {},
              near ? fmt::format("did you mean {}?", *near)
                   : "kindling experiment --list names them; --file takes one of your own");
}

}  // namespace kindling
