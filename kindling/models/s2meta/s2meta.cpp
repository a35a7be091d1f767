// s2Meta: a meta learner that starts, updates and stops the training of a small recommender for
// each new scenario.
//
// Source: Du, Wang, Yang, Zhou, Tang, "Sequential Scenario-Specific Meta Learner for Online
//         Recommendation", KDD 2019, and its code (THUDM/ScenarioMeta); specs/s2meta.md.
// Differs: the schedule follows validation, not test [S13]; all 16 forget-gate biases start at 1,
//          which the code meant [S9]; ties get their expected rank [S14]. Where paper and code
//          disagree the code is the default and every choice an option: docs/decisions/s2meta.md.
//
//   episode -> support [64], query [128]
//   θ = ω_R [K]  ->  (loss, g [K] -> stop? -> α, β [K] from LSTMs -> θ = βθ − αg) × at most 20
//   query loss at θ  ->  gradient of ω = [ω_R, ω_u, ω_s]  ->  Adam
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/few_shot.h"
#include "kindling/models/s2meta/adapt.h"
#include "kindling/models/s2meta/training.h"

namespace kindling::s2meta {

namespace {

// A recommender that was saved: it has its own network, whether or not there is a learner.
class RestoredScorer : public ScenarioScorer {
 public:
  RestoredScorer(ScenarioNet net, const FrozenVectors& vectors, std::vector<float> theta)
      : net_(std::move(net)), scorer_(net_, vectors, std::move(theta)) {}
  RestoredScorer(const RestoredScorer&) = delete;
  RestoredScorer& operator=(const RestoredScorer&) = delete;

  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    return scorer_.score(users, items);
  }
  ModelState state() const override { return scorer_.state(); }

 private:
  ScenarioNet net_;
  NetScorer scorer_;  // points to net_
};

class S2Meta : public FewShotModel {
 public:
  explicit S2Meta(const Options& options) : options_(options) {}

  void fit(const FewShotTask& task, FitContext& context) override {
    const std::size_t dim = task.vectors->dim();
    if (dim == 0 || dim != task.vectors->items.cols()) {
      throw Error(Kind::kBadInput,
                  fmt::format("user vectors have {} columns, item vectors {}", dim,
                              task.vectors->items.cols()),
                  "frozen vectors");
    }
    learner_.emplace(options_, dim);
    TrainedLearner trained = train_learner(*learner_, task, context);
    details_ = std::move(trained.details);
    set_omega(std::move(trained.omega));
  }

  std::unique_ptr<ScenarioScorer> adapt(const FewShotTask& task, const Scenario& scenario,
                                        const Rng& rng, AdaptRecord* record) const override {
    check_dim(*task.vectors);
    return adapt_scenario(*learner_, omega_, controllers_, *task.vectors, scenario, rng, record);
  }

  // RandInit has no ω_R: its start is drawn for each scenario.
  std::unique_ptr<ScenarioScorer> unadapted(const FewShotTask& task,
                                            const Scenario&) const override {
    check_dim(*task.vectors);
    if (!options_.learns_start()) return nullptr;
    const auto end = omega_.begin() + static_cast<std::ptrdiff_t>(learner_->net.size());
    return std::make_unique<NetScorer>(learner_->net, *task.vectors,
                                       std::vector<float>(omega_.begin(), end));
  }

  std::unique_ptr<ScenarioScorer> restore(const FrozenVectors& vectors,
                                          const ModelState& state) const override {
    if (vectors.dim() == 0 || vectors.items.cols() != vectors.dim()) {
      throw Error(Kind::kCorrupt, "the vectors of users and items differ in width", "s2meta");
    }
    ScenarioNet net(options_.network, vectors.dim());
    std::vector<float> theta;
    for (const Tensor& tensor : net.tensors()) {
      const NamedTensor& saved = find_tensor(state, "theta/" + tensor.name, tensor.size());
      theta.insert(theta.end(), saved.values.begin(), saved.values.end());
    }
    return std::make_unique<RestoredScorer>(std::move(net), vectors, std::move(theta));
  }

  ModelState state() const override {
    const auto count = static_cast<std::int64_t>(omega_.size());
    return {{"omega", {count}, omega_}};
  }

  void load_state(const ModelState& state, const Json& details) override {
    const auto dim = json_get<std::int64_t>(details, "dim", "s2meta");
    if (dim < 1 || dim > 65'536) {
      throw Error(Kind::kCorrupt, fmt::format("vectors of {} dimensions", dim), "s2meta");
    }
    learner_.emplace(options_, static_cast<std::size_t>(dim));
    set_omega(find_tensor(state, "omega", learner_->size()).values);
    details_ = details;
  }

  Json details() const override {
    Json all = details_;
    all["dim"] = learner_->net.dim();
    all["parameters"] = {{"recommender", learner_->net.size()},
                         {"update_controllers", learner_->stop_begin() - learner_->net.size()},
                         {"stop_controller", learner_->stop.size()}};
    return all;
  }

 private:
  void set_omega(std::vector<float> omega) {
    omega_ = std::move(omega);
    controllers_ = learner_->pack(omega_);
  }

  static const NamedTensor& find_tensor(const ModelState& state, const std::string& name,
                                        std::size_t size) {
    for (const NamedTensor& tensor : state) {
      if (tensor.name != name) continue;
      if (tensor.values.size() == size) return tensor;
      throw Error(Kind::kCorrupt,
                  fmt::format("{} has {} values, expected {}", name, tensor.values.size(), size),
                  "s2meta");
    }
    throw Error(Kind::kCorrupt, fmt::format("there is no tensor {}", quote(name)), "s2meta");
  }

  void check_dim(const FrozenVectors& vectors) const {
    check(learner_.has_value(), "s2meta answers after fit() or load_state()");
    if (vectors.dim() == learner_->net.dim() && vectors.items.cols() == vectors.dim()) return;
    throw Error(Kind::kBadInput,
                fmt::format("the model wants vectors of {} dimensions, these have {}",
                            learner_->net.dim(), vectors.dim()),
                "frozen vectors");
  }

  Options options_;
  std::optional<Learner> learner_;
  std::vector<float> omega_;
  Controllers controllers_;
  Json details_ = Json::object();
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<S2Meta>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::s2meta
