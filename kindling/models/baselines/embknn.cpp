// Emb-kNN: the items whose text vectors are nearest to those of the history. No training at all.
//
// Source: ZESRec, table 1: u = mean of x_j over the previous items, score = u.x_j on raw vectors;
//         specs/baselines.md section A. An empty history gets the mean of all x_j [B1].
// Differs (options, off by default): unit-length vectors; whitened vectors, fully or partly, with
//         the items of the domain that is served (they are there on day 0); history = last, the
//         last item alone; history = recency, weights 0.5^age over the last few events, after the
//         same group's later package (specs/baselines.md A).
#include <algorithm>
#include <mutex>

#include "kindling/models/registry.h"
#include "kindling/models/vectors.h"
#include "kindling/text/whitening.h"

namespace kindling::embknn {

namespace {

struct Options {
  std::string vectors = "raw";
  double exponent = 1.0;
  std::string history = "mean";
  double decay = 0.5;
  std::int64_t window = 4;

  template <class Visitor>
  void fields(Visitor& field) {
    field("vectors", vectors, one_of({"raw", "cosine", "whiten", "whiten-cosine"}),
          "raw as in the paper, unit length, whitened, or whitened to unit length");
    field("exponent", exponent, kUnit, "vectors=whiten…: 1 whitens fully, below 1 partly");
    field("history", history, one_of({"mean", "last", "recency"}),
          "user vector: mean of the history, its last item, or weights decay^age");
    field("decay", decay, kUnit, "history=recency: weight of an event relative to the next one");
    field("window", window, kNotNegative, "history=recency: events used; 0 for all");
  }
};

// The vectors of a domain as the options want them, and their mean.
struct Prepared {
  Matrix values;
  std::vector<float> mean;
};

class EmbKnn : public VectorRecommender {
 public:
  explicit EmbKnn(Options options) : options_(std::move(options)) {}

  void fit(const TrainTask&, FitContext&) override {}

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return score_by_vectors(*this, domain, queries, candidates);
  }

  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override {
    const auto items = prepared(domain);
    Matrix users(queries.size(), items->values.cols());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      set_user(*items, queries[q].history, users.row(q));
    }
    return users;
  }

  Matrix item_vectors(const Domain& domain) const override { return prepared(domain)->values; }

  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json&) override {}

 private:
  void set_user(const Prepared& items, std::span<const Event> history,
                std::span<float> user) const {
    if (history.empty()) {
      std::copy(items.mean.begin(), items.mean.end(), user.begin());
      return;
    }
    std::size_t used = history.size();
    if (options_.history == "last") used = 1;
    if (options_.history == "recency" && options_.window > 0) {
      used = std::min(used, static_cast<std::size_t>(options_.window));
    }
    std::vector<double> sum(user.size(), 0.0);
    double weights = 0.0;
    double weight = 1.0;
    for (std::size_t age = 0; age < used; ++age) {
      const auto row = items.values.row(history[history.size() - 1 - age].item);
      for (std::size_t i = 0; i < row.size(); ++i) sum[i] += weight * double{row[i]};
      weights += weight;
      if (options_.history == "recency") weight *= options_.decay;
    }
    for (std::size_t i = 0; i < user.size(); ++i) user[i] = static_cast<float>(sum[i] / weights);
  }

  Prepared prepare(const ItemVectors& vectors) const {
    Prepared result{vectors.values, std::vector<float>(vectors.dim(), 0.0F)};
    const bool whiten = options_.vectors.starts_with("whiten") && vectors.items() > 0;
    if (whiten) result.values = Whitening(vectors.values, options_.exponent).apply(vectors.values);
    if (options_.vectors.ends_with("cosine")) normalise_rows(result.values);
    std::vector<double> sum(vectors.dim(), 0.0);
    for (std::size_t j = 0; j < result.values.rows(); ++j) {
      const auto row = result.values.row(j);
      for (std::size_t i = 0; i < row.size(); ++i) sum[i] += double{row[i]};
    }
    const double items = std::max<double>(1.0, static_cast<double>(result.values.rows()));
    for (std::size_t i = 0; i < sum.size(); ++i)
      result.mean[i] = static_cast<float>(sum[i] / items);
    // Whitened vectors have mean 0; what rounding leaves of it must not rank anything.
    if (whiten && options_.vectors == "whiten") result.mean.assign(vectors.dim(), 0.0F);
    return result;
  }

  // What a matrix is known by between calls: its place, shape and a sample of its values, so that
  // another matrix at the same address is not taken for it.
  struct Key {
    const float* data = nullptr;
    std::size_t items = 0;
    std::size_t dim = 0;
    std::string fingerprint;
    double sample = 0.0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  static Key key_of(const ItemVectors& vectors) {
    constexpr std::size_t kSamples = 4096;
    const std::size_t count = vectors.items() * vectors.dim();
    const std::size_t step = std::max<std::size_t>(1, count / kSamples);
    double sample = 0.0;
    for (std::size_t i = 0; i < count; i += step) {
      sample = sample * 1.0000001 + double{vectors.values.data()[i]};
    }
    return {vectors.values.data(), vectors.items(), vectors.dim(), vectors.fingerprint, sample};
  }

  // Kept between calls: serving asks for one user at a time.
  std::shared_ptr<const Prepared> prepared(const Domain& domain) const {
    const ItemVectors& vectors = require_vectors(domain, "embknn");
    const Key key = key_of(vectors);
    const std::lock_guard<std::mutex> hold(guard_);
    if (!cache_ || !(key == key_)) {
      cache_ = std::make_shared<const Prepared>(prepare(vectors));
      key_ = key;
    }
    return cache_;
  }

  Options options_;
  mutable std::mutex guard_;
  mutable Key key_;
  mutable std::shared_ptr<const Prepared> cache_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<EmbKnn>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::embknn
