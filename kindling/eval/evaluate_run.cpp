#include "kindling/eval/evaluate_run.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/base/text.h"
#include "kindling/eval/compare.h"
#include "kindling/eval/saved_queries.h"
#include "kindling/models/store.h"
#include "kindling/models/train_run.h"

namespace kindling {

namespace {

// A model and what is known of it: `record` for one from a directory only.
struct OpenedModel {
  std::unique_ptr<Recommender> model;
  std::optional<ModelRecord> record;
  const ModelInfo* info = nullptr;
};

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

const ModelInfo& model_by_name(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    throw Error(Kind::kNotFound, "there is no such model directory", name);
  }
  const ModelInfo& info = find_model(name);
  if (info.needs_source) {
    throw Error(
        Kind::kBadOption,
        fmt::format("{} must be trained on a source domain before it is used", name), {},
        fmt::format("kindling train {} --source DIR --out MODEL_DIR, then pass MODEL_DIR", name));
  }
  return info;
}

OpenedModel open_model(const std::string& model, const OptionValues& options) {
  OpenedModel opened;
  if (!is_directory(model)) {
    opened.info = &model_by_name(model);
    opened.model = opened.info->make(options);
    return opened;
  }
  if (!options.empty()) {
    throw Error(Kind::kBadOption, "a trained model keeps the options that it was trained with",
                "--set", "pass a model's name instead of a directory, or train again");
  }
  LoadedModel loaded = load_model(model);
  opened.info = &find_model(loaded.record.model);
  opened.model = std::move(loaded.model);
  opened.record = std::move(loaded.record);
  return opened;
}

// The vectors that the model needs, checked against those it was trained on.
std::optional<ItemVectors> open_vectors(const OpenedModel& opened, const std::string& directory,
                                        const std::string& name, const Dataset& data) {
  if (!opened.info->needs_text) {
    tell_of_unread_vectors(*opened.info, name);
    return std::nullopt;
  }
  ItemVectors vectors = open_item_vectors(directory, name, data);
  if (opened.record) check_vectors(*opened.record, vectors);
  return vectors;
}

void fit_here(OpenedModel& opened, const Dataset& train, const ItemVectors* vectors,
              std::uint64_t seed, std::function<double(const Recommender&)> validate = {},
              std::function<TestItems()> test_items = {}) {
  TrainTask task;
  task.test_items = std::move(test_items);
  task.target_train = Domain{&train, vectors};
  FitContext context;
  context.seed = seed;
  context.validate = std::move(validate);
  opened.model->fit(task, context);
}

// Means and standard deviations of the metrics over seeds.
struct SeedStatistics {
  std::map<std::string, std::vector<double>> values;

  void add(const MetricTable& table) {
    const auto names = table.names();
    const auto means = table.values();
    for (std::size_t i = 0; i < names.size(); ++i) values[names[i]].push_back(means[i]);
  }
  void write(Json& document) const {
    Json sd = Json::object();
    for (auto& [name, value] : document["metrics"].items()) {
      const MeanSd summary = mean_sd(values.at(name));
      value = summary.mean;
      sd[name] = summary.sd;
    }
    document["metrics_sd"] = sd;
  }
};

void check_run(const EvaluateRun& run) {
  if (run.seeds < 1) throw Error(Kind::kBadOption, "at least one seed is needed", "--seeds");
  if (run.seeds > 1 && is_directory(run.model)) {
    throw Error(Kind::kBadOption, "a trained model has one seed", "--seeds",
                "train one model for each seed and evaluate each");
  }
  if (!run.compare.empty()) metric_value(run.compare_by, 1.0);  // refuses an unknown metric
}

// A model that learnt from the target under one protocol has seen another's test events.
void check_protocol(const EvaluateRun& run, const OpenedModel& opened) {
  if (!opened.record || !opened.info->needs_target_train) return;
  const std::string trained = opened.record->data.value("protocol", "none");
  const std::string& asked = run.evaluation.protocol;
  if (trained == asked || trained == "none") return;
  if (trained.starts_with("mind-") && asked.starts_with("mind-")) return;  // one train part
  throw Error(
      Kind::kBadOption,
      fmt::format("the model learnt from the target's train part under {}, which holds test "
                  "events of {}",
                  trained, asked),
      run.model, fmt::format("evaluate it with --protocol {}", trained));
}

// A source may know what came after the moment at which the target is cut, or hold its users.
void add_source_alarms(const EvaluateRun& run, const OpenedModel& opened, const Dataset& target,
                       const TargetSplit& split, Json& document) {
  if (!opened.record || !opened.info->needs_source) return;
  const Json last = opened.record->data.value("last_time", Json());
  if (split.time && last.is_number_integer()) {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const TestEvent& test : split.tests) {
      first = std::min(first, target.history(test.user)[test.position].time);
    }
    if (last.get<std::int64_t>() >= first) {
      document["alarms"].push_back(
          fmt::format("the model learnt from source events up to time {}, the first test event is "
                      "of time {}: train with --target and --protocol {}",
                      last.get<std::int64_t>(), first, run.evaluation.protocol));
    }
  }
  if (opened.record->data.value("protocol", "none") == "none") {
    log_info(
        "the model was trained without --target: `kindling inspect TARGET --against SOURCE` "
        "tells what the two share");
  }
}

Json head_of(const EvaluateRun& run, const OpenedModel& opened, const Dataset& target) {
  Json document;
  document["model"] = opened.info->name;
  document["target"] = target.name;
  if (opened.record) document["model_directory"] = run.model;
  document["target_directory"] = run.target;
  return document;
}

}  // namespace

Json run_evaluation(const EvaluateRun& run) {
  check_run(run);
  OpenedModel opened = open_model(run.model, run.options);
  const Dataset target = load_dataset(run.target);
  const auto vectors = open_vectors(opened, run.target, run.vectors, target);
  const ItemVectors* space = vectors ? &*vectors : nullptr;
  const TargetSplit split = make_split(target, run.evaluation);
  if (opened.record) check_target(*opened.record, target, true);
  check_protocol(run, opened);
  Json document = head_of(run, opened, target);
  SeedStatistics statistics;
  std::optional<SavedComparison> saved;
  for (std::int64_t number = 0; number < run.seeds; ++number) {
    const std::uint64_t seed = run.seed + static_cast<std::uint64_t>(number);
    if (!opened.record) {
      opened.model = opened.info->make(run.options);
      fit_here(opened, split.train, space, seed,
               make_validator({&target, space}, split, run.evaluation), [&] {
                 return TestItems{{}, items_of(target, split.tests)};
               });
    }
    const Evaluation result = evaluate(*opened.model, {&target, space}, split, run.evaluation);
    statistics.add(result.metrics());
    if (number == 0 && !run.compare.empty()) {
      saved.emplace(result, target, run.compare, run.compare_by);
    }
    if (saved) saved->add(result);
    if (number > 0) continue;
    document.update(result.to_json());
    if (!run.per_query.empty()) save_queries(result, target, run.per_query);
  }
  if (saved) {
    document["comparison"] = saved->result(Rng(run.seed)).to_json();
    document["comparison"]["metric"] = run.compare_by;
    document["comparison"]["against"] = run.compare;
  }
  document["seed"] = opened.record ? opened.record->seed : run.seed;
  document["seeds"] = run.seeds;
  if (run.seeds > 1) statistics.write(document);
  if (vectors) document["vectors"] = {{"encoder", vectors->encoder}, {"dim", vectors->dim()}};
  Json options = Json::object();
  for (const auto& [name, value] : opened.record ? opened.record->options : run.options) {
    options[name] = value;
  }
  document["options"] = options;
  add_source_alarms(run, opened, target, split, document);
  for (const Json& alarm : document["alarms"]) log_warning("{}", alarm.get<std::string>());
  return document;
}

std::vector<RecommendedItem> run_recommendation(const RecommendRun& run) {
  if (run.k < 1 || run.k > 100000) {
    throw Error(Kind::kBadOption, fmt::format("cannot list {} items; expected 1 to 100000", run.k),
                "--k");
  }
  OpenedModel opened = open_model(run.model, run.options);
  const Dataset shop = load_dataset(run.items);
  if (opened.record) check_target(*opened.record, shop, false);
  std::vector<Event> history;
  for (const std::string& id : run.history) {
    const auto item = shop.item_ids().find(id);
    if (!item) {
      std::vector<std::string> names;
      for (ItemId j = 0; j < shop.item_count(); ++j) names.push_back(shop.item_ids().name(j));
      const auto near = nearest_name(id, names);
      throw Error(Kind::kBadInput, fmt::format("there is no item {}", quote(id)), run.items,
                  near ? fmt::format("did you mean {}?", *near)
                       : "ids are those of the imported files, case matters");
    }
    // Positions stand for times: nothing is known of when.
    history.push_back(
        {.item = *item, .value = 1.0F, .time = static_cast<std::int64_t>(history.size())});
  }
  const auto vectors = open_vectors(opened, run.items, run.vectors, shop);
  const ItemVectors* space = vectors ? &*vectors : nullptr;
  if (!opened.record) fit_here(opened, shop, space, 0);
  std::vector<RecommendedItem> list;
  for (const Recommendation& best :
       recommend(*opened.model, {&shop, space}, history, run.k, run.keep_seen)) {
    const Item& item = shop.items()[best.item];
    list.push_back(
        {shop.item_ids().name(best.item), item.title.empty() ? item.text : item.title, best.score});
  }
  return list;
}

}  // namespace kindling
