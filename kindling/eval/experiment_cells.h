// What a cell of an experiment does: one table of kinds, each behind one small interface.
//
//   const CellRunner& runner = find_cell_kind("zero-shot").runner();
//   CellResult result = runner.run(task);         // trains, ranks, returns the metrics
//
// A new kind is one file and one line in the table of experiment_cells.cpp. A runner may use one
// thread only: cells run beside each other in processes of their own.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/models/registry.h"

namespace kindling {

struct PlanModel;
struct PlanPair;

// Everything that a runner needs of one cell. Data sets are directories that hold the item vectors
// called `vectors` (none when empty).
struct CellTask {
  std::string kind;
  std::string model;
  OptionValues options;
  std::map<std::string, std::string> data;  // role ("source", "target", …) -> directory
  std::string vectors;
  std::string protocol;
  Json settings = Json::object();  // only names that settings() lists
  std::uint64_t seed = 0;
  std::string work;    // for checkpoints: an interrupted cell goes on from here; removed when done
  std::string shared;  // the experiment's directory: what several cells make use of, made once
  std::function<bool()> should_stop;
};

struct CellResult {
  Json metrics = Json::object();  // name -> number; every number that a table may show
  // Shown by reports when there: "history" (learning curve: {"epoch","train_loss",
  // "validation_loss","validation_ndcg"}), "training" (the same with "validation_hr@10" alone),
  // "validation" (metrics of the selection), "cases",
  // "plots" ([{"title","x","y","lines":[{"label","points":[[x,y,sd?]…]}]}]: gates, stop
  // probability).
  Json more = Json::object();
  // For paired comparison of models, one a query: its rank or, where a query has several right
  // answers, the metrics that a table may show, by name. May be empty.
  std::vector<float> ranks;
  std::map<std::string, std::vector<float>> values;
  // What a bootstrap draws with all its queries: who asks each, or the scenario of each. Both
  // empty: every query is somebody else's.
  std::vector<float> users;
  std::vector<float> scenarios;
  std::string queries;  // fingerprint of what was asked: only equal ones are paired
};

class CellRunner {
 public:
  virtual ~CellRunner() = default;

  // The names that "settings" and "sweep" of a plan may use.
  virtual std::vector<OptionInfo> settings() const = 0;
  // What of a setting its type does not say: Error for a value that no cell can use.
  virtual void check_setting(const std::string& name, const Json& value) const;
  // Whether a cell says `metric`, so that a table may show it. By default metric_value's names at
  // the cut-offs 10 and 20.
  virtual bool has_metric(const std::string& metric) const;
  // What a pair's "protocol" may be; empty: anything.
  virtual std::vector<std::string> protocols() const { return {}; }
  // The data sets that a cell with `model` needs.
  virtual std::vector<std::string> roles(const std::string& model) const = 0;
  // Whether a cell's result depends on the data set of that role: where not, pairs that differ in
  // it share the cell.
  virtual bool reads(const std::string& role, const std::string& model, const Json& settings) const;
  // Further ones, used where a pair has them.
  virtual std::vector<std::string> optional_roles() const { return {}; }
  // Whether the cell reads item vectors.
  virtual bool needs_vectors(const std::string& model) const;
  // Refuses an unknown model or option. By default: those of the registry.
  virtual void check(const std::string& model, const OptionValues& options) const;
  virtual CellResult run(const CellTask& task) const = 0;
};

struct CellKind {
  const char* name;
  const char* purpose;
  const CellRunner& (*runner)();
};

std::span<const CellKind> all_cell_kinds();
// Error{kNotFound} with the nearest name.
const CellKind& find_cell_kind(const std::string& name);
// Of a model's numbers and defaults: part of what a finished cell is found by. 1 at first.
int revision_of(const std::string& model);

// Those of a model of either table; none for an unknown name.
std::vector<OptionInfo> options_known_to(const std::string& model);
// The options of a row on a pair: the pair's, as far as the model has them, then the model's own.
OptionValues model_options(const PlanModel& model, const PlanPair& pair);

// A plan in the program: made of experiments/*.json by cmake/embed.cmake.
struct EmbeddedPlan {
  const char* name;
  const char* text;
};
std::span<const EmbeddedPlan> embedded_plans();

}  // namespace kindling
