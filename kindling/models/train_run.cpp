#include "kindling/models/train_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/log.h"
#include "kindling/base/text.h"
#include "kindling/data/domains.h"
#include "kindling/data/history_lengths.h"
#include "kindling/data/split.h"
#include "kindling/data/transforms.h"

namespace kindling {

namespace {

TargetSplit split_target(const TrainRun& run, const Dataset& target) {
  TargetSplit split = split_by_protocol(target, run.protocol);
  if (split.tests.empty() && target.event_count() > 0) {
    log_warning("protocol {} leaves nothing of {} to ask the model: {}", run.protocol,
                quote(target.name), why_nothing_is_asked(target, run.protocol));
  }
  return split;
}

constexpr std::int64_t kLeastEvents = 2;  // of a source user, once the target's are gone [Z4]

// What of the target leaves the source in this run; "" when there is nothing to choose.
std::string removed_overlap(const TrainRun& run) {
  if (run.target.empty() || run.source.empty()) return "";
  if (run.remove_overlap != "auto") return run.remove_overlap;
  return run.protocol == "leave-two-out" ? "none" : "both";
}

void prepare_source(const TrainRun& run, TrainingData& loaded, bool needs_text) {
  Dataset whole = load_dataset(run.source);
  if (needs_text) loaded.source_vectors = open_item_vectors(run.source, run.vectors, whole);
  std::optional<Dataset> part;  // what the protocol lets it learn from, where that is not all
  if (run.protocol == "leave-two-out") {
    part = split_leave_two_out(whole).train;
  } else if (loaded.split && loaded.split->time) {
    part = events_until(whole, *loaded.split->time);
  }
  const std::string removed = removed_overlap(run);
  // Under leave-two-out short histories stay, as in the papers of two domains.
  const bool as_it_is = run.protocol == "leave-two-out" && removed == "none";
  if (as_it_is && whole.fingerprint() == loaded.target.fingerprint()) {
    log_warning("the source {} and the target {} hold the same events: nothing crosses domains",
                run.source, run.target);
  }
  if (removed.empty() || as_it_is) {
    loaded.source = std::move(part ? *part : whole);
  } else {
    loaded.source =
        remove_overlap(part ? *part : whole, loaded.target, kLeastEvents, overlap_named(removed));
    log_info("source: {} of {} events are before the split{}", loaded.source.event_count(),
             whole.event_count(),
             removed == "none"   ? ""
             : removed == "both" ? " and apart from the target"
                                 : fmt::format(" and without the target's {}", removed));
    if (needs_text) {
      loaded.source_vectors = select_item_vectors(loaded.source_vectors, whole, loaded.source);
    }
  }
  loaded.task.source = Domain{&loaded.source, needs_text ? &loaded.source_vectors : nullptr};
}

// What the options that repeat a leak ask for [R9]. The source has test events of its own under
// leave-two-out only.
TestItems find_test_items(const TrainRun& run, const TrainingData& loaded) {
  TestItems items;
  items.target = items_of(loaded.target, loaded.split->tests);
  if (!loaded.task.source || run.protocol != "leave-two-out") return items;
  const Dataset whole = load_dataset(run.source);
  items.source.resize(loaded.source.user_count());
  for (const TestEvent& test : split_leave_two_out(whole).tests) {
    const ItemId item = whole.history(test.user)[test.position].item;
    const auto user = loaded.source.user_ids().find(whole.user_ids().name(test.user));
    const auto known = loaded.source.item_ids().find(whole.item_ids().name(item));
    if (user && known) items.source[*user].push_back(*known);
  }
  return items;
}

Json describe_domain(const Domain& domain, const std::string& role) {
  Json facts;
  facts["role"] = role;
  facts["name"] = domain.data->name;
  facts["fingerprint"] = domain.data->fingerprint();
  facts["item_ids"] = domain.data->item_ids().fingerprint();
  facts["user_ids"] = domain.data->user_ids().fingerprint();
  facts["users"] = domain.data->user_count();
  facts["items"] = domain.data->item_count();
  facts["events"] = domain.data->event_count();
  if (domain.data->has_times) {
    std::int64_t last = std::numeric_limits<std::int64_t>::min();
    for (const Event& event : domain.data->events()) last = std::max(last, event.time);
    facts["last_time"] = last;
  }
  if (domain.vectors != nullptr) {
    facts["vectors"] = {{"encoder", domain.vectors->encoder},
                        {"fingerprint", domain.vectors->fingerprint},
                        {"dim", domain.vectors->dim()}};
  }
  return facts;
}

// In a folder of checkpoints: whose they are. A model that keeps none would otherwise not notice
// another's, and remove them when it is done.
constexpr const char* kOwnerFile = "model.txt";

void claim_checkpoint(const std::string& model, const FitContext& context) {
  const std::string& folder = context.checkpoint;
  const std::string path = (std::filesystem::path(folder) / kOwnerFile).string();
  std::error_code ignored;  // a folder that is not there is empty
  const bool kept =
      std::filesystem::exists(folder, ignored) && !std::filesystem::is_empty(folder, ignored);
  if (context.resume && kept) {
    const std::string owner =
        std::filesystem::exists(path) ? quote(read_file(path, 1000)) : "an unknown model";
    if (owner != quote(model)) {
      throw Error(Kind::kBadOption, fmt::format("the checkpoint is of {}, not of {}", owner, model),
                  folder, "resume with the same model, or start again without --resume");
    }
  }
  make_directories(folder);
  write_file(path, [&](const Sink& sink) { sink(model); });
}

void refuse_existing(const TrainRun& run) {
  if (run.out.empty()) throw Error(Kind::kBadOption, "where to write the model?", "--out");
  check_replaceable(run.out, run.force, kModelMarker);
}

}  // namespace

void fit_with_checkpoint(const std::string& model, const FitContext& context,
                         const std::function<void()>& fit) {
  claim_checkpoint(model, context);
  const auto nothing_kept = [&] {
    std::error_code ignored;  // a folder that is not there is empty
    const std::filesystem::directory_iterator all(context.checkpoint, ignored);
    return std::all_of(begin(all), end(all),
                       [](const auto& entry) { return entry.path().filename() == kOwnerFile; });
  };
  if (context.resume && nothing_kept()) {
    log_warning("nothing to resume in {}: training starts at the beginning", context.checkpoint);
  }
  try {
    fit();
  } catch (const Error& error) {
    const bool stopped = context.should_stop && context.should_stop();
    if (nothing_kept()) {
      std::error_code ignored;
      std::filesystem::remove_all(context.checkpoint, ignored);
    }
    if (!stopped || error.kind() != Kind::kIo || !error.hint().empty()) throw;
    throw Error(error.kind(), error.message(), error.place(),
                nothing_kept() ? "nothing is kept" : "run the same command with --resume");
  }
}

ItemVectors select_item_vectors(const ItemVectors& vectors, const Dataset& from,
                                const Dataset& to) {
  ItemVectors part{Matrix(to.item_count(), vectors.dim()), vectors.encoder, vectors.fingerprint};
  const std::vector<ItemId> rows = matching_items(to, from);
  for (ItemId item = 0; item < to.item_count(); ++item) {
    const auto row = vectors.values.row(rows[item]);
    std::copy(row.begin(), row.end(), part.values.row(item).begin());
  }
  return part;
}

ItemVectors open_item_vectors(const std::string& directory, const std::string& name,
                              const Dataset& dataset) {
  if (!name.empty() && (name.ends_with(".npy") || name.ends_with(".safetensors"))) {
    return import_item_vectors(name, dataset);
  }
  std::vector<std::string> names;
  std::error_code ignored;
  const auto folder = std::filesystem::path(directory) / "vectors";
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  const bool known = std::find(names.begin(), names.end(), name) != names.end();
  if (known || (name.empty() && names.size() == 1)) {
    return load_item_vectors(vectors_path(directory, name.empty() ? names[0] : name), dataset);
  }
  if (names.empty()) {
    throw Error(Kind::kNotFound, "the dataset has no item vectors", directory,
                "make them with kindling embed");
  }
  throw Error(name.empty() ? Kind::kBadOption : Kind::kNotFound,
              name.empty() ? "the dataset has several item vectors"
                           : fmt::format("the dataset has no item vectors {}", quote(name)),
              directory, fmt::format("pass --vectors with one of: {}", join(names, ", ")));
}

void require_cpu(const std::string& model, const std::string& device) {
  if (device == "cpu") return;
  throw Error(Kind::kBadOption,
              fmt::format("{} trains on the CPU, device is {}", model, quote(device)), "--device",
              "leave the option out");
}

void tell_of_unread_vectors(const ModelInfo& model, const std::string& name) {
  if (!name.empty()) log_info("{} reads no item vectors: --vectors is left aside", model.name);
}

void load_training_data(const TrainRun& run, const ModelInfo& info, TrainingData& loaded) {
  if (!info.needs_text) tell_of_unread_vectors(info, run.vectors);
  const bool has_source = !run.source.empty();
  if (has_source && !info.needs_source) {
    log_info("{} reads no source domain: --source is left aside", info.name);
  }
  if (info.needs_source && run.source.empty()) {
    throw Error(Kind::kBadOption, fmt::format("{} needs a source domain", info.name), "--source");
  }
  if (info.needs_target_train && run.target.empty()) {
    throw Error(Kind::kBadOption,
                fmt::format("{} learns from the target's own interactions", info.name), "--target");
  }
  if (run.remove_overlap != "auto" && (run.target.empty() || run.source.empty())) {
    throw Error(Kind::kBadOption, "needs --source and --target", "--remove-overlap");
  }
  if (!run.target.empty()) {
    if (!loaded.split) {
      loaded.target = load_dataset(run.target);
      loaded.split = split_target(run, loaded.target);
    }
  }
  if (has_source && info.needs_source) prepare_source(run, loaded, info.needs_text);
  if (loaded.split) loaded.task.test_items = [&, run] { return find_test_items(run, loaded); };
  if (info.needs_target_train) {
    if (info.needs_text) {
      loaded.target_vectors = open_item_vectors(run.target, run.vectors, loaded.target);
    }
    loaded.task.target_train =
        Domain{&loaded.split->train, info.needs_text ? &loaded.target_vectors : nullptr};
  }
}

ModelRecord run_training(const TrainRun& run) {
  refuse_existing(run);
  const ModelInfo& info = find_model(run.model);
  if (!info.on_device) require_cpu(run.model, run.device);
  const auto model = info.make(run.options);
  TrainingData loaded;
  load_training_data(run, info, loaded);
  FitContext context;
  context.seed = run.seed;
  context.device = run.device;
  context.checkpoint = run.out + ".ckpt";
  context.resume = run.resume;
  context.on_epoch = run.on_epoch;
  context.max_seconds = run.max_minutes * 60.0;
  context.should_stop = run.should_stop;
  if (run.make_validator && info.asks_validation && loaded.split &&
      !loaded.split->validation.empty()) {
    const Domain whole{&loaded.target, info.needs_text && info.needs_target_train
                                           ? &loaded.target_vectors
                                           : nullptr};
    context.validate = run.make_validator(whole, *loaded.split);
    context.validated_by = run.validated_by;
  }
  fit_with_checkpoint(run.model, context, [&] { model->fit(loaded.task, context); });
  ModelRecord record;
  record.model = run.model;
  record.options = effective_options(info.describe(), run.options, model->details());
  record.seed = run.seed;
  if (loaded.task.source) {
    record.data = describe_domain(*loaded.task.source, "source");
    if (loaded.task.target_train) {
      record.data["target"] = describe_domain(*loaded.task.target_train, "target");
      record.data["shared_users"] = shared_users(loaded.source, loaded.target).size();
    }
  } else if (loaded.task.target_train) {
    record.data = describe_domain(*loaded.task.target_train, "target");
  }
  const std::string removed = loaded.task.source ? removed_overlap(run) : "";
  if (!removed.empty()) record.data["removed_from_source"] = removed;
  const bool is_cut = !run.target.empty() || run.protocol == "leave-two-out";
  record.data["protocol"] = is_cut ? run.protocol : "none";
  record.details = model->details();
  record.history = context.history;
  record.version = run.version;
  for (const EpochRecord& epoch : record.history) {
    if (epoch.validation_hr) {
      if (!record.metrics.contains("validation_hr@10") ||
          *epoch.validation_hr > record.metrics["validation_hr@10"].get<double>()) {
        record.metrics = {{"best_epoch", epoch.epoch}, {"validation_hr@10", *epoch.validation_hr}};
      }
      continue;
    }
    if (record.metrics.contains("validation_hr@10") || std::isnan(epoch.validation_loss)) continue;
    if (!record.metrics.empty() &&
        epoch.validation_loss >= record.metrics["validation_loss"].get<double>()) {
      continue;
    }
    record.metrics = {{"best_epoch", epoch.epoch},
                      {"validation_loss", epoch.validation_loss},
                      {"validation_ndcg@20", epoch.validation_ndcg}};
  }
  // A model may have kept what it was before the first of these, or at the last.
  const Json kept = record.details.value("validation_hr@10", Json());
  if (!kept.is_null() && kept != record.metrics.value("validation_hr@10", Json())) {
    record.metrics = {{"validation_hr@10", kept}};
  }
  save_model(*model, record, run.out, run.force);
  std::filesystem::remove_all(context.checkpoint);
  return record;
}

}  // namespace kindling
