// The data sets and item vectors of an experiment, made once under OUT and found again.
//
//   PreparedData prepared = prepare_data(plan, {.folder = "../data", .out = "build/experiments"});
//   prepared.missing            // what is not there, in words: its cells are left out
//
// A data set is made anew when its description or one of its files (size, time) has changed;
// vectors when the encoder's files, its options or the texts have. Work is done in processes of its
// own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/eval/experiment_plan.h"

namespace kindling {

struct DataPlaces {
  std::string folder;  // of the raw data
  std::string out;     // of the experiment
  int threads = 1;
};

// NOLINTNEXTLINE(bugprone-exception-escape): Json checks itself when it is moved
struct PreparedSet {
  std::string directory;
  Json facts;  // {"fingerprint","users","items","events"}
};

// Item vectors of one data set: their name in its directory, and what they are.
struct PreparedVectors {
  std::string name;
  std::string fingerprint;
};

struct PreparedData {
  std::map<std::string, PreparedSet> sets;         // by data set
  std::map<std::string, PreparedVectors> vectors;  // by vectors_key()
  std::vector<std::string> missing;                // sentences
  std::vector<std::string> missing_sets;
  std::vector<std::string> missing_encoders;

  bool has_pair(const PlanPair& pair) const;
};

std::string vectors_key(const PlanPair& pair, const PlanEncoder& encoder, const std::string& data);

// Errors: those of import_dataset and embed_catalogue.
PreparedData prepare_data(const ExperimentPlan& plan, const DataPlaces& places);

// What went wrong with a data set or with vectors below OUT/data or OUT/scenarios: says what to
// remove, so that the next run makes it anew. Any other error as it is.
Error with_remedy(const Error& error, const std::string& out);

// Refuses options of a synthetic data set that no world can be made of. Errors: Error{kBadInput}.
void check_synthetic(const PlanData& data, const std::string& place);

// What is not there, without making anything: for --check.
std::vector<std::string> missing_parts(const ExperimentPlan& plan, const std::string& folder);

}  // namespace kindling
