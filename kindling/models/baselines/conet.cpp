// CoNet: a tower for the scenario and one for the source, crossed at every layer.
//
// Source: Hu, Zhang, Yang, CIKM 2018; THUDM/ScenarioMeta's re-implementation; specs/baselines.md B,
// decision B8.
//
//   x_t = [e_u ; e_item], x_s = [e_u ; e_source item]                              [B, 2d]
//   x_t' = relu(W_t x_t + b_t + H x_s + b_h),  x_s' = relu(W_s x_s + b_s + H x_t + b_h)
//   one linear output per tower;  loss = BCE(t) + BCE(s) + lambda Σ|H|
//
// Every layer starts anew in each scenario. The source item beside a target example is one that the
// user has chosen with probability 1/(1+ratio), else one that he has not; at test one that he has
// chosen, or a zero vector.
// Differs: `steps` updates, where the authors' loop makes two more; the source item at test is
// drawn
//          once a user and scenario.
#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"
#include "kindling/models/baselines/conet_towers.h"
#include "kindling/models/grid_search.h"

namespace kindling::conet {

namespace {

struct Options {
  double learning_rate = 0.001;
  std::int64_t steps = 100;
  double cross_l1 = 0.01;
  std::int64_t first_layer = 64;
  std::int64_t layers = 4;
  std::int64_t negatives = 1;
  std::int64_t batch = 64;
  bool grid = true;
  std::int64_t grid_scenarios = 0;

  template <class Visitor>
  void fields(Visitor& field) {
    field("learning_rate", learning_rate, kPositive, "Adam step size [B8]");
    field("steps", steps, kPositive, "updates in a scenario [B8]");
    field("cross_l1", cross_l1, kNotNegative, "lambda: weight of the cross layers' size [B8]");
    field("first_layer", first_layer, between(2, 4096), "width of the first layer [B8]");
    field("layers", layers, between(1, 8), "layers, each half as wide as the one before [B8]");
    field("negatives", negatives, between(1, 100), "sampled candidates for each positive [B8]");
    field("batch", batch, kPositive, "positives of an update [B8]");
    field("grid", grid, kAny,
          "choose learning_rate, steps and cross_l1 on the meta-training scenarios [B8]");
    field("grid_scenarios", grid_scenarios, kNotNegative,
          "meta-training scenarios that the grid looks at; 0: all");
  }
};

const std::vector<GridAxis>& axes() {
  static const std::vector<GridAxis> kAxes = {{"learning_rate", {"0.01", "0.001"}},
                                              {"steps", {"10", "50", "100", "500"}},
                                              {"cross_l1", {"0.1", "0.01", "0.001"}}};
  return kAxes;
}

// The user's items of the source, ascending.
std::vector<ItemId> source_of(const ScenarioSet& set, UserId user) {
  std::vector<ItemId> items;
  for (const Event& event : set.world.history(user)) {
    if (event.item < set.source_items) items.push_back(event.item);
  }
  std::sort(items.begin(), items.end());
  return items;
}

void put(std::span<const float> from, std::span<float> to) {
  std::copy(from.begin(), from.end(), to.begin());
}

class Adapted : public ScenarioScorer {
 public:
  Adapted(const FewShotTask& task, const Options& options, const Rng& rng)
      : task_(task), rng_(rng.fork("test")), towers_(make_towers(task, options, rng)) {}

  void learn(const Scenario& scenario, const Options& options, Rng rng, AdaptRecord* record) {
    const std::size_t dim = task_.vectors->dim();
    const auto each = static_cast<std::size_t>(1 + options.negatives);
    const auto batch = static_cast<std::size_t>(options.batch);
    constexpr float kClip = 0.25F;
    const AdamRates rates{.rate = static_cast<float>(options.learning_rate), .clip = kClip};
    for (std::int64_t step = 1; step <= options.steps; ++step) {
      Matrix t(batch * each, 2 * dim);
      Matrix s(batch * each, 2 * dim);
      std::vector<float> t_labels(batch * each);
      std::vector<float> s_labels(batch * each);
      const auto order = permutation(scenario.support.size(), rng);
      for (std::size_t b = 0; b < batch; ++b) {
        // Without replacement as long as there are enough.
        const std::size_t at = batch <= order.size() ? order[b] : rng.below(order.size());
        const auto& [user, positive] = scenario.support[at];
        const auto chosen = source_of(*task_.scenarios, user);
        for (std::size_t k = 0; k < each; ++k) {
          const std::size_t row = b * each + k;
          ItemId item = positive;
          while (k > 0 && item == positive) {
            item = scenario.candidates[rng.below(scenario.candidates.size())];
          }
          t_labels[row] = k == 0 ? 1.0F : 0.0F;
          fill(user, task_.vectors->items.row(item), t.row(row));
          s_labels[row] = fill_source(user, chosen, options, rng, s.row(row));
        }
      }
      const double loss =
          towers_.gradient(std::move(t), std::move(s), t_labels, s_labels, options.cross_l1);
      towers_.step(rates, step);
      if (record != nullptr) record->steps.push_back({loss, 0.0, {}, {}});
    }
  }

  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    const std::size_t dim = task_.vectors->dim();
    Matrix scores(users.size(), items.size());
    for (std::size_t u = 0; u < users.size(); ++u) {
      Rng rng = rng_.fork("user", users[u]);
      const auto chosen = source_of(*task_.scenarios, users[u]);
      Matrix t(items.size(), 2 * dim);
      Matrix s(items.size(), 2 * dim);
      const std::size_t pick = chosen.empty() ? 0 : rng.below(chosen.size());
      for (std::size_t c = 0; c < items.size(); ++c) {
        fill(users[u], task_.vectors->items.row(items[c]), t.row(c));
        put(task_.vectors->users.row(users[u]), s.row(c).first(dim));
        if (!chosen.empty()) {
          put(task_.vectors->items.row(chosen[pick]), s.row(c).subspan(dim));
        }
      }
      const Matrix column = towers_.scores(std::move(t), std::move(s));
      for (std::size_t c = 0; c < items.size(); ++c) scores(u, c) = column(c, 0);
    }
    return scores;
  }

 private:
  static Towers make_towers(const FewShotTask& task, const Options& options, const Rng& rng) {
    Rng start = rng.fork("start");
    return {2 * task.vectors->dim(), static_cast<std::size_t>(options.first_layer),
            static_cast<std::size_t>(options.layers), start};
  }

  void fill(UserId user, std::span<const float> item, std::span<float> row) const {
    const std::size_t dim = task_.vectors->dim();
    put(task_.vectors->users.row(user), row.first(dim));
    put(item, row.subspan(dim));
  }

  // The label: 1 for an item that the user has chosen.
  float fill_source(UserId user, const std::vector<ItemId>& chosen, const Options& options,
                    Rng& rng, std::span<float> row) const {
    const bool positive =
        !chosen.empty() && rng.uniform() < 1.0 / static_cast<double>(1 + options.negatives);
    auto item = static_cast<ItemId>(rng.below(task_.scenarios->source_items));
    if (positive) {
      item = chosen[rng.below(chosen.size())];
    } else if (std::binary_search(chosen.begin(), chosen.end(), item)) {
      item = static_cast<ItemId>(rng.below(task_.scenarios->source_items));
    }
    fill(user, task_.vectors->items.row(item), row);
    return positive || std::binary_search(chosen.begin(), chosen.end(), item) ? 1.0F : 0.0F;
  }

  FewShotTask task_;
  Rng rng_;
  Towers towers_;
};

class Conet : public GridSearched<Options> {
 public:
  explicit Conet(const Options& options) : GridSearched(options, axes()) {}

 protected:
  std::unique_ptr<ScenarioScorer> learn(const FewShotTask& task, const Scenario& scenario,
                                        const Options& options, const Rng& rng,
                                        AdaptRecord* record) const override {
    auto adapted = std::make_unique<Adapted>(task, options, rng);
    adapted->learn(scenario, options, rng.fork("batches"), record);
    return adapted;
  }
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Conet>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::conet
