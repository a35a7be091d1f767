#include "kindling/eval/next_item_cells.h"

#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"

namespace kindling {

namespace {

const std::vector<std::int64_t> kCutoffs{1, 5, 10, 20};

struct EvaluationSettings {
  bool mask_seen = false;
  bool mean_over_users = false;
  std::string context = "all";
  std::string collapse = "off";
  std::int64_t max_queries = 0;
  std::int64_t test_start = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("mask_seen", mask_seen, kAny, "items of the history are no candidates");
    field("mean_over_users", mean_over_users, kAny, "metrics are means over users, not queries");
    field("context", context, one_of({"all", "train", "test"}), "history of a query [Z21]");
    field("collapse", collapse, one_of({"off", "runs", "any"}),
          "repeats in queries alone; what is learnt keeps them [Z3]");
    field("max_queries", max_queries, kNotNegative, "the first so many are asked; 0: all [R15]");
    field("test_start", test_start, kNotNegative,
          "mind-*: seconds since 1970 of the test week; 0: by the last event");
  }
};

struct ZeroShotSettings {
  EvaluationSettings evaluation;
  std::string remove_overlap = "both";

  template <class Visitor>
  void fields(Visitor& field) {
    field("remove_overlap", remove_overlap, one_of({"both", "users", "items", "none"}),
          "what of the target is left out of the source [Z4]");
    evaluation.fields(field);
  }
};

struct IncrementalSettings {
  EvaluationSettings evaluation;
  std::int64_t interactions = 10'000;

  template <class Visitor>
  void fields(Visitor& field) {
    field("interactions", interactions, kPositive, "of the target's train part that are learnt");
    evaluation.fields(field);
  }
};

// Those of all kinds, to read any cell's.
struct CellSettings {
  ZeroShotSettings zero_shot;
  std::int64_t interactions = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("interactions", interactions, kPositive, "");
    zero_shot.fields(field);
  }
};

CellSettings settings_of(const CellTask& task) {
  CellSettings settings;
  options_from_json(settings, task.settings);
  return settings;
}

EvaluationOptions evaluation_of(const CellTask& task) {
  const ZeroShotSettings settings = settings_of(task).zero_shot;
  EvaluationOptions options;
  options.protocol = task.protocol;
  options.cutoffs = kCutoffs;
  options.mask_seen = settings.evaluation.mask_seen;
  options.mean_over_users = settings.evaluation.mean_over_users;
  options.context = settings.evaluation.context;
  options.collapse = settings.evaluation.collapse;
  options.max_queries = settings.evaluation.max_queries;
  if (settings.evaluation.test_start > 0) options.test_start = settings.evaluation.test_start;
  return options;
}

std::string queries_fingerprint(const NextItemCell& cell, const Evaluation& result) {
  std::string text = cell.data.target.fingerprint();
  for (const QueryResult& query : result.queries) {
    text += fmt::format(" {}.{}", query.user, query.position);
  }
  return sha256(text);
}

class ZeroShotCells : public CellRunner {
 public:
  std::vector<std::string> protocols() const override { return protocol_names(); }
  std::vector<OptionInfo> settings() const override { return describe_options(ZeroShotSettings{}); }
  std::vector<std::string> roles(const std::string& model) const override {
    if (find_model(model).needs_source) return {"source", "target"};
    return {"target"};
  }
  CellResult run(const CellTask& task) const override {
    NextItemCell cell;
    open_next_item_cell(task, cell);
    fit_next_item_cell(task, cell);
    return evaluate_next_item_cell(cell);
  }
};

class InDomainCells final : public ZeroShotCells {
 public:
  std::vector<OptionInfo> settings() const override {
    return describe_options(EvaluationSettings{});
  }
  void check(const std::string& model, const OptionValues& options) const override {
    if (find_model(model).needs_source) {
      throw Error(Kind::kBadInput, fmt::format("{} learns from a source domain", model), {},
                  "cells of kind zero-shot have one");
    }
    ZeroShotCells::check(model, options);
  }
};

class IncrementalCells final : public ZeroShotCells {
 public:
  std::vector<OptionInfo> settings() const override {
    return describe_options(IncrementalSettings{});
  }
  void check(const std::string& model, const OptionValues& options) const override {
    if (!find_model(model).needs_target_train) {
      throw Error(Kind::kBadInput, fmt::format("{} does not learn from the target", model), {},
                  "give it the kind zero-shot and \"swept\": false");
    }
    ZeroShotCells::check(model, options);
  }
  CellResult run(const CellTask& task) const override {
    IncrementalSettings settings;
    options_from_json(settings, task.settings);
    NextItemCell cell;
    open_next_item_cell(task, cell);
    // The sets of one seed are nested, and the same for every model.
    const Rng rng = Rng(task.seed).fork("incremental");
    TargetSplit& split = *cell.data.split;
    thin_train(split, first_interactions(split.train, settings.interactions, rng));
    fit_next_item_cell(task, cell);
    CellResult result = evaluate_next_item_cell(cell);
    result.more["interactions"] = cell.data.split->train.event_count();
    return result;
  }
};

}  // namespace

void open_next_item_cell(const CellTask& task, NextItemCell& cell) {
  cell.info = &find_model(task.model);
  cell.model = cell.info->make(task.options);
  cell.evaluation = evaluation_of(task);
  TrainRun run;
  run.model = task.model;
  if (cell.info->needs_source) {
    run.source = task.data.at("source");
    run.remove_overlap = settings_of(task).zero_shot.remove_overlap;
    cell.removed_from_source = run.remove_overlap;
  }
  run.target = task.data.at("target");
  run.vectors = task.vectors;
  cell.data.target = load_dataset(run.target);
  cell.data.split = make_split(cell.data.target, cell.evaluation);
  load_training_data(run, *cell.info, cell.data);
  if (cell.info->needs_text && cell.data.target_vectors.items() == 0) {
    cell.data.target_vectors = open_item_vectors(run.target, run.vectors, cell.data.target);
  }
}

void fit_next_item_cell(const CellTask& task, NextItemCell& cell) {
  cell.context.seed = task.seed;
  cell.context.checkpoint = (std::filesystem::path(task.work) / "checkpoint").string();
  cell.context.resume = true;
  cell.context.should_stop = task.should_stop;
  cell.model->fit(cell.data.task, cell.context);
}

Json history_json(const std::vector<EpochRecord>& history) {
  Json curve = Json::array();
  for (const EpochRecord& epoch : history) {
    curve.push_back({{"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}});
    if (std::isnan(epoch.validation_loss)) continue;
    curve.back()["validation_loss"] = epoch.validation_loss;
    curve.back()["validation_ndcg"] = epoch.validation_ndcg;
  }
  return curve;
}

CellResult evaluate_next_item_cell(const NextItemCell& cell) {
  const Evaluation result = evaluate(*cell.model, cell.target(), *cell.data.split, cell.evaluation);
  CellResult all;
  all.metrics = result.metrics().to_json();
  for (const QueryResult& query : result.queries) {
    all.ranks.push_back(static_cast<float>(result.rank(query)));
    all.users.push_back(static_cast<float>(query.user));
  }
  all.queries = queries_fingerprint(cell, result);
  all.more["queries"] = result.queries.size();
  if (result.queries_in_all > result.queries.size()) {
    all.more["queries_in_all"] = result.queries_in_all;
  }
  all.more["candidates"] = result.candidates;
  all.more["details"] = cell.model->details();
  if (!cell.removed_from_source.empty()) {
    all.more["removed_from_source"] = cell.removed_from_source;  // [Z4]
  }
  if (!cell.context.history.empty()) {
    all.more["history"] = history_json(cell.context.history);
    // What a choice among models may look at: the source's validation users.
    const EpochRecord* best = &cell.context.history.front();
    for (const EpochRecord& epoch : cell.context.history) {
      if (epoch.validation_loss < best->validation_loss) best = &epoch;
    }
    if (!std::isnan(best->validation_loss)) {
      all.more["validation"] = {{"loss", best->validation_loss},
                                {"ndcg@20", best->validation_ndcg}};
    }
  }
  return all;
}

Dataset first_interactions(const Dataset& train, std::int64_t interactions, const Rng& rng) {
  Rng draws = rng;
  std::vector<bool> kept(train.user_count(), false);
  std::int64_t total = 0;
  for (const std::uint32_t user : permutation(train.user_count(), draws)) {
    if (total >= interactions) break;
    kept[user] = true;
    total += static_cast<std::int64_t>(train.history(user).size());
  }
  std::vector<std::uint64_t> offsets{0};
  std::vector<Event> events;
  for (UserId user = 0; user < train.user_count(); ++user) {
    if (kept[user]) {
      const auto history = train.history(user);
      events.insert(events.end(), history.begin(), history.end());
    }
    offsets.push_back(events.size());
  }
  return DatasetBuilder::replace_events(train, std::move(offsets), std::move(events));
}

const CellRunner& zero_shot_cells() {
  static const ZeroShotCells cells;
  return cells;
}

const CellRunner& in_domain_cells() {
  static const InDomainCells cells;
  return cells;
}

const CellRunner& incremental_cells() {
  static const IncrementalCells cells;
  return cells;
}

}  // namespace kindling
