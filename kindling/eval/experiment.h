// Runs an experiment cell by cell, and puts our value beside the published one.
//
//   const ExperimentPlan plan = load_plan("zesrec-table2");
//   Json document = run_experiment(plan, {.data = "../data", .out = "build/zesrec", .jobs = 2});
//
// OUT holds data/ (imported data sets with their vectors), cells/ (one JSON a finished cell),
// ranks/ (where each query's target came out), work/ (checkpoints of unfinished cells) and
// NAME.json, the document that is returned. A cell's file is named by a hash of everything that
// decides its numbers: the content of the data and vectors, model, effective options, protocol,
// settings and seed, the program's version and the model's revision. So experiments that share OUT
// share cells, an interrupted run (kill -9 too) goes on where it stopped, and nothing stale is
// taken for a result. Processes that share OUT divide the cells among them: one that another runs
// is left to it. Errors: those of the plan, the data and the cells that are there (Error{kCorrupt})
// before any cell runs; Error{kIo} when the disk is full: finished cells are kept. A cell that
// fails is reported in "failed", the others go on. With `again` that many finished cells are run
// once more instead: equal seeds give equal numbers. With `only` no other cell is run; the document
// has all that are finished.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kindling/eval/experiment_cells.h"
#include "kindling/eval/experiment_data.h"

namespace kindling {

struct ExperimentRun {
  std::string data;               // folder of the raw data
  std::string out;                // directory of results
  std::int64_t seeds = 0;         // 0: as the plan says
  std::int64_t jobs = 1;          // processes, a thread each
  int threads = 1;                // for preparing the data
  double minutes = 0.0;           // start no cell so long after `begin`; 0: no limit
  std::int64_t again = 0;         // finished cells to run once more, and nothing else
  std::vector<std::string> only;  // patterns of the names of cells to run; empty: all
  std::string version;            // of the program
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

// One cell of a plan whose data is there.
struct PlannedCell {
  const PlanPair* pair = nullptr;
  const PlanEncoder* encoder = nullptr;  // null: the cell reads no vectors
  const PlanModel* model = nullptr;
  std::optional<std::size_t> step;  // of the sweep
  std::uint64_t seed = 0;
  CellTask task;
  Json identity;     // everything that decides its numbers
  std::string key;   // a hash of it
  std::string name;  // pair.encoder.model.step.seed: readable

  std::string path(const std::string& out) const;
  std::string ranks_path(const std::string& out) const;
  std::string lock_path() const;  // held by the process that runs it
  // Whether `only` is empty or has a pattern, as of a shell ("*.bert4rec.*"), that fits the name.
  bool fits(const std::vector<std::string>& only) const;
};

// All cells, seeds outermost. One that two rows share occurs twice, with one key.
std::vector<PlannedCell> plan_cells(const ExperimentPlan& plan, const PreparedData& prepared,
                                    const ExperimentRun& run);

// Cells in processes of their own, run.jobs at a time, into run.out. Returns those that failed:
// [{"cell","code"}]. Errors: Error{kIo} when a result cannot be written.
Json run_cells(const std::vector<const PlannedCell*>& cells, const ExperimentRun& run);

// Runs run.again finished cells once more, under OUT/again, and compares all metrics but times, and
// the rank of every query, bit for bit: [{"cell","same","seconds","differs"}]; "differs" names
// metrics, "ranks" or "failed". The cells are those with the smallest keys, which are hashes: as
// good as drawn.
// Errors: Error{kBadInput} when no cell is finished, Error{kBadOption} when another process does
// it.
Json repeat_cells(const std::vector<PlannedCell>& cells, const ExperimentRun& run);

// The document of docs/file_formats.md: {"name","cells":[{"data","model","metric","mean","sd",
// "seeds","published",…}],"missing","failed","finished","planned",…}.
Json run_experiment(const ExperimentPlan& plan, const ExperimentRun& run);

}  // namespace kindling
