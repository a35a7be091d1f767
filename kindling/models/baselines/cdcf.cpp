// CDCF: a factorisation machine that reads a user's source items as features.
//
// Source: Loni, Shi, Larson, Hanjalic, ECIR 2014; Rendle, libFM, 2012; specs/baselines.md B,
// decision B5.
//
//   y(x) = w0 + Σ w_f x_f + Σ_{f<g} <v_f, v_g> x_f x_g
//   x = [user : 1 ; scenario item : 1 ; each of the n source items of the user : 1/n]
//
// Positives (support and target-only) are 1, one sampled candidate a positive is 0; squared error
// by SGD. Only what depends on the item ranks: w_i + <v_i, v_u + mean v_source>. Differs: features
// never seen in training count 0 (libFM leaves their random start in the sum).
#include <algorithm>
#include <map>
#include <unordered_map>

#include "kindling/base/error.h"
#include "kindling/kernels/factorization_machine.h"
#include "kindling/models/grid_search.h"

namespace kindling::cdcf {

namespace {

struct Options {
  std::int64_t dim = 8;
  double learning_rate = 0.03;
  std::int64_t steps = 100;
  double deviation = 0.1;
  double l2 = 0.0;
  bool grid = true;
  std::int64_t grid_scenarios = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, between(1, 1024), "width of the factors [B5]");
    field("learning_rate", learning_rate, kPositive, "SGD step size [B5]");
    field("steps", steps, kPositive, "passes over the interactions [B5]");
    field("deviation", deviation, kPositive, "factors start as N(0, deviation²) [B5]");
    field("l2", l2, kNotNegative, "weight of the squared parameters (libFM's default: 0) [B5]");
    field("grid", grid, kAny,
          "choose dim, learning_rate and steps on the meta-training scenarios [B5]");
    field("grid_scenarios", grid_scenarios, kNotNegative,
          "meta-training scenarios that the grid looks at; 0: all");
  }
};

const std::vector<GridAxis>& axes() {
  static const std::vector<GridAxis> kAxes = {{"dim", {"8", "16", "32"}},
                                              {"learning_rate", {"0.1", "0.03", "0.001"}},
                                              {"steps", {"10", "100", "200"}}};
  return kAxes;
}

using Feature = kernels::FactorizationMachine::Feature;

class Machine : public ScenarioScorer {
 public:
  Machine(const ScenarioSet& set, const Scenario& scenario, const Options& options, Rng rng)
      : set_(set), dim_(static_cast<std::size_t>(options.dim)) {
    std::vector<UserItem> positives = set.target_only(scenario);
    positives.insert(positives.end(), scenario.support.begin(), scenario.support.end());
    for (const ItemId item : scenario.candidates) row_of(item_key(item));
    for (const auto& [user, item] : positives) add_user(user);
    machine_ = kernels::FactorizationMachine(rows_.size(), dim_);
    for (std::size_t i = 0; i < rows_.size() * dim_; ++i) {
      machine_.factors().data()[i] = static_cast<float>(options.deviation * rng.normal());
    }
    const ChosenItems chosen(positives);
    for (std::int64_t step = 0; step < options.steps; ++step) {
      shuffle(std::span(positives), rng);
      for (const auto& [user, item] : positives) {
        const ItemId other = scenario.candidates[rng.below(scenario.candidates.size())];
        learn(user, item, 1.0F, options);
        if (!chosen.has(user, other)) learn(user, other, 0.0F, options);
      }
    }
  }

  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    Matrix scores(users.size(), items.size());
    for (std::size_t u = 0; u < users.size(); ++u) {
      std::vector<float> sum(dim_, 0.0F);
      for (const Feature& feature : known_features(users[u])) add(feature, sum);
      for (std::size_t c = 0; c < items.size(); ++c) {
        const auto found = rows_.find(item_key(items[c]));
        if (found == rows_.end()) continue;
        double score = machine_.weight(found->second);
        for (std::size_t k = 0; k < dim_; ++k) {
          score += static_cast<double>(machine_.factors()(found->second, k)) * sum[k];
        }
        scores(u, c) = static_cast<float>(score);
      }
    }
    return scores;
  }

 private:
  static std::uint64_t user_key(UserId user) { return (std::uint64_t{1} << 40U) | user; }
  static std::uint64_t item_key(ItemId item) { return item; }

  std::uint32_t row_of(std::uint64_t key) {
    return rows_.emplace(key, static_cast<std::uint32_t>(rows_.size())).first->second;
  }

  void add_user(UserId user) {
    if (features_.contains(user)) return;
    std::vector<Feature> all = {{row_of(user_key(user)), 1.0F}};
    std::vector<ItemId> source = source_of(user);
    for (const ItemId item : source) {
      all.push_back({row_of(item_key(item)), 1.0F / static_cast<float>(source.size())});
    }
    features_.emplace(user, std::move(all));
  }

  std::vector<ItemId> source_of(UserId user) const {
    std::vector<ItemId> items;
    for (const Event& event : set_.world.history(user)) {
      if (event.item < set_.source_items) items.push_back(event.item);
    }
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    return items;
  }

  // Of a user who may be a stranger: only what training has seen.
  std::vector<Feature> known_features(UserId user) const {
    const auto seen = features_.find(user);
    if (seen != features_.end()) return seen->second;
    std::vector<Feature> all;
    const std::vector<ItemId> source = source_of(user);
    for (const ItemId item : source) {
      const auto found = rows_.find(item_key(item));
      if (found == rows_.end()) continue;
      all.push_back({found->second, 1.0F / static_cast<float>(source.size())});
    }
    return all;
  }

  void add(const Feature& feature, std::vector<float>& sum) const {
    const auto factors = machine_.factors().row(feature.row);
    for (std::size_t k = 0; k < dim_; ++k) sum[k] += feature.value * factors[k];
  }

  void learn(UserId user, ItemId item, float wanted, const Options& options) {
    std::vector<Feature>& x = features_.at(user);
    x.push_back({rows_.at(item_key(item)), 1.0F});
    machine_.step(x, wanted,
                  {.learning_rate = static_cast<float>(options.learning_rate),
                   .l2 = static_cast<float>(options.l2)});
    x.pop_back();
  }

  const ScenarioSet& set_;
  std::size_t dim_;
  std::unordered_map<std::uint64_t, std::uint32_t> rows_;
  std::unordered_map<UserId, std::vector<Feature>> features_;
  kernels::FactorizationMachine machine_{0, 0};
};

class Cdcf : public GridSearched<Options> {
 public:
  explicit Cdcf(const Options& options) : GridSearched(options, axes()) {}

 protected:
  std::unique_ptr<ScenarioScorer> learn(const FewShotTask& task, const Scenario& scenario,
                                        const Options& options, const Rng& rng,
                                        AdaptRecord*) const override {
    return std::make_unique<Machine>(*task.scenarios, scenario, options, rng);
  }
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Cdcf>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::cdcf
