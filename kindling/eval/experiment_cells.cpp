#include "kindling/eval/experiment_cells.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/eval/experiment_plan.h"
#include "kindling/eval/few_shot_cells.h"
#include "kindling/eval/next_item_cells.h"
#include "kindling/eval/two_domain_cells.h"
#include "kindling/models/few_shot.h"

namespace kindling {

namespace {

// THE table of kinds: one line each.
constexpr CellKind kKinds[] = {
    {"zero-shot", "trained on a source, used on a target as it is", &zero_shot_cells},
    {"in-domain", "trained on the target's own past", &in_domain_cells},
    {"incremental", "trained on some interactions of the target's past", &incremental_cells},
    {"case-study", "users that a model got right, and their nearest source users",
     &case_study_cells},
    {"few-shot", "adapted to each scenario from a few of its interactions", &few_shot_cells},
    {"two-domain", "trained on two domains with common users, ranked among fixed lists",
     &two_domain_cells},
};

// Models whose numbers, or defaults, are no longer those of their first version: raise the number
// with the next change, so that cells that were finished before are not taken for present ones.
constexpr std::pair<const char*, int> kRevisions[] = {
    {"gru4rec_official", 2}, {"libmf", 2}, {"cdcf", 2}, {"emcdr", 2}, {"neumf", 2}, {"hrnn", 2},
    {"gru4rec", 2},          {"tcn", 2},
};

}  // namespace

void CellRunner::check_setting(const std::string&, const Json&) const {}

bool CellRunner::has_metric(const std::string& metric) const {
  return is_metric_at(metric, EvaluationOptions{}.cutoffs);
}

bool CellRunner::reads(const std::string&, const std::string&, const Json&) const { return true; }

bool CellRunner::needs_vectors(const std::string& model) const {
  return find_model(model).needs_text;
}

void CellRunner::check(const std::string& model, const OptionValues& options) const {
  find_model(model).make(options);
}

int revision_of(const std::string& model) {
  for (const auto& [name, revision] : kRevisions) {
    if (model == name) return revision;
  }
  return 1;
}

std::span<const CellKind> all_cell_kinds() { return kKinds; }

const CellKind& find_cell_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const CellKind& kind : kKinds) {
    if (name == kind.name) return kind;
    names.emplace_back(kind.name);
  }
  throw Error(Kind::kNotFound, fmt::format("there is no kind of cells {}", quote(name)), {},
              fmt::format("the kinds are: {}", join(names, ", ")));
}

std::vector<OptionInfo> options_known_to(const std::string& model) {
  for (const ModelInfo& info : all_models()) {
    if (model == info.name) return info.describe();
  }
  return is_few_shot_model(model) ? find_few_shot(model).describe() : std::vector<OptionInfo>{};
}

OptionValues model_options(const PlanModel& model, const PlanPair& pair) {
  std::map<std::string, std::string> values;  // what is put in later wins
  const std::vector<OptionInfo> known = options_known_to(model.model);
  for (const auto& [name, value] : pair.set) {
    if (std::any_of(known.begin(), known.end(),
                    [&name = name](const OptionInfo& option) { return option.name == name; })) {
      values[name] = value;
    }
  }
  for (const auto& [name, value] : model.set) values[name] = value;
  if (const auto here = model.pair_set.find(pair.name); here != model.pair_set.end()) {
    for (const auto& [name, value] : here->second) values[name] = value;
  }
  return {values.begin(), values.end()};
}

}  // namespace kindling
