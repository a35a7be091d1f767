#include "kindling/models/s2meta/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/safetensors.h"

namespace kindling::s2meta {

namespace {

constexpr const char* kFactsKey = "kindling_s2meta";

std::string state_path(const std::string& folder) {
  return (std::filesystem::path(folder) / "checkpoint.safetensors").string();
}

Json history_to_json(const std::vector<EpochRecord>& history) {
  Json all = Json::array();
  for (const EpochRecord& record : history) {
    all.push_back({record.epoch, record.train_loss, record.validation_loss, record.validation_ndcg,
                   record.seconds, record.learning_rate});
  }
  return all;
}

std::vector<EpochRecord> history_from_json(const Json& all) {
  std::vector<EpochRecord> history;
  // JSON has no NaN: what was not validated is null.
  const auto number = [](const Json& value) { return value.is_null() ? NAN : value.get<double>(); };
  for (const Json& line : all) {
    history.push_back({line.at(0).get<std::int64_t>(), line.at(1).get<double>(), number(line.at(2)),
                       number(line.at(3)), line.at(4).get<double>(), line.at(5).get<double>()});
  }
  return history;
}

// One list of all facts: what save writes, load reads.
template <class State, class Visit>
void visit_facts(State& state, const Visit& visit) {
  visit("tasks", state.tasks);
  visit("best_tasks", state.best_tasks);
  visit("skipped", state.skipped);
  visit("next_validation", state.next_validation);
  visit("steps", state.steps);
  visit("rate_factor", state.rate_factor);
  visit("best_recall10", state.best_recall10);
  visit("best_recall20", state.best_recall20);
  visit("since_change", state.since_change);
  visit("since_best", state.since_best);
  visit("finished", state.finished);
  visit("seconds", state.seconds);
  visit("loss_sum", state.loss_sum);
  visit("step_sum", state.step_sum);
  visit("loss_count", state.loss_count);
  visit("mean_steps", state.mean_steps);
}

template <class State, class Visit>
void visit_arrays(State& state, const Visit& visit) {
  visit("omega", state.omega);
  visit("m", state.m);
  visit("v", state.v);
  visit("best", state.best);
}

}  // namespace

void save_state(const std::string& folder, const TrainingState& state) {
  make_directories(folder);
  Json facts = Json::object();
  visit_facts(state, [&](const char* name, const auto& value) { facts[name] = value; });
  facts["identity"] = state.identity;
  facts["history"] = history_to_json(state.history);
  std::vector<TensorView> tensors;
  visit_arrays(state, [&](const char* name, const std::vector<float>& values) {
    tensors.push_back(tensor_view(name, std::span<const float>(values)));
  });
  write_safetensors(state_path(folder), tensors, {{kFactsKey, facts.dump()}});
}

bool load_state(const std::string& folder, TrainingState& state) {
  const std::string path = state_path(folder);
  if (folder.empty() || !std::filesystem::exists(path)) return false;
  TrainingState loaded;
  try {
    const SafetensorsFile file(path);
    const auto text = file.metadata().find(kFactsKey);
    if (text == file.metadata().end()) {
      throw Error(Kind::kBadOption, "the checkpoint belongs to another model", path);
    }
    const Json facts = parse_json(text->second, path);
    loaded.identity = facts.at("identity").get<std::string>();
    if (loaded.identity != state.identity) {
      throw Error(Kind::kBadOption, "the checkpoint belongs to another run", path,
                  "use the same model, options, seed and data, or start again without --resume");
    }
    visit_facts(loaded, [&](const char* name, auto& value) { facts.at(name).get_to(value); });
    loaded.history = history_from_json(facts.at("history"));
    visit_arrays(loaded, [&](const char* name, std::vector<float>& values) {
      values = file.floats(file.at(name));
      if (values.size() != state.omega.size()) {
        throw Error(Kind::kCorrupt, "the checkpoint does not fit the model", path);
      }
    });
  } catch (const Json::exception& error) {
    throw Error(Kind::kCorrupt, error.what(), path);
  } catch (const Error& error) {
    if (error.kind() != Kind::kBadInput) throw;
    throw Error(Kind::kCorrupt, error.message(), path);
  }
  state = std::move(loaded);
  return true;
}

}  // namespace kindling::s2meta
