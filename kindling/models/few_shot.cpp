#include "kindling/models/few_shot.h"

#include <ostream>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"

// The second table: models that adapt to scenarios. One line a model, as in registry.cpp; its file
// defines make() and describe() in the namespace of its name.
#define KINDLING_FEW_SHOT_MODELS(MODEL)                                                            \
  MODEL(itempop, "counts of the scenario's support pairs; the floor of Du et al., KDD 2019")       \
  MODEL(neumf, "He et al., Neural Collaborative Filtering, 2017, on all scenarios pooled")         \
  MODEL(cdcf,                                                                                      \
        "Loni et al., Cross-Domain Collaborative Filtering with Factorization Machines, 2014")     \
  MODEL(libmf, "Singh & Gordon, Collective Matrix Factorization, 2008, as LIBMF fits it")          \
  MODEL(emcdr, "Man et al., Cross-Domain Recommendation: An Embedding and Mapping Approach, 2017") \
  MODEL(conet, "Hu, Zhang, Yang, CoNet: Collaborative Cross Networks, 2018")                       \
  MODEL(s2meta, "Du et al., Sequential Scenario-Specific Meta Learner, KDD 2019")

namespace kindling {

#define KINDLING_DECLARE_MODEL(name, origin)               \
  namespace name {                                         \
  std::unique_ptr<FewShotModel> make(const OptionValues&); \
  std::vector<OptionInfo> describe();                      \
  }
KINDLING_FEW_SHOT_MODELS(KINDLING_DECLARE_MODEL)
#undef KINDLING_DECLARE_MODEL

namespace {

#define KINDLING_LIST_MODEL(name, origin) FewShotInfo{#name, origin, &name::make, &name::describe},
constexpr FewShotInfo kFewShotModels[] = {KINDLING_FEW_SHOT_MODELS(KINDLING_LIST_MODEL)};
#undef KINDLING_LIST_MODEL

Json mean_gates(const std::vector<std::string>& tensors, const std::vector<double>& gates) {
  Json by_tensor = Json::object();
  for (std::size_t k = 0; k < gates.size(); ++k) {
    by_tensor[k < tensors.size() ? tensors[k] : fmt::format("tensor {}", k)] = gates[k];
  }
  return by_tensor;
}

}  // namespace

Json AdaptRecord::to_json() const {
  Json all = Json::array();
  for (const AdaptStep& step : steps) {
    Json line = {
        {"step", all.size()}, {"loss", step.loss}, {"stop_probability", step.stop_probability}};
    if (!step.input_gates.empty()) line["input_gates"] = mean_gates(tensors, step.input_gates);
    if (!step.forget_gates.empty()) line["forget_gates"] = mean_gates(tensors, step.forget_gates);
    all.push_back(std::move(line));
  }
  return {{"steps", std::move(all)}, {"stopped", stopped}, {"seconds", seconds}};
}

std::unique_ptr<ScenarioScorer> FewShotModel::restore(const FrozenVectors&,
                                                      const ModelState&) const {
  throw Error(Kind::kUnsupported, "this model's adapted recommenders cannot be saved");
}

void require_support(const Scenario& scenario) {
  if (!scenario.support.empty() && scenario.candidates.size() >= 2) return;
  throw Error(Kind::kBadInput,
              fmt::format("{} support interactions and {} candidates: nothing can be learnt",
                          scenario.support.size(), scenario.candidates.size()),
              fmt::format("scenario {}", quote(scenario.name)));
}

std::span<const FewShotInfo> few_shot_models() { return kFewShotModels; }

bool is_few_shot_model(const std::string& name) {
  for (const FewShotInfo& info : kFewShotModels) {
    if (name == info.name) return true;
  }
  return false;
}

const FewShotInfo& find_few_shot(const std::string& name) {
  std::vector<std::string> names;
  for (const FewShotInfo& info : kFewShotModels) {
    if (name == info.name) return info;
    names.emplace_back(info.name);
  }
  const auto near = nearest_name(name, names);
  throw Error(Kind::kNotFound, fmt::format("there is no few-shot model {}", quote(name)), {},
              near ? fmt::format("did you mean {}?", *near)
                   : fmt::format("the few-shot models are: {}", join(names, ", ")));
}

std::unique_ptr<FewShotModel> make_few_shot(const std::string& name, const OptionValues& options) {
  return find_few_shot(name).make(options);
}

void PrintTo(const FewShotInfo& info, std::ostream* out) { *out << info.name; }

}  // namespace kindling
