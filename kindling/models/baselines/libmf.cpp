// CMF as LIBMF fits it: one matrix users x (source items + scenario items), pairwise logistic loss.
//
// Source: Singh & Gordon, KDD 2008; Chin et al., LIBMF, 2015 ("-f 10"); specs/baselines.md B,
// decision B6. Shared users have one vector for both domains: that is all that CMF needs.
// Differs: `scope` scenario (the default) leaves out the source interactions of users who are not
// in
//          the scenario, which makes one fit a hundred times cheaper; `all` keeps them. Per-element
//          Adagrad instead of LIBMF's two sums a vector, in one thread.
#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "kindling/base/error.h"
#include "kindling/kernels/bpr_step.h"
#include "kindling/kernels/dot.h"
#include "kindling/models/grid_search.h"

namespace kindling::libmf {

namespace {

struct Options {
  std::int64_t dim = 8;
  double learning_rate = 0.1;
  std::int64_t steps = 100;
  double l2 = 0.1;
  std::string scope = "scenario";
  bool grid = true;
  std::int64_t grid_scenarios = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, between(1, 1024), "width of the factors [B6]");
    field("learning_rate", learning_rate, kPositive, "Adagrad step size [B6]");
    field("steps", steps, kPositive, "passes over the interactions [B6]");
    field("l2", l2, kNotNegative, "weight of the squared length (LIBMF's default) [B6]");
    field("scope", scope, one_of({"scenario", "all"}),
          "source interactions of the scenario's users only, or of all users [B6]");
    field("grid", grid, kAny,
          "choose dim, learning_rate and steps on the meta-training scenarios [B6]");
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

// Dense numbers for what occurs.
class Rows {
 public:
  std::uint32_t add(std::uint32_t id) {
    return places_.emplace(id, static_cast<std::uint32_t>(places_.size())).first->second;
  }
  // Past the end for strangers.
  std::uint32_t find(std::uint32_t id) const {
    const auto found = places_.find(id);
    return found == places_.end() ? static_cast<std::uint32_t>(places_.size()) : found->second;
  }
  std::size_t size() const { return places_.size(); }

 private:
  std::unordered_map<std::uint32_t, std::uint32_t> places_;
};

struct Interactions {
  Rows users;
  Rows items;
  std::vector<UserItem> pairs;              // rows
  std::vector<std::vector<ItemId>> chosen;  // sorted item rows of each user row

  void add(UserId user, ItemId item) {
    const UserItem pair{users.add(user), items.add(item)};
    pairs.push_back(pair);
    if (chosen.size() <= pair.user) chosen.resize(pair.user + 1);
    chosen[pair.user].push_back(pair.item);
  }
};

// Source + support + target-only; the evaluation's users bring their source interactions alone.
Interactions gather(const ScenarioSet& set, const Scenario& scenario, bool whole_source) {
  Interactions all;
  std::vector<bool> wanted(set.world.user_count(), whole_source);
  for (const auto* pairs : {&scenario.support, &scenario.evaluation}) {
    for (const UserItem& pair : *pairs) wanted[pair.user] = true;
  }
  const auto target_only = set.target_only(scenario);
  for (const UserItem& pair : target_only) wanted[pair.user] = true;
  for (UserId user = 0; user < set.world.user_count(); ++user) {
    if (!wanted[user]) continue;
    for (const Event& event : set.world.history(user)) {
      if (event.item < set.source_items) all.add(user, event.item);
    }
  }
  for (const auto& [user, item] : target_only) all.add(user, item);
  for (const auto& [user, item] : scenario.support) all.add(user, item);
  for (const ItemId item : scenario.candidates) all.items.add(item);
  for (auto& items : all.chosen) std::sort(items.begin(), items.end());
  return all;
}

class Factors : public ScenarioScorer {
 public:
  Factors(Interactions all, const Options& options, Rng rng)
      : data_(std::move(all)),
        users_(data_.users.size(), static_cast<std::size_t>(options.dim)),
        items_(data_.items.size(), users_.cols()) {
    // LIBMF's start: every coordinate at or above 0. What users have in common carries the items'
    // popularity from one user to the next.
    const double scale = 1.0 / std::sqrt(static_cast<double>(options.dim));
    for (Matrix* table : {&users_, &items_}) {
      for (std::size_t i = 0; i < table->rows() * table->cols(); ++i) {
        table->data()[i] = static_cast<float>(rng.uniform(0.0, scale));
      }
    }
    Matrix user_sums(users_.rows(), users_.cols(), 1.0F);
    Matrix item_sums(items_.rows(), items_.cols(), 1.0F);
    // The weight of the lengths is per interaction, as in LIBMF.
    const kernels::BprRates rates{static_cast<float>(options.learning_rate),
                                  static_cast<float>(options.l2)};
    for (std::int64_t step = 0; step < options.steps; ++step) {
      shuffle(std::span(data_.pairs), rng);
      for (const auto& [user, item] : data_.pairs) {
        const auto other = static_cast<ItemId>(rng.below(items_.rows()));
        const auto& own = data_.chosen[user];
        if (std::binary_search(own.begin(), own.end(), other)) continue;
        kernels::bpr_step(rates, users_.cols(), users_.row(user).data(), user_sums.row(user).data(),
                          items_.row(item).data(), item_sums.row(item).data(),
                          items_.row(other).data(), item_sums.row(other).data());
      }
    }
  }

  // A user without any interaction scores every item alike.
  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    Matrix scores(users.size(), items.size());
    for (std::size_t u = 0; u < users.size(); ++u) {
      const std::uint32_t user = data_.users.find(users[u]);
      if (user >= users_.rows()) continue;
      for (std::size_t c = 0; c < items.size(); ++c) {
        const std::uint32_t item = data_.items.find(items[c]);
        if (item >= items_.rows()) continue;
        scores(u, c) =
            kernels::dot(users_.row(user).data(), items_.row(item).data(), users_.cols());
      }
    }
    return scores;
  }

 private:
  Interactions data_;
  Matrix users_;
  Matrix items_;
};

class Libmf : public GridSearched<Options> {
 public:
  explicit Libmf(const Options& options) : GridSearched(options, axes()) {}

 protected:
  std::unique_ptr<ScenarioScorer> learn(const FewShotTask& task, const Scenario& scenario,
                                        const Options& options, const Rng& rng,
                                        AdaptRecord*) const override {
    return std::make_unique<Factors>(gather(*task.scenarios, scenario, options.scope == "all"),
                                     options, rng);
  }
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Libmf>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::libmf
