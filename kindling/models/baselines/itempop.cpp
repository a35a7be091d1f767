// ItemPop for scenarios: how often an item occurs in the support; every other item is 0.
//
// Source: Du et al., KDD 2019, 4.2; specs/baselines.md B. With 64 pairs and hundreds of items
// nearly all items tie, so that the treatment of ties decides its row [S14].
#include <map>

#include "kindling/base/error.h"
#include "kindling/models/few_shot.h"

namespace kindling::itempop {

namespace {

struct Options {
  template <class Visitor>
  void fields(Visitor&) {}
};

class Counts : public ScenarioScorer {
 public:
  explicit Counts(std::map<ItemId, float> counts) : counts_(std::move(counts)) {}

  Matrix score(std::span<const UserId> users, std::span<const ItemId> items) const override {
    Matrix scores(users.size(), items.size());
    for (std::size_t u = 0; u < users.size(); ++u) {
      for (std::size_t c = 0; c < items.size(); ++c) {
        const auto found = counts_.find(items[c]);
        scores(u, c) = found == counts_.end() ? 0.0F : found->second;
      }
    }
    return scores;
  }

 private:
  std::map<ItemId, float> counts_;
};

class ItemPop : public FewShotModel {
 public:
  void fit(const FewShotTask&, FitContext&) override {}

  std::unique_ptr<ScenarioScorer> adapt(const FewShotTask&, const Scenario& scenario, const Rng&,
                                        AdaptRecord*) const override {
    std::map<ItemId, float> counts;
    for (const UserItem& pair : scenario.support) counts[pair.item] += 1.0F;
    return std::make_unique<Counts>(std::move(counts));
  }

  ModelState state() const override { return {}; }
  void load_state(const ModelState&, const Json&) override {}
};

}  // namespace

std::unique_ptr<FewShotModel> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<ItemPop>();
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::itempop
