// NeuMF: matrix factorisation beside a small network, one model on all scenarios pooled.
//
// Source: He et al., Neural Collaborative Filtering, WWW 2017; hexiangnan/
// neural_collaborative_filtering; specs/baselines.md B, decisions B3, B4.
//
//   user, item -> tables [8 + 32] -> [p∘q (8) ; MLP([64]) -> 32 -> 16 -> 8, relu] -> 1 -> sigmoid
//
// Learns from the source, the meta-train pairs, and the supports and target-only users of the
// others, never from a pair that is asked somewhere; log loss, `negatives` uniform items a
// positive, drawn anew each epoch, never one of the user's. Pre-training: both halves alone by
// Adam, then together by SGD from half of each output. Differs: Adam touches a table's row only
// when a batch holds it (the official dense Adam moves all
//          rows each batch); tables "frozen" project the given vectors instead [B4].
#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_map>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/models/baselines/neumf_net.h"
#include "kindling/models/few_shot.h"

namespace kindling::neumf {

namespace {

struct Options {
  std::int64_t epochs = 20;
  double learning_rate = 0.001;
  std::int64_t batch = 256;
  std::int64_t negatives = 4;
  bool pretrain = false;
  std::string tuned_by = "sgd";
  std::string tables = "learnt";

  template <class Visitor>
  void fields(Visitor& field) {
    field("epochs", epochs, kPositive, "passes over the interactions, of each phase");
    field("learning_rate", learning_rate, kPositive, "step size of Adam and SGD");
    field("batch", batch, between(1, 65536), "examples of a step");
    field("negatives", negatives, between(1, 100), "sampled items for each positive");
    field("pretrain", pretrain, kAny, "train both halves alone first [B3]");
    field("tuned_by", tuned_by, one_of({"sgd", "adam"}), "optimiser after pre-training [B3]");
    field("tables", tables, one_of({"learnt", "frozen"}),
          "vectors of users and items: learnt, or the frozen ones through a linear layer [B4]");
  }
};

bool pair_before(const UserItem& a, const UserItem& b) {
  return a.user != b.user ? a.user < b.user : a.item < b.item;
}

// What NeuMF may learn from, each pair once. One model of all scenarios: an item of two of them may
// be support here and asked of the same user there, and what is asked is not learnt.
std::vector<UserItem> positives_of(const ScenarioSet& set) {
  std::vector<UserItem> pairs;
  for (UserId user = 0; user < set.world.user_count(); ++user) {
    for (const Event& event : set.world.history(user)) pairs.push_back({user, event.item});
  }
  const auto add = [&](const std::vector<UserItem>& more) {
    pairs.insert(pairs.end(), more.begin(), more.end());
  };
  for (const Scenario& task : set.meta_train) add(task.pairs);
  for (const Scenario& task : set.validation) add(task.support);
  for (const Scenario& task : set.meta_test) add(task.support);
  std::vector<UserItem> asked;
  for (const auto* tasks : {&set.validation, &set.meta_test}) {
    for (const Scenario& task : *tasks) {
      asked.insert(asked.end(), task.evaluation.begin(), task.evaluation.end());
    }
  }
  std::sort(asked.begin(), asked.end(), pair_before);
  std::sort(pairs.begin(), pairs.end(), pair_before);
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  std::vector<UserItem> allowed;
  std::set_difference(pairs.begin(), pairs.end(), asked.begin(), asked.end(),
                      std::back_inserter(allowed), pair_before);
  return allowed;
}

class Scorer : public ScenarioScorer {
 public:
  Scorer(const Net& net, const FrozenVectors& vectors) : net_(net), vectors_(vectors) {}
  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    Matrix scores(users.size(), items.size());
    Net::Trace trace;
    for (std::size_t u = 0; u < users.size(); ++u) {
      const std::vector<UserId> same(items.size(), users[u]);
      const auto row = net_.logits(vectors_, same, items, Half::kBoth, trace);
      std::copy(row.begin(), row.end(), scores.row(u).begin());
    }
    return scores;
  }

 private:
  const Net& net_;
  const FrozenVectors& vectors_;
};

class Neumf : public FewShotModel {
 public:
  explicit Neumf(const Options& options) : options_(options) {}

  void fit(const FewShotTask& task, FitContext& context) override {
    const Rng rng = Rng(context.seed).fork("neumf");
    Rng start = rng.fork("start");
    const Dataset& world = task.scenarios->world;
    const bool frozen = options_.tables == "frozen";
    net_ = std::make_unique<Net>(world.user_count(), world.item_count(),
                                 frozen ? task.vectors->dim() : 0);
    net_->init(start);
    const auto pairs = positives_of(*task.scenarios);
    if (options_.pretrain) {
      train(pairs, task, Half::kFactors, true, rng.fork("factors"), context);
      const float bias = net_->bias();
      net_->set_bias(0.0F);
      train(pairs, task, Half::kTower, true, rng.fork("tower"), context);
      net_->halve_heads(0.5F * (bias + net_->bias()));
    }
    const bool adam = !options_.pretrain || options_.tuned_by == "adam";
    train(pairs, task, Half::kBoth, adam, rng.fork("both"), context);
    details_ = {{"positives", pairs.size()}};
  }

  std::unique_ptr<ScenarioScorer> adapt(const FewShotTask& task, const Scenario&, const Rng&,
                                        AdaptRecord*) const override {
    check(net_ != nullptr, "adapt() before fit()");
    return std::make_unique<Scorer>(*net_, *task.vectors);
  }

  ModelState state() const override {
    ModelState state;
    if (net_ != nullptr) net_->append_state(state);
    return state;
  }
  void load_state(const ModelState& state, const Json& details) override {
    net_ = std::make_unique<Net>(Net::sized_like(state));
    net_->load(state);
    details_ = details;
  }
  Json details() const override { return details_; }

 private:
  void train(std::vector<UserItem> pairs, const FewShotTask& task, Half half, bool adam, Rng rng,
             FitContext& context) {
    const ChosenItems known(pairs);
    const auto items = task.scenarios->world.item_count();
    const auto size = static_cast<std::size_t>(options_.batch);
    net_->forget_moments();
    std::int64_t t = 0;
    Progress progress("neumf", static_cast<std::uint64_t>(options_.epochs));
    for (std::int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      shuffle(std::span(pairs), rng);
      Batch batch;
      double loss = 0.0;
      std::int64_t steps = 0;
      const auto flush = [&] {
        if (batch.labels.empty()) return;
        loss += net_->learn(*task.vectors, batch, half, static_cast<float>(options_.learning_rate),
                            adam, ++t);
        ++steps;
        batch = {};
      };
      const auto add = [&](const UserItem& pair, float label) {
        batch.users.push_back(pair.user);
        batch.items.push_back(pair.item);
        batch.labels.push_back(label);
        if (batch.labels.size() == size) flush();
      };
      for (const UserItem& pair : pairs) {
        if (context.should_stop && context.should_stop()) throw Error(Kind::kIo, "interrupted");
        add(pair, 1.0F);
        for (std::int64_t n = 0; n < options_.negatives; ++n) {
          const UserItem other{pair.user, static_cast<ItemId>(rng.below(items))};
          if (!known.has(other.user, other.item)) add(other, 0.0F);
        }
      }
      flush();
      progress.step(1, fmt::format("loss {:.4f}", loss / static_cast<double>(steps)));
      if (context.out_of_time()) break;
    }
  }

  Options options_;
  std::unique_ptr<Net> net_;
  Json details_ = Json::object();
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Neumf>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::neumf
