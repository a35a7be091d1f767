// One few-shot training run from a scenario directory to a model directory, and one adaptation to a
// new scenario: what `kindling train MODEL --scenarios DIR` and `kindling adapt` do.
//
//   run_few_shot_training({.model = "s2meta", .scenarios = "scenarios/beauty", .out =
//   "models/s2"}); run_adaptation({.model = "models/s2", .support = "pairs.csv", .out =
//   "models/new"});
//
// Errors: as ScenarioSet, frozen_vectors.h and FewShotModel; Error{kBadInput} when `out` exists.
#pragma once

#include <functional>
#include <string>

#include "kindling/models/few_shot_store.h"
#include "kindling/models/frozen_vectors.h"

namespace kindling {

struct FewShotRun {
  std::string model;
  OptionValues options;
  std::string scenarios;        // scenario directory
  std::string vectors = "bpr";  // FrozenOptions::method
  OptionValues vector_options;  // the other fields of FrozenOptions
  std::string out;              // model directory
  std::uint64_t seed = 0;
  std::string device = "cpu";
  bool resume = false;
  bool force = false;
  double max_minutes = 0.0;
  std::string version;
  std::function<bool()> should_stop;
  std::function<void(const EpochRecord&)> on_epoch;
};

ModelRecord run_few_shot_training(const FewShotRun& run);

// Empty `method`: bpr.
FrozenOptions frozen_options(const std::string& method, const OptionValues& values);

// The record of a fitted model: options, data, vectors' recipe, learning curve.
ModelRecord few_shot_record(const FewShotInfo& info, const OptionValues& options,
                            const FewShotModel& model, const FewShotTask& task,
                            const FitContext& context, const std::string& version);

struct AdaptRun {
  std::string model;    // few-shot model directory
  std::string support;  // delimited file with the columns user and item
  std::string items;    // file of candidate ids, one a line; empty: the items of `support`
  std::string world;    // dataset directory whose users and items have universal vectors; or empty
  std::string universal;     // the model of these vectors; empty: where it was at training
  std::string text_vectors;  // item vectors of `world`; empty: the only ones
  std::string name;          // of the scenario; empty: the file's
  std::string out;           // directory to write
  std::string user_column;
  std::string item_column;
  OptionValues reading;  // further options of the csv reader, but its columns
  std::uint64_t seed = 0;
  bool force = false;
  std::string version;
};

// {"model","scenario","support","candidates","left_out":{…},"adaptation":{steps…},"seconds"}.
// Repeated pairs count once. Pairs of users or items without a vector are left out and counted, and
// rows that bad_rows=skip passes over are counted too.
// With `world`, its users and items take the place of the scenarios' that the model was trained
// with (frozen_vectors.h, universal_vectors). Errors: Error{kBadInput} when fewer than two pairs
// are left, or fewer than two candidates (no negative could be drawn).
Json run_adaptation(const AdaptRun& run);

}  // namespace kindling
