#include "kindling/eval/experiment.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <fnmatch.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/base/log.h"
#include "kindling/base/parallel.h"
#include "kindling/base/worker_processes.h"
#include "kindling/data/safetensors.h"
#include "kindling/eval/experiment_lock.h"
#include "kindling/eval/experiment_results.h"

namespace kindling {

namespace {

namespace fs = std::filesystem;

constexpr int kCellFormat = 1;
constexpr std::size_t kKeyDigits = 16;
constexpr int kRunsElsewhere = 75;  // a code that no cell ends with

bool chosen(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

// Later settings win: the plan's, the pair's, the row's, the sweep's.
Json merged_settings(const ExperimentPlan& plan, const PlannedCell& cell) {
  Json settings = plan.settings;
  settings.update(cell.pair->settings);
  settings.update(cell.model->settings);
  if (cell.step) settings[plan.sweep.setting] = plan.sweep.value_at(*cell.step);
  return settings;
}

// Everything that decides the numbers of a cell.
Json identity_of(const PlannedCell& cell, const PreparedData& prepared, const ExperimentRun& run) {
  Json what;
  what["format"] = kCellFormat;
  what["version"] = run.version;
  what["kind"] = cell.task.kind;
  what["model"] = cell.task.model;
  if (const int revision = revision_of(cell.task.model); revision > 1) what["revision"] = revision;
  what["options"] = Json::object();
  for (const auto& [name, value] : cell.task.options) what["options"][name] = value;
  what["data"] = Json::object();
  for (const auto& [role, directory] : cell.task.data) {
    const std::string& name = cell.pair->data.at(role);
    Json set = {{"fingerprint", prepared.sets.at(name).facts["fingerprint"]}};
    if (cell.encoder != nullptr) {
      set["vectors"] =
          prepared.vectors.at(vectors_key(*cell.pair, *cell.encoder, name)).fingerprint;
    }
    what["data"][role] = set;
  }
  what["protocol"] = cell.task.protocol;
  // Sorted: two ways of writing the same settings are one cell.
  what["settings"] = nlohmann::json(cell.task.settings);
  what["seed"] = cell.seed;
  return what;
}

void complete(const ExperimentPlan& plan, const PreparedData& prepared, const ExperimentRun& run,
              PlannedCell& cell) {
  const CellRunner& runner = find_cell_kind(cell.model->kind).runner();
  cell.task.kind = cell.model->kind;
  cell.task.model = cell.model->model;
  cell.task.options = model_options(*cell.model, *cell.pair);
  cell.task.protocol = cell.pair->protocol;
  cell.task.settings = merged_settings(plan, cell);
  cell.task.seed = cell.seed;
  std::vector<std::string> roles = runner.roles(cell.task.model);
  for (const std::string& role : runner.optional_roles()) {
    if (cell.pair->data.contains(role)) roles.push_back(role);
  }
  for (const std::string& role : roles) {
    if (!runner.reads(role, cell.task.model, cell.task.settings)) continue;
    const std::string& data = cell.pair->data.at(role);
    cell.task.data[role] = prepared.sets.at(data).directory;
    if (cell.encoder != nullptr) {
      cell.task.vectors = prepared.vectors.at(vectors_key(*cell.pair, *cell.encoder, data)).name;
    }
  }
  cell.identity = identity_of(cell, prepared, run);
  cell.key = sha256(cell.identity.dump()).substr(0, kKeyDigits);
  cell.name =
      fmt::format("{}.{}.{}{}.{}", cell.pair->name,
                  cell.encoder != nullptr ? cell.encoder->name : "-", cell.model->label,
                  cell.step ? fmt::format(".{}", plan.sweep.values[*cell.step]) : "", cell.seed);
  cell.task.work = (fs::path(run.out) / "work" / cell.key).string();
  cell.task.shared = run.out;
}

// Encoders of a row on a pair that are there; one null when it reads no vectors.
std::vector<const PlanEncoder*> encoders_of(const ExperimentPlan& plan, const PlanPair& pair,
                                            const PlanModel& model, const PreparedData& prepared) {
  if (!find_cell_kind(model.kind).runner().needs_vectors(model.model)) return {nullptr};
  std::vector<const PlanEncoder*> all;
  for (const PlanEncoder& encoder : plan.encoders) {
    const auto& gone = prepared.missing_encoders;
    if (std::find(gone.begin(), gone.end(), encoder.name) != gone.end()) continue;
    if (chosen(pair.encoders, encoder.name) && chosen(model.encoders, encoder.name)) {
      all.push_back(&encoder);
    }
  }
  return all;
}

void save_ranks(const PlannedCell& cell, const CellResult& result, const std::string& out) {
  std::vector<TensorView> tensors;
  const auto add = [&](const std::string& name, const std::vector<float>& values) {
    if (!values.empty()) tensors.push_back(tensor_view(name, std::span(values)));
  };
  add("ranks", result.ranks);
  add("users", result.users);
  add("scenarios", result.scenarios);
  for (const auto& [metric, values] : result.values) add(metric, values);
  if (result.ranks.empty() && result.values.empty()) return;
  write_safetensors(cell.ranks_path(out), tensors, {{"queries", result.queries}});
}

// An interrupted cell goes on from its checkpoint. One that it cannot go on from (another build's,
// a damaged one) starts the cell again: Error{kIo}, a full disk or a stop, and Error{kDiverged} say
// nothing of it.
CellResult compute(const PlannedCell& cell) {
  const CellRunner& runner = find_cell_kind(cell.task.kind).runner();
  make_directories(cell.task.work);
  if (fs::is_empty(cell.task.work)) return runner.run(cell.task);
  try {
    return runner.run(cell.task);
  } catch (const Error& error) {
    if (error.kind() == Kind::kIo || error.kind() == Kind::kDiverged) throw;
    log_warning("{} starts again, its checkpoint is of no use: {}", cell.name, error.what());
  }
  fs::remove_all(cell.task.work);
  make_directories(cell.task.work);
  return runner.run(cell.task);
}

void run_cell(const PlannedCell& cell, const ExperimentRun& run) {
  const auto start = std::chrono::steady_clock::now();
  const CellResult result = compute(cell);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  save_ranks(cell, result, run.out);
  Json document;
  document["kindling_cell"] = kCellFormat;
  document["name"] = cell.name;
  document["identity"] = cell.identity;
  document["metrics"] = result.metrics;
  document["more"] = result.more;
  document["seconds"] = seconds.count();
  write_file(cell.path(run.out),
             document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  fs::remove_all(cell.task.work);
  fs::remove(cell.lock_path());  // who has it open already finds the cell finished
  std::string figures;
  for (const char* metric : {"recall@20", "ndcg@20"}) {
    if (!result.metrics.contains(metric)) continue;
    figures += fmt::format("  {} {:.4f}", metric, result.metrics[metric].get<double>());
  }
  log_info("{:<60}{}  {:.0f} s", cell.name, figures, seconds.count());
}

// Runs in a process of its own: what went wrong is kept in a file for the parent.
int try_cell(const PlannedCell& cell, const ExperimentRun& run) {
  set_threads(1);
  std::string message;
  bool disk = false;
  try {
    make_directories(fs::path(cell.lock_path()).parent_path());
    const auto lock = FileLock::try_take(cell.lock_path());
    if (!lock) {
      log_info("{} is left out: another process runs it", cell.name);
      return kRunsElsewhere;
    }
    if (!fs::exists(cell.path(run.out))) run_cell(cell, run);  // another may have finished it
    return 0;
  } catch (const Error& error) {
    message = with_remedy(error, run.out).what();
    disk = error.kind() == Kind::kIo;
  } catch (const fs::filesystem_error& error) {
    message = error.what();
    disk = true;
  } catch (const std::bad_alloc&) {
    message = "out of memory";
  } catch (const std::exception& error) {
    // LibTorch puts a stack trace behind the first line of its messages.
    message = std::string(error.what()).substr(0, std::string(error.what()).find('\n'));
  }
  log_error("cell {} failed: {}", cell.name, message);
  return disk ? kStopAll : 1;
}

// Cells to run: asked for, not finished, each key once.
std::vector<const PlannedCell*> open_cells(const std::vector<PlannedCell>& cells,
                                           const ExperimentRun& run) {
  std::vector<const PlannedCell*> open;
  std::set<std::string> keys;
  for (const PlannedCell& cell : cells) {
    if (!cell.fits(run.only) || fs::exists(cell.path(run.out))) continue;
    if (keys.insert(cell.key).second) open.push_back(&cell);
  }
  return open;
}

void check_only(const std::vector<PlannedCell>& cells, const ExperimentRun& run) {
  for (const std::string& pattern : run.only) {
    const auto fits = [&](const PlannedCell& cell) { return cell.fits({pattern}); };
    if (std::any_of(cells.begin(), cells.end(), fits)) continue;
    throw Error(Kind::kBadOption, fmt::format("no cell of the experiment fits \"{}\"", pattern),
                "--only",
                cells.empty() ? "no data of the experiment is there"
                              : fmt::format("a cell is named like {}", cells.front().name));
  }
}

// A damaged file is named before hours of work.
void check_finished(const std::vector<PlannedCell>& cells, const ExperimentRun& run) {
  for (const PlannedCell& cell : cells) {
    if (fs::exists(cell.path(run.out))) read_cell(cell, run.out);
  }
}

void make_folders(const ExperimentRun& run) {
  if (run.out.empty()) throw Error(Kind::kBadOption, "where to put the results?", "--out");
  for (const char* part : {"cells", "ranks", "data", "cache"}) {
    make_directories(fs::path(run.out) / part);
  }
}

// One process at a time: what is made is for all of them.
PreparedData prepare(const ExperimentPlan& plan, const ExperimentRun& run) {
  const FileLock lock = FileLock::wait((fs::path(run.out) / ".lock").string());
  return prepare_data(plan, {.folder = run.data, .out = run.out, .threads = run.threads});
}

}  // namespace

std::string PlannedCell::path(const std::string& out) const {
  return (fs::path(out) / "cells" / (key + ".json")).string();
}

std::string PlannedCell::ranks_path(const std::string& out) const {
  return (fs::path(out) / "ranks" / (key + ".safetensors")).string();
}

std::string PlannedCell::lock_path() const { return task.work + ".lock"; }

bool PlannedCell::fits(const std::vector<std::string>& only) const {
  const auto matches = [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  };
  return only.empty() || std::any_of(only.begin(), only.end(), matches);
}

std::vector<PlannedCell> plan_cells(const ExperimentPlan& plan, const PreparedData& prepared,
                                    const ExperimentRun& run) {
  std::vector<PlannedCell> cells;
  const std::int64_t seeds = run.seeds > 0 ? run.seeds : plan.seeds;
  const auto add = [&](std::uint64_t seed, const PlanPair& pair, const PlanModel& model,
                       std::optional<std::size_t> step) {
    for (const PlanEncoder* encoder : encoders_of(plan, pair, model, prepared)) {
      PlannedCell cell;
      cell.pair = &pair;
      cell.encoder = encoder;
      cell.model = &model;
      cell.step = step;
      cell.seed = seed;
      complete(plan, prepared, run, cell);
      cells.push_back(std::move(cell));
    }
  };
  for (std::int64_t seed = 0; seed < seeds; ++seed) {
    for (const PlanPair& pair : plan.pairs) {
      if (!prepared.has_pair(pair)) continue;
      for (const PlanModel& model : plan.models) {
        if ((seed > 0 && !model.seeded) || !chosen(model.pairs, pair.name)) continue;
        const bool swept = model.swept && !plan.sweep.setting.empty();
        if (!swept) add(static_cast<std::uint64_t>(seed), pair, model, std::nullopt);
        for (std::size_t step = 0; swept && step < plan.sweep.values.size(); ++step) {
          if (!model.has_value(plan.sweep.values[step])) continue;
          add(static_cast<std::uint64_t>(seed), pair, model, step);
        }
      }
    }
  }
  return cells;
}

Json run_cells(const std::vector<const PlannedCell*>& cells, const ExperimentRun& run) {
  const auto minutes = [&] {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - run.begin;
    return seconds.count() / 60.0;
  };
  const auto outcomes =
      run_in_processes(static_cast<std::size_t>(run.jobs), cells.size(), [&](std::size_t n) {
        if (run.minutes > 0 && minutes() > run.minutes) return 0;  // left for the next run
        return try_cell(*cells[n], run);
      });
  bool stopped = false;
  std::size_t elsewhere = 0;
  Json failed = Json::array();
  for (std::size_t n = 0; n < cells.size(); ++n) {
    stopped = stopped || outcomes[n].code == kStopAll;
    if (outcomes[n].code == kRunsElsewhere) {
      ++elsewhere;
      continue;
    }
    if (outcomes[n].state == TaskState::kFinished && outcomes[n].code != 0) {
      failed.push_back({{"cell", cells[n]->name}, {"code", outcomes[n].code}});
    }
  }
  if (elsewhere > 0) {
    log_info("{} cells are not finished here: another process runs them in {}", elsewhere, run.out);
  }
  if (stopped) {
    throw Error(Kind::kIo, "a cell could not write its result; the lines above say why", run.out,
                "finished cells are kept: make room and run the same command again");
  }
  return failed;
}

Json run_experiment(const ExperimentPlan& plan, const ExperimentRun& run) {
  make_folders(run);
  const PreparedData prepared = prepare(plan, run);
  for (const std::string& missing : prepared.missing) log_warning("left out: {}", missing);
  const std::vector<PlannedCell> cells = plan_cells(plan, prepared, run);
  check_only(cells, run);
  check_finished(cells, run);
  Json failed = Json::array();
  Json again = Json::array();
  if (run.again > 0) {
    again = repeat_cells(cells, run);
  } else {
    const std::vector<const PlannedCell*> open = open_cells(cells, run);
    log_info("{}: {} cells, {} to run", plan.name, cells.size(), open.size());
    failed = run_cells(open, run);
  }
  Json document = experiment_document(plan, prepared, cells, run);
  document["failed"] = failed;
  write_file((fs::path(run.out) / (plan.name + ".json")).string(),
             document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  if (run.again > 0) document["again"] = again;
  return document;
}

}  // namespace kindling
