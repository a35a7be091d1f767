#include "kindling/eval/experiment_plan_check.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/text.h"
#include "kindling/data/readers/reader.h"
#include "kindling/data/transforms.h"
#include "kindling/eval/experiment_cells.h"
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

void check_settings(const ExperimentPlan& plan, const PlanModel& model, const PlanPair& pair,
                    const std::string& place) {
  const CellRunner& runner = find_cell_kind(model.kind).runner();
  Names known;
  for (const OptionInfo& info : runner.settings()) known.push_back(info.name);
  for (const Json* settings : {&plan.settings, &pair.settings, &model.settings}) {
    for (const auto& [name, value] : settings->items()) {
      require_known(place, "setting", name, known);
    }
  }
  if (!plan.sweep.setting.empty() && model.swept) {
    require_known(place, "setting", plan.sweep.setting, known);
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

void check_published(const ExperimentPlan& plan, const Names& pairs, const Names& labels,
                     const std::string& place) {
  if (!plan.published.is_object()) refuse(place + ": published", "expected an object");
  Names places = pairs;
  for (const PlanPair& pair : plan.pairs) {
    if (!pair.stands_for.empty()) places.push_back(pair.stands_for);
  }
  for (const auto& [pair, rows] : plan.published.items()) {
    const std::string here = fmt::format("{}: published.{}", place, pair);
    require_known(here, "pair", pair, places);
    if (!rows.is_object()) refuse(here, "expected an object");
    for (const auto& [label, metrics] : rows.items()) {
      require_known(here, "model", label, labels);
      if (!metrics.is_object()) refuse(here, "expected an object");
      for (const auto& [metric, value] : metrics.items()) {
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

void check_metrics(const ExperimentPlan& plan, const std::string& place) {
  for (const std::string& metric : plan.metrics) {
    const bool known =
        std::any_of(plan.models.begin(), plan.models.end(), [&](const PlanModel& model) {
          return find_cell_kind(model.kind).runner().has_metric(metric);
        });
    if (!known) {
      refuse(fmt::format("{}: metrics", place), fmt::format("unknown metric {}", quote(metric)),
             "metrics are ndcg@K, recall@K, hr@K, mrr@K, mrr and those that docs/file_formats.md "
             "names for the kind of cells");
    }
  }
}

bool applies(const Names& chosen, const std::string& name) {
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

// Names of options only: their values are checked when they are used.
void check_parts(const ExperimentPlan& plan, const std::string& place) {
  for (const PlanData& data : plan.data) {
    if (data.format == "synthetic") continue;  // its reader is the experiment's own
    Names known;
    for (const OptionInfo& option : describe_options(TransformOptions{})) {
      known.push_back(option.name);
    }
    for (const OptionInfo& option : find_reader(data.format).describe()) {
      known.push_back(option.name);
    }
    for (const auto& [name, value] : data.options) {
      require_known(fmt::format("{}: data {}", place, data.name), "option", name, known);
    }
  }
  for (const PlanEncoder& encoder : plan.encoders) {
    Names known;
    for (const OptionInfo& option : describe_options(EncoderOptions{})) {
      known.push_back(option.name);
    }
    for (const auto& [name, value] : encoder.options) {
      require_known(fmt::format("{}: encoder {}", place, encoder.name), "option", name, known);
    }
  }
  Names kinds;
  for (const CellKind& kind : all_cell_kinds()) kinds.emplace_back(kind.name);
  for (const PlanModel& model : plan.models) {
    require_known(fmt::format("{}: model {}", place, model.label), "kind of cells", model.kind,
                  kinds);
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
  check_metrics(plan, place);
  check_published(plan, pairs, labels, place);
}

}  // namespace

ExperimentPlan parse_plan(std::string_view text, std::string_view place) {
  ExperimentPlan plan = plan_detail::read_members(text, place);
  check_plan(plan, std::string(place));
  return plan;
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
