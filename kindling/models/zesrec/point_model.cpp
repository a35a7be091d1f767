#include "kindling/models/zesrec/point_model.h"

#include "kindling/models/vectors.h"
#include "kindling/models/zesrec/core.h"
#include "kindling/nn/tensors.h"

namespace kindling::zesrec {

namespace {

// Point estimates: one vector an item and a user (vanilla, map, and the means of full).
class PointModel : public VectorRecommender {
 public:
  PointModel(const Options& options, const ModelRole& role) : core_(options, role) {}

  void fit(const TrainTask& task, FitContext& context) override { core_.fit(task, context); }
  ModelState state() const override { return core_.state(); }
  void load_state(const ModelState& state, const Json& details) override {
    core_.load_state(state, details);
  }
  Json details() const override { return core_.details(); }

  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override {
    const auto prepared = core_.prepare(domain);
    return nn::to_matrix(
        core_.users(domain, queries, prepared->means, false, core_.sample_stream()));
  }
  Matrix item_vectors(const Domain& domain) const override {
    return nn::to_matrix(core_.prepare(domain)->means);
  }
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return score_by_vectors(*this, domain, queries, candidates);
  }

 private:
  Core core_;
};

}  // namespace

std::unique_ptr<Recommender> make_point_model(const Options& options, const ModelRole& role) {
  return std::make_unique<PointModel>(options, role);
}

}  // namespace kindling::zesrec
