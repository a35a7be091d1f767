#include "kindling/models/s2meta/adapt.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"

namespace kindling::s2meta {

namespace {

void check_row(const Matrix& vectors, std::size_t row, const char* what, const std::string& name) {
  if (row >= vectors.rows()) {
    throw Error(
        Kind::kBadInput,
        fmt::format("{} {} is unknown: the vectors have {} rows", what, row, vectors.rows()), name);
  }
}

template <class Id>
Matrix gather_rows(const Matrix& vectors, std::span<const Id> ids, const char* what) {
  Matrix rows(ids.size(), vectors.cols());
  for (std::size_t r = 0; r < ids.size(); ++r) {
    check_row(vectors, ids[r], what, "score");
    const auto from = vectors.row(ids[r]);
    std::copy(from.begin(), from.end(), rows.row(r).begin());
  }
  return rows;
}

void fill_record(const Learner& learner, const InnerRun& run, AdaptRecord& record) {
  record.tensors.clear();
  record.steps.clear();
  for (const Tensor& tensor : learner.net.tensors()) record.tensors.push_back(tensor.name);
  for (const InnerRun::Step& step : run.steps()) {
    record.steps.push_back({step.loss, step.stop_probability, step.alpha, step.beta});
  }
  record.stopped = run.stopped();
}

}  // namespace

bool has_vector(const Matrix& vectors, std::size_t row) {
  const auto values = vectors.row(row);
  return std::any_of(values.begin(), values.end(), [](float value) { return value != 0.0F; });
}

std::vector<UserItem> pairs_with_vectors(const FrozenVectors& vectors,
                                         std::span<const UserItem> pairs, const std::string& name) {
  std::vector<UserItem> kept;
  for (const UserItem& pair : pairs) {
    check_row(vectors.users, pair.user, "user", name);
    check_row(vectors.items, pair.item, "item", name);
    if (has_vector(vectors.users, pair.user) && has_vector(vectors.items, pair.item)) {
      kept.push_back(pair);
    }
  }
  return kept;
}

std::vector<ItemId> items_with_vectors(const FrozenVectors& vectors, std::span<const ItemId> items,
                                       const std::string& name) {
  std::vector<ItemId> kept;
  for (const ItemId item : items) {
    check_row(vectors.items, item, "item", name);
    if (has_vector(vectors.items, item)) kept.push_back(item);
  }
  return kept;
}

NetScorer::NetScorer(const ScenarioNet& net, const FrozenVectors& vectors, std::vector<float> theta)
    : net_(&net), vectors_(&vectors), theta_(std::move(theta)) {}

Matrix NetScorer::score(std::span<const UserId> users, std::span<const ItemId> items) const {
  return net_->score(theta_.data(), gather_rows(vectors_->users, users, "user"),
                     gather_rows(vectors_->items, items, "item"));
}

ModelState NetScorer::state() const {
  ModelState state;
  for (const Tensor& tensor : net_->tensors()) {
    NamedTensor named{"theta/" + tensor.name, {static_cast<std::int64_t>(tensor.out)}, {}};
    if (tensor.in > 0) named.shape.push_back(static_cast<std::int64_t>(tensor.in));
    const auto first = theta_.begin() + static_cast<std::ptrdiff_t>(tensor.begin);
    named.values.assign(first, first + static_cast<std::ptrdiff_t>(tensor.size()));
    state.push_back(std::move(named));
  }
  return state;
}

std::unique_ptr<ScenarioScorer> adapt_scenario(const Learner& learner, std::span<const float> omega,
                                               const Controllers& controllers,
                                               const FrozenVectors& vectors,
                                               const Scenario& scenario, const Rng& rng,
                                               AdaptRecord* record) {
  const auto start = std::chrono::steady_clock::now();
  const auto support = pairs_with_vectors(vectors, scenario.support, scenario.name);
  const auto candidates = items_with_vectors(vectors, scenario.candidates, scenario.name);
  if (support.empty()) {
    throw Error(Kind::kBadInput,
                fmt::format("none of {} support pairs has a user and an item with a vector",
                            scenario.support.size()),
                scenario.name, "give pairs of users known from the source");
  }
  if (candidates.size() < 2) {
    throw Error(Kind::kBadInput,
                fmt::format("{} of {} candidates have a vector; learning needs two",
                            candidates.size(), scenario.candidates.size()),
                scenario.name);
  }
  InnerRun::Watch watch;
  if (record != nullptr && record->on_step) {
    watch = [&](std::size_t step, const std::vector<float>& theta) {
      record->on_step(step, NetScorer(learner.net, vectors, theta));
    };
  }
  InnerRun run(learner);
  Rng draws = rng.fork("s2meta");
  run.forward(omega, controllers, {&vectors, support, candidates, nullptr}, draws, false, watch);
  if (!run.began()) {
    throw Error(Kind::kBadInput, "the loss before the first step is not a number", scenario.name,
                "look for NaN or huge values among the users' and items' vectors");
  }
  if (run.broke()) {
    log_warning("{}: the loss is not a number after step {}; that step is taken back",
                scenario.name, run.steps().size() + 1);
  }
  if (record != nullptr) {
    fill_record(learner, run, *record);
    record->seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return std::make_unique<NetScorer>(learner.net, vectors, run.theta());
}

}  // namespace kindling::s2meta
