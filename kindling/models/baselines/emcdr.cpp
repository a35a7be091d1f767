// EMCDR: learn a map from source user vectors to target user vectors, then rank by dot products.
//
// Source: Man, Shen, Jin, Cheng, Cross-Domain Recommendation: An Embedding and Mapping Approach,
// IJCAI 2017; specs/baselines.md B, decision B7.
// Differs: the factors of both domains are the frozen vectors; a target user's vector is folded in
//          from the support pairs by BPR against frozen item vectors. One hidden layer of 2d, tanh.
//
//   e_u [d] -> 2d -> tanh -> d ~ t_u (squared error on support users);  score = g(e_u) · e_i
#include <algorithm>
#include <cmath>
#include <map>

#include "kindling/base/error.h"
#include "kindling/kernels/bpr_step.h"
#include "kindling/kernels/dot.h"
#include "kindling/models/dense.h"
#include "kindling/models/grid_search.h"

namespace kindling::emcdr {

namespace {

struct Options {
  double learning_rate = 0.01;
  std::int64_t steps = 100;
  bool grid = true;
  std::int64_t grid_scenarios = 0;
  std::int64_t fold_epochs = 30;
  double fold_rate = 0.05;

  template <class Visitor>
  void fields(Visitor& field) {
    field("learning_rate", learning_rate, kPositive, "Adam step size of the map [B7]");
    field("steps", steps, kPositive, "full-batch steps of the map [B7]");
    field("grid", grid, kAny,
          "choose learning_rate and steps on the meta-training scenarios, as the paper does [B7]");
    field("grid_scenarios", grid_scenarios, kNotNegative,
          "meta-training scenarios that the grid looks at; 0: all");
    field("fold_epochs", fold_epochs, kPositive,
          "passes over the support that fold in the target users [B7]");
    field("fold_rate", fold_rate, kPositive, "their Adagrad step size [B7]");
  }
};

const std::vector<GridAxis>& axes() {
  static const std::vector<GridAxis> kAxes = {{"learning_rate", {"0.1", "0.01", "0.001", "0.0001"}},
                                              {"steps", {"10", "100", "1000"}}};
  return kAxes;
}

class Map : public ScenarioScorer {
 public:
  Map(const FrozenVectors& vectors, Rng& rng)
      : vectors_(vectors),
        first_(vectors.dim(), 2 * vectors.dim()),
        second_(2 * vectors.dim(), vectors.dim()) {
    first_.init_uniform(rng);
    second_.init_uniform(rng);
  }

  // Mean squared error before the step.
  double step(const Matrix& users, const Matrix& targets, const AdamRates& rates, std::int64_t t) {
    const Matrix hidden = hidden_of(users);
    const Matrix mapped = second_.forward(hidden);
    Matrix dy(mapped.rows(), mapped.cols());
    const auto count = static_cast<float>(mapped.rows() * mapped.cols());
    double loss = 0.0;
    for (std::size_t i = 0; i < mapped.rows() * mapped.cols(); ++i) {
      const float error = mapped.data()[i] - targets.data()[i];
      loss += static_cast<double>(error) * error;
      dy.data()[i] = 2.0F * error / count;
    }
    Matrix dh = second_.backward(hidden, dy);
    for (std::size_t i = 0; i < dh.rows() * dh.cols(); ++i) {
      dh.data()[i] *= 1.0F - hidden.data()[i] * hidden.data()[i];
    }
    first_.backward(users, dh, false);
    first_.step(rates, t);
    second_.step(rates, t);
    return loss / static_cast<double>(count);
  }

  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    Matrix rows(users.size(), vectors_.dim());
    for (std::size_t u = 0; u < users.size(); ++u) {
      const auto row = vectors_.users.row(users[u]);
      std::copy(row.begin(), row.end(), rows.row(u).begin());
    }
    const Matrix mapped = second_.forward(hidden_of(rows));
    Matrix scores(users.size(), items.size());
    for (std::size_t u = 0; u < users.size(); ++u) {
      for (std::size_t c = 0; c < items.size(); ++c) {
        scores(u, c) =
            kernels::dot(mapped.row(u).data(), vectors_.items.row(items[c]).data(), vectors_.dim());
      }
    }
    return scores;
  }

  ModelState state() const override {
    ModelState state;
    first_.append_state("first", state);
    second_.append_state("second", state);
    return state;
  }

  void load(const ModelState& state) {
    const auto dim = static_cast<std::int64_t>(vectors_.dim());
    first_.weight.value = require_tensor(state, "first.weight", {2 * dim, dim}).values;
    first_.bias.value = require_tensor(state, "first.bias", {2 * dim}).values;
    second_.weight.value = require_tensor(state, "second.weight", {dim, 2 * dim}).values;
    second_.bias.value = require_tensor(state, "second.bias", {dim}).values;
  }

 private:
  Matrix hidden_of(const Matrix& users) const {
    Matrix hidden = first_.forward(users);
    for (std::size_t i = 0; i < hidden.rows() * hidden.cols(); ++i) {
      hidden.data()[i] = std::tanh(hidden.data()[i]);
    }
    return hidden;
  }

  const FrozenVectors& vectors_;
  Dense first_;
  Dense second_;
};

// Support users and the vectors that rank their items first.
struct Folded {
  Matrix source;
  Matrix target;
};

Folded fold_in(const FrozenVectors& vectors, const Scenario& scenario, const Options& options,
               Rng rng) {
  std::map<UserId, std::size_t> rows;
  for (const UserItem& pair : scenario.support) rows.emplace(pair.user, rows.size());
  const std::size_t dim = vectors.dim();
  Folded folded{Matrix(rows.size(), dim), Matrix(rows.size(), dim)};
  constexpr double kDeviation = 0.01;
  for (const auto& [user, row] : rows) {
    const auto from = vectors.users.row(user);
    std::copy(from.begin(), from.end(), folded.source.row(row).begin());
    for (float& value : folded.target.row(row)) {
      value = static_cast<float>(kDeviation * rng.normal());
    }
  }
  Matrix sums(rows.size(), dim);
  const ChosenItems chosen(scenario.support);
  std::vector<float> positive(dim);
  std::vector<float> negative(dim);
  const kernels::BprRates rates{static_cast<float>(options.fold_rate), 1e-5F};
  for (std::int64_t epoch = 0; epoch < options.fold_epochs; ++epoch) {
    for (const auto& [user, item] : scenario.support) {
      const ItemId other = scenario.candidates[rng.below(scenario.candidates.size())];
      if (chosen.has(user, other)) continue;
      // The step moves copies of the items: the frozen ones stay.
      const auto copy = [&](ItemId from, std::vector<float>& to) {
        const auto row = vectors.items.row(from);
        std::copy(row.begin(), row.end(), to.begin());
      };
      copy(item, positive);
      copy(other, negative);
      std::vector<float> unused(2 * dim, 0.0F);
      kernels::bpr_step(rates, dim, folded.target.row(rows[user]).data(),
                        sums.row(rows[user]).data(), positive.data(), unused.data(),
                        negative.data(), unused.data() + dim);
    }
  }
  return folded;
}

class Emcdr : public GridSearched<Options> {
 public:
  explicit Emcdr(const Options& options) : GridSearched(options, axes()) {}

  std::unique_ptr<ScenarioScorer> restore(const FrozenVectors& vectors,
                                          const ModelState& state) const override {
    Rng rng(0);
    auto map = std::make_unique<Map>(vectors, rng);
    map->load(state);
    return map;
  }

 protected:
  std::unique_ptr<ScenarioScorer> learn(const FewShotTask& task, const Scenario& scenario,
                                        const Options& options, const Rng& rng,
                                        AdaptRecord* record) const override {
    const Folded folded = fold_in(*task.vectors, scenario, options, rng.fork("fold"));
    Rng start = rng.fork("start");
    auto map = std::make_unique<Map>(*task.vectors, start);
    const AdamRates rates{.rate = static_cast<float>(options.learning_rate)};
    for (std::int64_t t = 1; t <= options.steps; ++t) {
      const double loss = map->step(folded.source, folded.target, rates, t);
      if (record != nullptr) record->steps.push_back({loss, 0.0, {}, {}});
    }
    return map;
  }
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Emcdr>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::emcdr
