#include "kindling/eval/experiment_data.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/base/log.h"
#include "kindling/base/parallel.h"
#include "kindling/base/text.h"
#include "kindling/base/worker_processes.h"
#include "kindling/data/import_dataset.h"
#include "kindling/data/synthetic.h"
#include "kindling/text/embed_catalogue.h"

namespace kindling {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHashDigits = 12;

struct SyntheticSettings {
  std::int64_t seed = 1;
  std::int64_t users = 300;
  std::int64_t items = 120;
  std::int64_t topics = 6;
  std::int64_t min_length = 3;
  std::int64_t max_length = 12;
  double stay = 0.3;
  double advance = 0.6;

  template <class Visitor>
  void fields(Visitor& field) {
    field("seed", seed, kNotNegative, "two data sets of one seed share topics");
    field("users", users, between(1, 1'000'000), "users");
    field("items", items, between(1, 1'000'000), "items");
    field("topics", topics, between(2, 1000), "topics");
    field("min_length", min_length, between(1, 1000), "events of a user, at least");
    field("max_length", max_length, between(1, 1000), "events of a user, at most");
    field("stay", stay, kUnit, "share of next items of the same topic");
    field("advance", advance, kUnit, "share of next items of the next topic");
  }
};

SyntheticSettings read_synthetic(const PlanData& data, const std::string& place) {
  SyntheticSettings settings;
  try {
    for (const auto& [name, value] : data.options) set_option(settings, name, value);
  } catch (const Error& error) {
    throw Error(error.kind(), error.message(), place, error.hint());
  }
  if (settings.min_length > settings.max_length) {
    throw Error(Kind::kBadInput,
                fmt::format("min_length {} is more than max_length {}", settings.min_length,
                            settings.max_length),
                place);
  }
  if (settings.items < settings.topics) {
    throw Error(Kind::kBadInput,
                fmt::format("{} items for {} topics", settings.items, settings.topics), place,
                "every topic needs an item");
  }
  return settings;
}

Dataset make_synthetic(const PlanData& data) {
  const SyntheticSettings settings = read_synthetic(data, "data " + data.name);
  SyntheticOptions options;
  options.users = static_cast<std::uint32_t>(settings.users);
  options.items = static_cast<std::uint32_t>(settings.items);
  options.topics = static_cast<std::uint32_t>(settings.topics);
  options.min_length = static_cast<std::uint32_t>(settings.min_length);
  options.max_length = static_cast<std::uint32_t>(settings.max_length);
  options.stay = settings.stay;
  options.advance = settings.advance;
  return make_synthetic_domain(data.name, options, static_cast<std::uint64_t>(settings.seed)).data;
}

// Size and time of everything below `path`: another file gives another text.
std::string stamp_of(const fs::path& path) {
  std::vector<std::string> stamps;
  const auto add = [&](const fs::path& file) {
    stamps.push_back(fmt::format("{} {} {}", file.filename().string(), fs::file_size(file),
                                 fs::last_write_time(file).time_since_epoch().count()));
  };
  if (fs::is_regular_file(path)) add(path);
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) add(entry.path());
    }
  }
  std::sort(stamps.begin(), stamps.end());
  return join(stamps, "\n");
}

std::string short_hash(const std::string& text) { return sha256(text).substr(0, kHashDigits); }

Json options_json(const std::map<std::string, std::string>& options) { return Json(options); }

std::string directory_of(const PlanData& data, const DataPlaces& places) {
  const Json what = {{"format", data.format},
                     {"folder", data.folder},
                     {"paths", data.paths},
                     {"options", options_json(data.options)}};
  std::string text = what.dump();
  if (data.format != "synthetic") text += stamp_of(fs::path(places.folder) / data.folder);
  return (fs::path(places.out) / "data" / fmt::format("{}-{}", data.name, short_hash(text)))
      .string();
}

std::string remedy(const std::string& made) {
  return fmt::format("remove {} and run again: it is made anew", made);
}

std::string facts_path(const std::string& made) { return made + ".facts.json"; }

// Of a data set or of vectors that are made.
Json read_facts(const std::string& made) {
  const std::string path = facts_path(made);
  try {
    Json facts = read_json(path);
    json_get<std::string>(facts, "fingerprint", path);
    return facts;
  } catch (const Error& error) {
    if (error.kind() == Kind::kIo) throw;
    throw Error(Kind::kCorrupt, error.message(), path, remedy(made));
  }
}

void make_dataset(const PlanData& data, const DataPlaces& places, const std::string& directory) {
  Dataset made;
  if (data.format == "synthetic") {
    made = make_synthetic(data);
  } else {
    ImportRequest request;
    request.format = data.format;
    request.options = data.options;
    request.name = data.name;
    const fs::path folder = fs::path(places.folder) / data.folder;
    for (const auto& path : data.paths) request.paths.push_back((folder / path).string());
    if (data.paths.empty()) request.paths.push_back(folder.string());
    made = import_dataset(request).data;
  }
  make_directories(fs::path(directory).parent_path());
  save_dataset(made, directory, true);
  const Json facts = {{"fingerprint", made.fingerprint()},
                      {"users", made.user_count()},
                      {"items", made.item_count()},
                      {"events", made.event_count()},
                      {"has_times", made.has_times}};
  write_file(facts_path(directory), facts.dump(1) + "\n");
}

// One set of vectors to be there.
struct VectorJob {
  std::string key;
  const PlanEncoder* encoder = nullptr;
  std::string directory;
  std::vector<std::string> fit_on;
  std::string name;
};

EncoderOptions encoder_options(const PlanEncoder& encoder) {
  EncoderOptions options;
  for (const auto& [name, value] : encoder.options) set_option(options, name, value);
  return options;
}

void make_vectors(const VectorJob& job, const DataPlaces& places) {
  const Dataset data = load_dataset(job.directory);
  EmbedRequest request;
  request.encoder = job.encoder->encoder;
  request.options = encoder_options(*job.encoder);
  for (const auto& other : job.fit_on) request.fit_on.push_back(load_dataset(other));
  request.cache = (fs::path(places.out) / "cache").string();
  const ItemVectors vectors = embed_catalogue(data, request);
  const std::string path = vectors_path(job.directory, job.name);
  save_item_vectors(vectors, data, path);
  const Json facts = {{"fingerprint", vectors.fingerprint}, {"dim", vectors.dim()}};
  write_file(facts_path(path), facts.dump(1) + "\n");
}

bool is_made(const std::string& path) { return fs::exists(path) && fs::exists(facts_path(path)); }

// False also where a path cannot be: a name too long, no permission.
bool is_folder(const fs::path& path) {
  std::error_code none;
  return fs::is_directory(path, none);
}

bool encoder_is_there(const PlanEncoder& encoder) {
  return needs_no_weights(encoder.encoder) || is_folder(encoder.encoder);
}

// Runs `task` for each in a process of its own and throws what the first failure said.
void run_all(std::size_t count, const std::string& out, int threads,
             const std::function<void(std::size_t)>& task) {
  if (count == 0) return;
  const std::string message = (fs::path(out) / "prepare.error").string();
  fs::remove(message);
  const auto outcomes = run_in_processes(1, count, [&](std::size_t n) {
    set_threads(threads);
    try {
      task(n);
      return 0;
    } catch (const Error& found) {
      const Error error = with_remedy(found, out);
      const Json what = {{"kind", static_cast<int>(error.kind())},
                         {"message", error.message()},
                         {"place", error.place()},
                         {"hint", error.hint()}};
      try {
        write_file(message, what.dump());
      } catch (const Error&) {
        log_error("{}", error.what());  // the disk is full, say
      }
    } catch (const std::exception& error) {
      log_error("{}", error.what());
    }
    return kStopAll;
  });
  for (const TaskOutcome& outcome : outcomes) {
    if (outcome.state == TaskState::kFinished && outcome.code == 0) continue;
    if (!fs::exists(message)) {
      throw Error(Kind::kIo, "preparing the data did not finish", out,
                  "the lines above say why; what is made is kept");
    }
    const Json what = read_json(message);
    fs::remove(message);
    throw Error(static_cast<Kind>(what["kind"].get<int>()), what["message"].get<std::string>(),
                what["place"].get<std::string>(), what["hint"].get<std::string>());
  }
}

std::optional<std::string> missing_part(const PlanData& data, const std::string& folder) {
  if (data.format == "synthetic") return std::nullopt;
  const fs::path place = fs::path(folder) / data.folder;
  if (!is_folder(place)) return fmt::format("{}: {} is not there", data.name, place.string());
  for (const PlanFile& file : data.files) {
    const fs::path path = place / file.name;
    std::error_code none;
    if (!fs::is_regular_file(path, none)) {
      return fmt::format("{}: {} is not there", data.name, path.string());
    }
  }
  return std::nullopt;
}

void report_sizes(const PlanData& data, const std::string& folder) {
  for (const PlanFile& file : data.files) {
    const fs::path path = fs::path(folder) / data.folder / file.name;
    if (!file.bytes || fs::file_size(path) == *file.bytes) continue;
    log_warning("{} has {} bytes, the published file {}: another edition?", path.string(),
                fs::file_size(path), *file.bytes);
  }
}

void prepare_sets(const ExperimentPlan& plan, const DataPlaces& places, PreparedData& prepared) {
  std::vector<const PlanData*> jobs;
  for (const PlanData& data : plan.data) {
    if (const auto missing = missing_part(data, places.folder)) {
      prepared.missing.push_back(*missing);
      prepared.missing_sets.push_back(data.name);
      continue;
    }
    report_sizes(data, places.folder);
    prepared.sets[data.name].directory = directory_of(data, places);
    if (!is_made(prepared.sets[data.name].directory)) jobs.push_back(&data);
  }
  for (const PlanData* data : jobs) log_info("reading {}", data->name);
  run_all(jobs.size(), places.out, places.threads, [&](std::size_t n) {
    make_dataset(*jobs[n], places, prepared.sets.at(jobs[n]->name).directory);
  });
  for (auto& [name, set] : prepared.sets) set.facts = read_facts(set.directory);
}

std::vector<VectorJob> vector_jobs(const ExperimentPlan& plan, const PreparedData& prepared) {
  std::vector<VectorJob> jobs;
  std::set<std::string> seen;
  for (const PlanPair& pair : plan.pairs) {
    if (!prepared.has_pair(pair)) continue;
    for (const PlanEncoder& encoder : plan.encoders) {
      if (!encoder_is_there(encoder)) continue;
      if (!pair.encoders.empty() && std::find(pair.encoders.begin(), pair.encoders.end(),
                                              encoder.name) == pair.encoders.end()) {
        continue;
      }
      for (const auto& [role, data] : pair.data) {
        VectorJob job{.key = vectors_key(pair, encoder, data),
                      .encoder = &encoder,
                      .directory = prepared.sets.at(data).directory,
                      .fit_on = {},
                      .name = {}};
        if (!seen.insert(job.key).second) continue;
        std::set<std::string> texts;  // of all sides, so that the name is the same on each
        for (const auto& [other_role, other] : pair.data) {
          if (!encoder.fit_pair) continue;
          texts.insert(prepared.sets.at(other).facts["fingerprint"].get<std::string>());
          if (other != data) job.fit_on.push_back(prepared.sets.at(other).directory);
        }
        const Json what = {{"encoder", encoder.encoder},
                           {"options", options_json(encoder.options)},
                           {"fit_on", std::vector<std::string>(texts.begin(), texts.end())}};
        job.name =
            fmt::format("{}-{}", encoder.name, short_hash(what.dump() + stamp_of(encoder.encoder)));
        jobs.push_back(std::move(job));
      }
    }
  }
  return jobs;
}

}  // namespace

Error with_remedy(const Error& error, const std::string& out) {
  if (error.kind() == Kind::kIo || error.kind() == Kind::kInternal) return error;
  for (const char* folder : {"data", "scenarios"}) {
    const std::string above = (fs::path(out) / folder / "").string();
    if (!error.place().starts_with(above)) continue;
    const std::string name = error.place().substr(above.size());
    return {error.kind(), error.message(), error.place(),
            remedy(above + name.substr(0, name.find('/')))};
  }
  return error;
}

void check_synthetic(const PlanData& data, const std::string& place) {
  if (data.format == "synthetic") read_synthetic(data, place);
}

bool PreparedData::has_pair(const PlanPair& pair) const {
  return std::all_of(pair.data.begin(), pair.data.end(),
                     [&](const auto& role) { return sets.contains(role.second); });
}

std::string vectors_key(const PlanPair& pair, const PlanEncoder& encoder, const std::string& data) {
  if (!encoder.fit_pair) return fmt::format("{} {}", encoder.name, data);
  return fmt::format("{} {} {}", encoder.name, data, pair.name);
}

PreparedData prepare_data(const ExperimentPlan& plan, const DataPlaces& places) {
  PreparedData prepared;
  prepare_sets(plan, places, prepared);
  for (const PlanEncoder& encoder : plan.encoders) {
    if (encoder_is_there(encoder)) continue;
    prepared.missing_encoders.push_back(encoder.name);
    prepared.missing.push_back(
        fmt::format("encoder {}: {} is not there", encoder.name, encoder.encoder));
  }
  const std::vector<VectorJob> jobs = vector_jobs(plan, prepared);
  std::vector<const VectorJob*> open;
  for (const VectorJob& job : jobs) {
    if (!is_made(vectors_path(job.directory, job.name))) open.push_back(&job);
  }
  if (!open.empty()) log_info("embedding the texts, {} sets of vectors", open.size());
  run_all(open.size(), places.out, places.threads,
          [&](std::size_t n) { make_vectors(*open[n], places); });
  for (const VectorJob& job : jobs) {
    const Json facts = read_facts(vectors_path(job.directory, job.name));
    prepared.vectors[job.key] = {job.name, facts["fingerprint"].get<std::string>()};
  }
  return prepared;
}

std::vector<std::string> missing_parts(const ExperimentPlan& plan, const std::string& folder) {
  std::vector<std::string> all;
  for (const PlanData& data : plan.data) {
    if (const auto missing = missing_part(data, folder)) all.push_back(*missing);
  }
  for (const PlanEncoder& encoder : plan.encoders) {
    if (!encoder_is_there(encoder)) {
      all.push_back(fmt::format("encoder {}: {} is not there", encoder.name, encoder.encoder));
    }
  }
  return all;
}

}  // namespace kindling
