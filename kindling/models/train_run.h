// One training run from dataset directories to a model directory: what `kindling train` does.
//
//   const ModelRecord record = run_training({.model = "zesrec", .source = "data/games",
//                                            .target = "data/scientific", .out = "models/zesrec"});
//
// With a target, its users and items are removed from the source, or what `remove_overlap` says
// [Z4]; under the time split the source is also cut at the target's t_s, so that nothing later than
// the test begins is seen. Under leave-last-out whole source sequences are used: the domains are
// disjoint, so nothing of the target leaks. Under leave-two-out the domains stay as they are,
// shared users and all: both are cut to their train parts (specs/recguru.md 2.3). Models of the
// target's own interactions (pop, recency) learn from its train part. Checkpoints lie in <out>.ckpt
// until the run succeeds. Errors: as Dataset, ItemVectors and Recommender::fit; Error{kBadInput}
// when `out` exists.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "kindling/data/split.h"
#include "kindling/models/store.h"

namespace kindling {

struct TrainRun {
  std::string model;
  OptionValues options;
  std::string source;                       // dataset directory
  std::string target;                       // dataset directory; may be empty
  std::string vectors;                      // name under DIR/vectors; empty: the only one there
  std::string protocol = "leave-last-out";  // one of protocol_names()
  // What of the target leaves the source: both, users, items, none; auto: both, none under
  // leave-two-out [Z4].
  std::string remove_overlap = "auto";
  std::string out;  // model directory
  std::uint64_t seed = 0;
  std::string device = "cpu";
  bool resume = false;
  bool force = false;
  double max_minutes = 0.0;  // the best weights so far are kept; 0: no limit
  std::string version;       // of the program, for the record
  std::function<bool()> should_stop;
  std::function<void(const EpochRecord&)> on_epoch;
  // Makes FitContext::validate for a target that has validation events: eval/'s make_validator with
  // its options. May be empty: then models train to their last epoch.
  std::function<std::function<double(const Recommender&)>(const Domain& target,
                                                          const TargetSplit& split)>
      make_validator;
  std::string validated_by;  // FitContext's
};

ModelRecord run_training(const TrainRun& run);

// What fit() reads, and keeps alive what the task points to.
struct TrainingData {
  Dataset source;
  ItemVectors source_vectors;
  Dataset target;
  ItemVectors target_vectors;
  std::optional<TargetSplit> split;  // given, with the target: used instead of the protocol
  TrainTask task;

  TrainingData() = default;
  TrainingData(const TrainingData&) = delete;  // the task points into it
  TrainingData& operator=(const TrainingData&) = delete;
};

// Fills `data` with what `model` learns from in this run: source, target and split as above.
void load_training_data(const TrainRun& run, const ModelInfo& model, TrainingData& data);

// Runs `fit` of the model so called and says what --resume can do: a warning when it is asked for
// and the checkpoint folder is empty or absent; a hint when training was stopped and the model's
// own error has none. Error{kBadOption}: the checkpoint to resume is another model's.
void fit_with_checkpoint(const std::string& model, const FitContext& context,
                         const std::function<void()>& fit);

// Error{kBadOption} for another device.
void require_cpu(const std::string& model, const std::string& device);

// Says so when vectors are named for a model that reads none: a script gives all models the same.
void tell_of_unread_vectors(const ModelInfo& model, const std::string& name);

// The vectors called `name` of a dataset directory; with an empty name the only ones there are.
// Error{kNotFound} lists what there is.
ItemVectors open_item_vectors(const std::string& directory, const std::string& name,
                              const Dataset& dataset);

// Rows of `vectors` (of `from`) in the item order of `to`, which holds a part of its items.
ItemVectors select_item_vectors(const ItemVectors& vectors, const Dataset& from, const Dataset& to);

}  // namespace kindling
