// POP: the items with the most interactions in the target's training part.
//
// Source: ZESRec, table 1; specs/baselines.md section A. Items without any: 0; ties share their
// rank. An oracle among zero-shot models: it has seen the target's interactions.
#include "kindling/models/item_prior.h"
#include "kindling/models/registry.h"

namespace kindling::pop {

namespace {

struct Options {
  template <class Visitor>
  void fields(Visitor&) {}
};

class Pop : public ItemPrior {
 public:
  Pop() : ItemPrior("pop") {}

 protected:
  std::vector<float> learn(const Dataset& train) const override {
    std::vector<float> counts(train.item_count(), 0.0F);
    for (const Event& event : train.events()) counts[event.item] += 1.0F;
    return counts;
  }
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Pop>();
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::pop
