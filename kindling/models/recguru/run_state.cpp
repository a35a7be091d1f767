#include "kindling/models/recguru/run_state.h"

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling::recguru {

namespace {

constexpr std::int64_t kCurveEvery = 10;  // steps between points of the curves

EpochRecord record_from_json(const Json& r) {
  EpochRecord record;
  record.epoch = r.at(0).get<std::int64_t>();
  record.train_loss = r.at(1).get<double>();
  if (!r.at(2).is_null()) record.validation_loss = r.at(2).get<double>();
  record.seconds = r.at(3).get<double>();
  record.learning_rate = r.at(4).get<double>();
  if (!r.at(5).is_null()) record.validation_hr = r.at(5).get<double>();
  return record;
}

}  // namespace

void RunState::add_point(const char* curve, double value, std::int64_t steps_before) {
  if (step % kCurveEvery == 0) curves[curve].push_back(Json::array({steps_before + step, value}));
}

Json to_json(const RunState& state) {
  Json json;
  json["phase"] = state.phase;
  json["step"] = state.step;
  json["finished"] = state.finished;
  json["slowed"] = state.slowed;
  json["divergences"] = state.divergences;
  json["best"] = Json::array({state.best_hit_rate, state.best_step});
  json["loss_sum"] = state.loss_sum;
  json["seconds"] = state.seconds;
  json["curves"] = state.curves;
  json["alike"] = state.alike;
  json["history"] = Json::array();
  for (const EpochRecord& r : state.history) {
    json["history"].push_back(
        Json::array({r.epoch, r.train_loss, r.validation_loss, r.seconds, r.learning_rate,
                     r.validation_hr ? Json(*r.validation_hr) : Json()}));
  }
  return json;
}

Json facts_of(const RunState& state, const Options& options) {
  Json facts;
  facts["curves"] = state.curves;
  facts["divergences"] = state.divergences;
  if (!state.alike.empty()) facts["alike"] = state.alike;
  facts["finetune_steps"] =
      state.phase == 2 ? state.step : (state.phase > 2 ? options.finetune_steps : 0);
  if (state.best_hit_rate >= 0.0 && options.keep == "best") {
    facts["best_step"] = state.best_step;
    facts["validation_hr@10"] = state.best_hit_rate;
  } else if (state.best_hit_rate >= 0.0) {
    facts["validation_hr@10"] = state.curves["validation_hr@10"].back()[1];
  }
  return facts;
}

RunState run_state_from_json(const Json& json, const std::string& place) {
  RunState state;
  try {
    state.phase = json.at("phase").get<int>();
    state.step = json.at("step").get<std::int64_t>();
    state.finished = json.at("finished").get<bool>();
    state.slowed = json.at("slowed").get<double>();
    state.divergences = json.at("divergences").get<int>();
    state.best_hit_rate = json.at("best").at(0).get<double>();
    state.best_step = json.at("best").at(1).get<std::int64_t>();
    state.loss_sum = json.at("loss_sum").get<double>();
    state.seconds = json.at("seconds").get<double>();
    state.curves = json.at("curves");
    state.alike = json.at("alike");
    for (const Json& r : json.at("history")) state.history.push_back(record_from_json(r));
  } catch (const Json::exception& error) {
    throw Error(Kind::kCorrupt, error.what(), place);
  }
  if (state.phase < 0 || state.phase >= kPhases || state.step < 0) {
    throw Error(Kind::kCorrupt, fmt::format("phase {}, step {}", state.phase, state.step), place);
  }
  return state;
}

train::Tensors with_prefix(const std::string& prefix, const train::Tensors& tensors) {
  train::Tensors named;
  for (const auto& [name, tensor] : tensors) named.emplace_back(prefix + name, tensor);
  return named;
}

train::Tensors of_prefix(const std::string& prefix, const train::Tensors& tensors) {
  train::Tensors named;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) named.emplace_back(name.substr(prefix.size()), tensor);
  }
  return named;
}

void append(train::Tensors& all, const train::Tensors& more) {
  all.insert(all.end(), more.begin(), more.end());
}

train::Tensors copies(const train::Tensors& tensors) {
  train::Tensors copied;
  for (const auto& [name, tensor] : tensors) copied.emplace_back(name, tensor.detach().clone());
  return copied;
}

void restore(const train::Tensors& from, const train::Tensors& to, const std::string& place) {
  const torch::NoGradGuard no_grad;
  bool fits = from.size() == to.size();
  for (std::size_t i = 0; fits && i < from.size(); ++i) {
    fits = from[i].first == to[i].first && from[i].second.sizes() == to[i].second.sizes();
  }
  if (!fits) throw Error(Kind::kCorrupt, "the checkpoint does not fit the model", place);
  for (std::size_t i = 0; i < from.size(); ++i) to[i].second.detach().copy_(from[i].second);
}

}  // namespace kindling::recguru
