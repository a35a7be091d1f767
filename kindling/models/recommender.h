// What every model promises. LibTorch-free: bodies may use it, callers never see it.
//
//   auto model = make_model("zesrec", {{"network", "gru"}});    // registry.h
//   model->fit({.source = games}, context);
//   Matrix scores = model->score(scientific, queries, candidates);
//
// Threads: fit() is called once; after it returns, the const methods may be called from many
// threads. Errors: Error{kUnsupported} when a task lacks what the model needs (texts, target data,
// …), naming it.
#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/json.h"
#include "kindling/base/matrix.h"
#include "kindling/base/random.h"
#include "kindling/data/dataset.h"
#include "kindling/data/item_vectors.h"

namespace kindling {

// A dataset together with the vectors of its items (null when the model needs none).
struct Domain {
  const Dataset* data = nullptr;
  const ItemVectors* vectors = nullptr;
};

// The history that a recommendation starts from: oldest first, may be empty. `user` is who asks, as
// numbered in the domain being scored, where that is known: models with a vector a user read it and
// answer somebody they have never seen, or nobody in particular, from the history alone or alike
// for all. `time` is when the question is asked, where that is known: a model that marks sessions
// reads from it whether the next item opens one [Z7].
struct Query {
  std::span<const Event> history;
  std::optional<UserId> user = std::nullopt;
  std::optional<std::int64_t> time = std::nullopt;  // seconds since 1970
};

// The items that an evaluation will ask each user for, by user of the domain.
struct TestItems {
  std::vector<std::vector<ItemId>> source;
  std::vector<std::vector<ItemId>> target;
};

// What fit() may learn from. A zero-shot model reads `source` only; a model of the target's own
// interactions (POP, recency) reads `target_train`: the target's events up to the split. A model of
// two domains reads both; the users they share have the same outside ids (data/domains.h).
struct TrainTask {
  std::optional<Domain> source;
  std::optional<Domain> target_train;
  // To call it is a leak. Only an option that repeats a released code's leak, and says so, does
  // [R9]. May be empty.
  std::function<TestItems()> test_items = nullptr;
};

// The domain that `model` learns from, with data. Error{kUnsupported}: the task has none.
const Domain& require_source(const TrainTask& task, const std::string& model);
const Domain& require_target(const TrainTask& task, const std::string& model);

// Error{kUnsupported}: `domain` has not the `fitted` items that `model`, which cannot move to
// another domain, has learnt about.
void require_items(const Domain& domain, std::size_t fitted, const std::string& model);

// One line of the learning curve, after each epoch.
struct EpochRecord {
  std::int64_t epoch = 0;  // 1-based
  double train_loss = 0.0;
  // On the source's validation users; NaN where nothing was validated.
  double validation_loss = std::numeric_limits<double>::quiet_NaN();
  double validation_ndcg = std::numeric_limits<double>::quiet_NaN();  // N@20
  double seconds = 0.0;  // since the start of training, over all resumed parts
  double learning_rate = 0.0;
  std::optional<double> validation_hr = std::nullopt;  // HR@10 by FitContext::validate, when asked
};

class Recommender;

struct FitContext {
  std::uint64_t seed = 0;
  std::string device = "cpu";  // "cpu" or "cuda"
  std::string checkpoint;      // directory for checkpoints; empty: none
  bool resume = false;         // continue from the checkpoint when there is one
  std::function<void(const EpochRecord&)> on_epoch;  // may be empty
  std::vector<EpochRecord> history;                  // filled by fit()
  // HR@10 of the model, in its present state, on the target's validation events; handed in by eval/
  // where the protocol has such events. A model that stops early or picks its best state asks it,
  // between steps; larger is better. May be empty.
  std::function<double(const Recommender&)> validate;
  std::string validated_by;  // what tells one validation from another: a checkpoint of another is
                             // refused. May be empty
  double max_seconds = 0.0;  // training ends with the best weights so far; 0: no limit
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::function<bool()> should_stop;  // asked between batches; true: fit() throws Error{kIo} and
                                      // the last checkpoint stays. May be empty

  // Adds what a checkpoint of another run differs by: the seed, and validated_by when given.
  void identify(Json& facts) const;

  // For a model that learns in stages: whether max_seconds have gone by since `begin`, and what a
  // stage may take of them (0: no limit).
  bool out_of_time() const;
  double seconds_left() const;
  // Error{kBadOption}: they have, before `model` had learnt anything that is of use.
  [[noreturn]] void fail_for_time(const std::string& model) const;
  void require_time(const std::string& model) const {
    if (out_of_time()) fail_for_time(model);
  }
};

// Tensors of a fitted model by name: what model.safetensors holds.
struct NamedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
using ModelState = std::vector<NamedTensor>;

class Recommender {
 public:
  virtual ~Recommender() = default;

  // From inside fit(), score() may be called through FitContext::validate: it answers with the
  // parameters as they are.
  virtual void fit(const TrainTask& task, FitContext& context) = 0;
  // Returns [queries.size(), candidates.size()]; a larger score is a better match; always finite.
  virtual Matrix score(const Domain& domain, std::span<const Query> queries,
                       std::span<const ItemId> candidates) const = 0;

  // The fitted parameters, and their restoring: save -> load gives equal scores.
  virtual ModelState state() const = 0;
  virtual void load_state(const ModelState& state, const Json& details) = 0;
  // Facts beside the tensors that load_state needs (dimensions, counts) and the model card shows.
  virtual Json details() const { return Json::object(); }
};

// A model whose score is a dot product u·v: ranking and serving then use blocked kernels over all
// items.
class VectorRecommender : public Recommender {
 public:
  // [queries, dim] and [items, dim] of the whole domain; score(q, j) = user_vectors(q) ·
  // item_vectors(j).
  virtual Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const = 0;
  virtual Matrix item_vectors(const Domain& domain) const = 0;
};

}  // namespace kindling
