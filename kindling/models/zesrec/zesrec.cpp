// ZESRec: a sequence model over text vectors, trained on one domain, used unchanged on another.
//
// Source: Ding, Deoras, Wang, Wang, "Zero-Shot Recommender Systems"; no code by the authors is
//         public. specs/zesrec.md lists where the paper is silent (Z1–Z23);
//         docs/decisions/README.md says which option each is.
// Differs: item vectors are divided by their mean norm [Z22]: with raw ones training fails.
//
//   text vectors of the domain -> W x + b -> item vectors -> f_seq over the history -> user vector
//   score(user, item) = user vector · item vector; offsets of the source are dropped [MAP]
#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "kindling/models/vectors.h"
#include "kindling/models/zesrec/core.h"
#include "kindling/nn/tensors.h"

namespace kindling::zesrec {

namespace {

torch::Tensor candidate_index(std::span<const ItemId> candidates, std::int64_t items) {
  std::vector<std::int64_t> index(candidates.begin(), candidates.end());
  for (const std::int64_t item : index) {
    if (item >= items) {
      throw Error(Kind::kBadInput, fmt::format("candidate {}, the domain has {}", item, items));
    }
  }
  return nn::index_tensor(index, torch::kCPU);
}

// Log of the mean softmax probability over draws of all item vectors (and users, general bound).
class MonteCarloModel : public Recommender {
 public:
  explicit MonteCarloModel(const Options& options) : core_(options, {}) {}

  void fit(const TrainTask& task, FitContext& context) override { core_.fit(task, context); }
  ModelState state() const override { return core_.state(); }
  void load_state(const ModelState& state, const Json& details) override {
    core_.load_state(state, details);
  }
  Json details() const override { return core_.details(); }

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    const torch::NoGradGuard no_grad;
    const auto prepared = core_.prepare(domain);
    const torch::Tensor index = candidate_index(candidates, prepared->means.size(0));
    torch::Tensor mean;  // log of the sum of probabilities so far
    for (std::int64_t s = 0; s < core_.options().samples; ++s) {
      const Rng rng = core_.sample_stream().fork("sample", static_cast<std::uint64_t>(s));
      const torch::Tensor v = items_of_sample(prepared, s, rng);
      const torch::Tensor u = core_.users(domain, queries, v, true, rng);
      const torch::Tensor log_probability = u.mm(v.t()).log_softmax(1).index_select(1, index);
      mean = mean.defined() ? torch::logaddexp(mean, log_probability) : log_probability;
    }
    return nn::to_matrix(mean - std::log(static_cast<double>(core_.options().samples)));
  }

 private:
  // The same items are drawn for every block of queries: kept for the domain asked last, unless
  // that takes more than kMostKept floats.
  torch::Tensor items_of_sample(const std::shared_ptr<const Core::Prepared>& prepared,
                                std::int64_t s, const Rng& rng) const {
    const auto draw = [&] { return core_.net().item_draw(prepared->x, rng); };
    if (core_.options().samples * prepared->means.numel() > kMostKept) return draw();
    const std::lock_guard<std::mutex> hold(guard_);
    if (drawn_for_ != prepared) {
      drawn_for_ = prepared;
      drawn_.assign(static_cast<std::size_t>(core_.options().samples), torch::Tensor());
    }
    torch::Tensor& kept = drawn_[static_cast<std::size_t>(s)];
    if (!kept.defined()) kept = draw();
    return kept;
  }

  static constexpr std::int64_t kMostKept = 256'000'000;  // 1 GB
  Core core_;
  mutable std::mutex guard_;
  mutable std::shared_ptr<const Core::Prepared> drawn_for_;
  mutable std::vector<torch::Tensor> drawn_;  // [samples] of [items, D]
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  if (options.inference == "mc") return std::make_unique<MonteCarloModel>(options);
  return make_point_model(options, {});
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::zesrec
