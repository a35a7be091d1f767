#include "kindling/models/few_shot_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/log.h"
#include "kindling/base/text.h"
#include "kindling/data/readers/reader.h"
#include "kindling/models/train_run.h"

namespace kindling::few_shot_run {

namespace {

void refuse_existing(const std::string& out, bool force) {
  if (out.empty()) throw Error(Kind::kBadOption, "where to write the model?", "--out");
  check_replaceable(out, force, kModelMarker);
}

bool has_vector(const Matrix& vectors, std::uint32_t row) {
  const auto values = vectors.row(row);
  return std::any_of(values.begin(), values.end(), [](float x) { return x != 0.0F; });
}

struct Support {
  Scenario scenario;
  Json left_out = Json::object();
};

// Other users and items than the scenarios', by universal vectors.
void move_to(const AdaptRun& run, LoadedFewShot& loaded) {
  ScenarioSet set;
  set.world = load_dataset(run.world);
  loaded.vectors = universal_vectors(set.world, run.world, loaded.vectors.recipe, run.universal,
                                     run.text_vectors);
  loaded.set = std::move(set);
}

Dataset read_support(const AdaptRun& run, std::int64_t& unreadable) {
  ReaderValues values(run.reading.begin(), run.reading.end());
  if (!run.user_column.empty()) values.emplace_back("user", run.user_column);
  if (!run.item_column.empty()) values.emplace_back("item", run.item_column);
  ImportReport report;
  Dataset file = find_reader("csv").read({run.support}, values, report);
  for (const auto& [name, count] : report.skipped) unreadable += count;
  return file;
}

// Candidates beside the support: one outside id a line.
void add_candidates(const AdaptRun& run, const LoadedFewShot& loaded, std::set<ItemId>& items,
                    std::int64_t& unknown) {
  if (run.items.empty()) return;
  bool any = false;
  for (LineReader lines(run.items); lines.next();) {
    const auto id = trim(lines.line());
    if (id.empty()) continue;
    any = true;
    const auto item = loaded.set.world.item_ids().find(id);
    if (item && has_vector(loaded.vectors.items, *item)) {
      items.insert(*item);
    } else {
      ++unknown;
    }
  }
  if (!any) throw Error(Kind::kBadInput, "holds no candidate, expected one id a line", run.items);
}

Support read_scenario(const AdaptRun& run, const LoadedFewShot& loaded) {
  std::int64_t unreadable = 0;
  const Dataset file = read_support(run, unreadable);
  const Dataset& world = loaded.set.world;
  std::int64_t repeated = 0;
  std::int64_t unknown_users = 0;
  std::int64_t unknown_items = 0;
  std::int64_t unknown_candidates = 0;
  std::set<std::pair<UserId, ItemId>> seen;
  std::set<ItemId> items;
  Support support;
  for (UserId row = 0; row < file.user_count(); ++row) {
    const auto user = world.user_ids().find(file.user_ids().name(row));
    for (const Event& event : file.history(row)) {
      const auto item = world.item_ids().find(file.item_ids().name(event.item));
      if (!user || !has_vector(loaded.vectors.users, *user)) {
        ++unknown_users;
      } else if (!item || !has_vector(loaded.vectors.items, *item)) {
        ++unknown_items;
      } else if (!seen.insert({*user, *item}).second) {
        ++repeated;
      } else {
        support.scenario.support.push_back({*user, *item});
        items.insert(*item);
      }
    }
  }
  add_candidates(run, loaded, items, unknown_candidates);
  support.scenario.name =
      run.name.empty() ? std::filesystem::path(run.support).stem().string() : run.name;
  support.scenario.candidates.assign(items.begin(), items.end());
  support.left_out = {{"repeated", repeated},
                      {"unknown_users", unknown_users},
                      {"unknown_items", unknown_items},
                      {"unknown_candidates", unknown_candidates},
                      {"unreadable_rows", unreadable}};
  return support;
}

void check_scenario(const AdaptRun& run, const Support& support) {
  const std::size_t pairs = support.scenario.support.size();
  const auto count = [&](const char* key) { return support.left_out[key].get<std::int64_t>(); };
  if (pairs < 2) {
    throw Error(
        Kind::kBadInput,
        fmt::format("{} usable interactions, at least 2 are needed ({} pairs of unknown "
                    "users, {} of unknown items, {} repeated)",
                    pairs, count("unknown_users"), count("unknown_items"), count("repeated")),
        run.support,
        "users and items must have a vector: those of the scenario directory that the "
        "model was trained with, by the same ids, or with --world those of a dataset");
  }
  if (support.scenario.candidates.size() < 2) {
    throw Error(Kind::kBadInput, "all interactions are of one item: there is no other to rank",
                run.support, "name the scenario's items with --candidates FILE, one id a line");
  }
}

}  // namespace

}  // namespace kindling::few_shot_run

namespace kindling {

FrozenOptions frozen_options(const std::string& method, const OptionValues& values) {
  FrozenOptions options;
  if (!method.empty()) set_option(options, "method", method);
  for (const auto& [name, value] : values) set_option(options, name, value);
  return options;
}

ModelRecord few_shot_record(const FewShotInfo& info, const OptionValues& options,
                            const FewShotModel& model, const FewShotTask& task,
                            const FitContext& context, const std::string& version) {
  ModelRecord record;
  record.model = info.name;
  record.options = effective_options(info.describe(), options, model.details());
  record.seed = context.seed;
  record.data = {{"role", "scenarios"},
                 {"fingerprint", task.scenarios->fingerprint()},
                 {"meta_train", task.scenarios->meta_train.size()},
                 {"validation", task.scenarios->validation.size()},
                 {"meta_test", task.scenarios->meta_test.size()},
                 {"recipe", task.scenarios->recipe},
                 {"frozen_vectors", task.vectors->recipe}};
  record.details = model.details();
  record.history = context.history;
  record.version = version;
  return record;
}

ModelRecord run_few_shot_training(const FewShotRun& run) {
  few_shot_run::refuse_existing(run.out, run.force);
  const FewShotInfo& info = find_few_shot(run.model);
  require_cpu(info.name, run.device);
  const auto model = info.make(run.options);
  const ScenarioSet set = load_scenarios(run.scenarios);
  const FrozenVectors vectors =
      cached_frozen_vectors(set, frozen_options(run.vectors, run.vector_options), run.scenarios);
  const FewShotTask task{&set, &vectors};
  FitContext context;
  context.seed = run.seed;
  context.checkpoint = run.out + ".ckpt";
  context.resume = run.resume;
  context.on_epoch = run.on_epoch;
  context.max_seconds = run.max_minutes * 60.0;
  context.should_stop = run.should_stop;
  fit_with_checkpoint(info.name, context, [&] { model->fit(task, context); });
  const ModelRecord record = few_shot_record(info, run.options, *model, task, context, run.version);
  save_few_shot(*model, record, task, run.out, run.force);
  std::filesystem::remove_all(context.checkpoint);
  return record;
}

Json run_adaptation(const AdaptRun& run) {
  const auto start = std::chrono::steady_clock::now();
  few_shot_run::refuse_existing(run.out, run.force);
  LoadedFewShot loaded = load_few_shot(run.model);
  if (!run.world.empty()) {
    few_shot_run::move_to(run, loaded);
  } else if (!run.universal.empty() || !run.text_vectors.empty()) {
    throw Error(Kind::kBadOption, "has a meaning with --world only",
                run.universal.empty() ? "--vectors" : "--universal",
                "name the dataset of the new users and items with --world DIR");
  }
  const few_shot_run::Support support = few_shot_run::read_scenario(run, loaded);
  few_shot_run::check_scenario(run, support);
  for (const auto& [what, count] : support.left_out.items()) {
    if (count.get<std::int64_t>() > 0) {
      log_warning("{}: {} left out ({})", run.support, count.get<std::int64_t>(), what);
    }
  }
  AdaptRecord adaptation;
  const FewShotTask task = loaded.task();
  const Rng rng = Rng(run.seed).fork("adapt").fork(support.scenario.name);
  const auto scorer = loaded.model->adapt(task, support.scenario, rng, &adaptation);
  ModelRecord record = loaded.record;
  record.seed = run.seed;
  record.version = run.version;
  Json document = {{"model", loaded.record.model},
                   {"scenario", support.scenario.name},
                   {"support", support.scenario.support.size()},
                   {"candidates", support.scenario.candidates.size()},
                   {"left_out", support.left_out},
                   {"adaptation", adaptation.to_json()}};
  save_adapted(*scorer, record, task, support.scenario, document, run.out, run.force);
  document["out"] = run.out;
  document["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return document;
}

}  // namespace kindling
