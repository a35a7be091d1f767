// DOML's scores against the formula at the head of doml.cpp, in double from the saved tensors.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/models/factors.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

using Vector = std::vector<double>;

constexpr int kItems = 9;
constexpr double kAlpha = 0.25;

// `users` users u0, u1, … who are in both shops, and `own` ones whose names begin with `prefix`.
Dataset shop(int users, const std::string& prefix, int own) {
  DatasetBuilder builder(false);
  for (int j = 0; j < kItems; ++j) builder.item("i" + std::to_string(j));
  for (int u = 0; u < users + own; ++u) {
    const std::string name = u < users ? "u" + std::to_string(u) : prefix + std::to_string(u);
    const UserId user = builder.user(name);
    for (int n = 0; n < 4; ++n) builder.add(user, static_cast<ItemId>((u * 3 + n * 2) % kItems), n);
  }
  return std::move(builder).build(prefix);
}

struct Saved {
  explicit Saved(const ModelState& state) {
    for (const NamedTensor& tensor : state) tensors[tensor.name] = tensor;
  }
  const NamedTensor& at(const std::string& name) const { return tensors.at(name); }
  Vector row(const std::string& name, std::size_t row) const {
    const NamedTensor& t = at(name);
    const auto width = static_cast<std::size_t>(t.shape[1]);
    const auto begin = t.values.begin() + static_cast<std::ptrdiff_t>(row * width);
    return {begin, begin + static_cast<std::ptrdiff_t>(width)};
  }
  // W x + b of a layer.
  Vector linear(const std::string& net, int layer, const Vector& x) const {
    const NamedTensor& bias = at("net." + net + ".b" + std::to_string(layer));
    Vector y(bias.values.begin(), bias.values.end());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Vector weights = row("net." + net + ".w" + std::to_string(layer), i);
      for (std::size_t k = 0; k < x.size(); ++k) y[i] += weights[k] * x[k];
    }
    return y;
  }
  double net(const std::string& name, const Vector& latent, const Vector& item) const {
    Vector x = latent;
    const Vector q = linear(name, 1, item);
    x.insert(x.end(), q.begin(), q.end());
    for (const int layer : {2, 3}) {
      x = linear(name, layer, x);
      for (double& value : x) value = std::max(value, 0.0);
    }
    return linear(name, 4, x)[0];
  }
  double score(std::size_t user, std::size_t item) const {
    const Vector q = row("items", item);
    const Vector latent = linear("target", 0, row("users", user));
    const double own = net("target", latent, q);
    if (row("shared", user)[0] == 0.0) return own;
    Vector mapped(latent.size(), 0.0);
    for (std::size_t i = 0; i < latent.size(); ++i) {
      const Vector weights = row("net.to_source", i);
      for (std::size_t k = 0; k < mapped.size(); ++k) mapped[k] += latent[i] * weights[k];
    }
    return (1.0 - kAlpha) * own + kAlpha * net("source", mapped, q);
  }
  std::map<std::string, NamedTensor> tensors;
};

TEST(Doml, ScoresAsItsFormulaSays) {
  const Dataset from = shop(12, "s", 5);
  const Dataset to = shop(12, "t", 6);
  const auto model = make_model("doml", {{"epochs", "3"},
                                         {"dim", "8"},
                                         {"hidden", "6"},
                                         {"net_epochs", "4"},
                                         {"net_learning_rate", "0.05"},
                                         {"alpha", std::to_string(kAlpha)}});
  TrainTask task;
  task.source = Domain{&from, nullptr};
  task.target_train = Domain{&to, nullptr};
  FitContext context;
  model->fit(task, context);
  const std::vector<Query> queries = {{{}, UserId{3}}, {{}, UserId{14}}};  // shared, not shared
  const std::vector<ItemId> candidates = {4, 0, 8};

  const Matrix scores = model->score({&to, nullptr}, queries, candidates);

  const Saved saved(model->state());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      EXPECT_NEAR(scores(q, c), saved.score(*queries[q].user, candidates[c]), 1e-5)
          << q << ' ' << c;
    }
  }
}

}  // namespace
}  // namespace kindling
