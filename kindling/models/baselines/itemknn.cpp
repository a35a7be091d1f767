// Item-kNN: items that the same users took, weighed by how lately the asking user took them. The
// plain baseline of whoever has interactions: nothing is trained but counts.
//
// Source: Sarwar et al., Item-based Collaborative Filtering Recommendation Algorithms, WWW 2001;
//         Deshpande & Karypis, Item-based Top-N Recommendation Algorithms, TOIS 2004.
//
//   c(i, j)  users who have taken i and j; c(i, i): those who have taken i again
//   s(i, j)  c(i, j), or c(i, j) / (√(n_i n_j) + shrink), n_i: users who have taken i
//   score    sum over the history of decay^age · s(item, j); what the pairs leave level, and a user
//            without a history, is ranked by a trace of n_j
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"

namespace kindling::itemknn {

namespace {

constexpr double kTrace = 1e-6;  // of the largest n_j: below every sum of pairs

struct Options {
  std::string similarity = "cosine";
  double shrink = 100.0;
  double decay = 0.5;
  std::int64_t window = 0;
  std::int64_t length = 100;

  template <class Visitor>
  void fields(Visitor& field) {
    field("similarity", similarity, one_of({"cosine", "count"}),
          "common users over the square root of both items' users, or their number alone");
    field("shrink", shrink, kNotNegative,
          "similarity=cosine: added to the denominator, so that few common users say less");
    field("decay", decay, kUnit, "weight of an event of the history relative to the next one");
    field("window", window, kNotNegative, "last events of the history that count; 0: all");
    field("length", length, kNotNegative, "last events of a user that are learnt; 0: all");
  }
};

// One row an item: its neighbours in ascending order and the users they share.
struct Pairs {
  std::vector<std::size_t> offsets{0};
  std::vector<ItemId> items;
  std::vector<float> users;
};

class ItemKnn : public Recommender {
 public:
  explicit ItemKnn(const Options& options) : options_(options) {}

  void fit(const TrainTask& task, FitContext&) override {
    const Dataset& train = *require_target(task, "itemknn").data;
    taken_by_.assign(train.item_count(), 0.0F);
    // A pair is counted from its larger item, then mirrored.
    std::vector<std::vector<ItemId>> below(train.item_count());
    for (UserId user = 0; user < train.user_count(); ++user) add_user(train.history(user), below);
    count(below);
  }

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    const std::size_t items = taken_by_.size();
    require_items(domain, items, "itemknn");
    for (const ItemId item : candidates) check(item < items, "a candidate is an item");
    const std::vector<double> start = trace();
    Matrix scores(queries.size(), candidates.size());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      std::vector<double> sums = start;
      add_history(queries[q].history, sums);
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        scores(q, c) = static_cast<float>(sums[candidates[c]]);
      }
    }
    return scores;
  }

  ModelState state() const override {
    std::vector<float> rows, items;
    for (std::size_t i = 0; i < taken_by_.size(); ++i) {
      rows.push_back(static_cast<float>(pairs_.offsets[i + 1] - pairs_.offsets[i]));
    }
    for (const ItemId item : pairs_.items) items.push_back(static_cast<float>(item));
    const auto shape = [](const std::vector<float>& values) {
      return std::vector<std::int64_t>{static_cast<std::int64_t>(values.size())};
    };
    return {{"taken_by", shape(taken_by_), taken_by_},
            {"neighbours", shape(rows), rows},
            {"items", shape(items), items},
            {"users", shape(pairs_.users), pairs_.users}};
  }

  void load_state(const ModelState& state, const Json&) override {
    const auto values = [&](const char* name) -> const std::vector<float>& {
      for (const NamedTensor& tensor : state) {
        if (tensor.name == name) return tensor.values;
      }
      throw Error(Kind::kCorrupt, fmt::format("a model itemknn has a tensor {}", name));
    };
    taken_by_ = values("taken_by");
    pairs_ = Pairs{};
    pairs_.users = values("users");
    bool fits = values("neighbours").size() == taken_by_.size() &&
                values("items").size() == pairs_.users.size();
    const auto most = static_cast<float>(taken_by_.size());
    for (const float row : values("neighbours")) {
      fits = fits && row >= 0.0F && row <= most;
      pairs_.offsets.push_back(pairs_.offsets.back() + (fits ? static_cast<std::size_t>(row) : 0));
    }
    for (const float item : values("items")) {
      fits = fits && item >= 0.0F && item < most;
      pairs_.items.push_back(fits ? static_cast<ItemId>(item) : 0);
    }
    const auto is_count = [](float users) { return users >= 0.0F && std::isfinite(users); };
    fits = fits && pairs_.offsets.back() == pairs_.items.size() &&
           std::all_of(taken_by_.begin(), taken_by_.end(), is_count) &&
           std::all_of(pairs_.users.begin(), pairs_.users.end(), is_count);
    if (!fits) throw Error(Kind::kCorrupt, "the tensors of a model itemknn do not fit each other");
  }

 private:
  void add_user(std::span<const Event> history, std::vector<std::vector<ItemId>>& below) {
    if (options_.length > 0) {
      history = history.last(std::min(history.size(), static_cast<std::size_t>(options_.length)));
    }
    std::vector<ItemId> taken;
    for (const Event& event : history) taken.push_back(event.item);
    std::sort(taken.begin(), taken.end());
    for (std::size_t n = 0; n < taken.size(); ++n) {
      if (n > 0 && taken[n] == taken[n - 1]) {
        if (n == 1 || taken[n] != taken[n - 2]) below[taken[n]].push_back(taken[n]);
        continue;
      }
      taken_by_[taken[n]] += 1.0F;
      for (std::size_t m = 0; m < n; ++m) {
        if (m == 0 || taken[m] != taken[m - 1]) below[taken[n]].push_back(taken[m]);
      }
    }
  }

  void count(std::vector<std::vector<ItemId>>& below) {
    std::vector<std::vector<std::pair<ItemId, float>>> rows(below.size());
    for (ItemId item = 0; item < below.size(); ++item) {
      std::vector<ItemId>& partners = below[item];
      std::sort(partners.begin(), partners.end());
      for (std::size_t n = 0; n < partners.size();) {
        const std::size_t first = n;
        while (n < partners.size() && partners[n] == partners[first]) ++n;
        const auto users = static_cast<float>(n - first);
        rows[item].emplace_back(partners[first], users);
        if (partners[first] != item) rows[partners[first]].emplace_back(item, users);
      }
      partners = {};
    }
    pairs_ = Pairs{};
    for (auto& row : rows) {
      std::sort(row.begin(), row.end());
      for (const auto& [item, users] : row) {
        pairs_.items.push_back(item);
        pairs_.users.push_back(users);
      }
      pairs_.offsets.push_back(pairs_.items.size());
    }
  }

  std::vector<double> trace() const {
    std::vector<double> all(taken_by_.begin(), taken_by_.end());
    const double most = all.empty() ? 0.0 : *std::max_element(all.begin(), all.end());
    for (double& users : all) users *= most > 0.0 ? kTrace / most : 0.0;
    return all;
  }

  void add_history(std::span<const Event> history, std::vector<double>& sums) const {
    const std::size_t used =
        options_.window > 0 ? std::min(history.size(), static_cast<std::size_t>(options_.window))
                            : history.size();
    double weight = 1.0;
    for (std::size_t age = 0; age < used && weight > 0.0; ++age, weight *= options_.decay) {
      const ItemId item = history[history.size() - 1 - age].item;
      for (std::size_t n = pairs_.offsets[item]; n < pairs_.offsets[item + 1]; ++n) {
        sums[pairs_.items[n]] += weight * similarity(item, pairs_.items[n], pairs_.users[n]);
      }
    }
  }

  double similarity(ItemId a, ItemId b, float users) const {
    if (options_.similarity == "count") return double{users};
    return double{users} /
           (std::sqrt(double{taken_by_[a]} * double{taken_by_[b]}) + options_.shrink);
  }

  Options options_;
  std::vector<float> taken_by_;  // [J] users who have taken the item
  Pairs pairs_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<ItemKnn>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::itemknn
