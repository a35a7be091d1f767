// One table or figure of a paper as a file: experiments/NAME.json -> ExperimentPlan.
//
//   const ExperimentPlan plan = load_plan("zesrec-table2");       // built into the program
//   const ExperimentPlan mine = read_plan("my.json");             // a file of the user's
//
// A cell is pair x encoder x model x sweep value x seed. The members of the file are described in
// docs/file_formats.md. Everything is checked when it is read: unknown members, models, options,
// data sets, encoders, settings and their values are refused with the place in the file and the
// nearest name. Errors: Error{kBadInput}, Error{kNotFound} for an unknown experiment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/models/registry.h"

namespace kindling {

struct PlanFile {
  std::string name;                    // inside the folder
  std::optional<std::uint64_t> bytes;  // as published; another size is reported
};

struct PlanData {
  std::string name;
  std::string format;              // one of `kindling import`, or "synthetic"
  std::string folder;              // under --data; empty for synthetic data
  std::vector<std::string> paths;  // inside the folder, what import reads; empty: the folder
  std::vector<PlanFile> files;     // that must be there
  std::map<std::string, std::string> options;  // of import
};

struct PlanEncoder {
  std::string name;
  std::string title;
  std::string encoder;    // "lsa", "hash" or a model directory
  bool fit_pair = false;  // fitted on the texts of all data sets of a pair: one space for them
  std::map<std::string, std::string> options;
};

struct PlanPair {
  std::string name;
  std::string title;
  std::map<std::string, std::string> data;  // role ("source", "target", …) -> data set
  std::string protocol;
  OptionValues set;  // options of every model that has them; the model's own come first
  Json settings = Json::object();
  std::vector<std::string> encoders;  // empty: all
  std::string stands_for;             // pair of the paper whose numbers are shown beside
};

enum class PlanRole { kOurs, kBaseline, kOracle };

struct PlanModel {
  std::string label;  // unique
  std::string title;
  std::string model;  // name in the registry, or what the cell kind knows
  std::string kind;   // of cells
  PlanRole role = PlanRole::kBaseline;
  OptionValues set;
  std::map<std::string, OptionValues> pair_set;  // pair -> options that win over `set` there
  Json settings = Json::object();
  bool seeded = true;                 // false: one seed says it all
  bool swept = true;                  // false: one cell, a level line beside the sweep
  std::vector<std::string> encoders;  // empty: all
  std::vector<std::string> pairs;     // empty: all
  std::vector<double> sweep_values;   // values of the sweep that the row has; empty: all

  bool has_value(double value) const;
};

struct PlanSweep {
  std::string setting;  // empty: no sweep
  std::string title;
  std::vector<double> values;

  // As the setting gets it: whole numbers without a point.
  Json value_at(std::size_t step) const;
};

struct PlanAnalysis {
  std::string kind;  // "against", "overtake", "selection"
  Json settings = Json::object();
};

struct ExperimentPlan {
  std::string name;
  std::string title;
  std::string source;  // paper, table or figure
  std::vector<std::string> notes;
  std::int64_t seeds = 3;
  std::vector<std::string> metrics;
  std::vector<PlanData> data;
  std::vector<PlanEncoder> encoders;
  std::vector<PlanPair> pairs;
  std::vector<PlanModel> models;
  Json settings = Json::object();  // of all cells
  PlanSweep sweep;
  std::vector<PlanAnalysis> analyses;
  Json published = Json::object();  // pair -> model label -> metric -> number, or one a sweep value

  const PlanData& find_data(const std::string& name) const;
  // The published number of a row, when there is one.
  std::optional<double> published_value(const PlanPair& pair, const std::string& label,
                                        const std::string& metric,
                                        std::optional<std::size_t> step) const;
};

// `place` names the file in messages.
ExperimentPlan parse_plan(std::string_view text, std::string_view place);
ExperimentPlan read_plan(const std::string& path);

// The experiments that are built into the program, by name.
std::vector<std::string> plan_names();
ExperimentPlan load_plan(const std::string& name);

}  // namespace kindling
