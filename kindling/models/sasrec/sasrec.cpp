// SASRec: causal self-attention over the history; the state at the last event meets item vectors.
//
// Source: Kang & McAuley, Self-Attentive Sequential Recommendation, ICDM 2018; kang205/SASRec for
//         the structure (item vectors times √d, the residual branches carry the normalised values,
//         no projection behind the heads), its PyTorch port for the start of the weights.
// Differs: 3 blocks, 2 heads, d = 64, 100 events as RecGURU's comparison has it [B10]. Users come
//          in shuffled passes instead of random draws. Histories are packed, so that no padding is
//          attended or computed. `released` is that comparison's own leaky variant.
//
//   ids [N] -> item·√d + position -> (LN -> causal attention -> + -> LN -> FFN -> +) x3 -> LN
#include <optional>

#include "kindling/base/error.h"
#include "kindling/models/registry.h"
#include "kindling/models/sasrec/net.h"
#include "kindling/nn/tensors.h"

namespace kindling::sasrec {

namespace {

class SasRec : public IdSequenceModel {
 public:
  explicit SasRec(const Options& options) : IdSequenceModel("sasrec"), options_(options) {}

  Json details() const override {
    Json all = IdSequenceModel::details();
    all["options"]["negatives"] = options_.negatives;
    return all;
  }

 protected:
  std::shared_ptr<SequenceNet> build(std::int64_t items, const Rng& rng) const override {
    return std::make_shared<Net>(options_, items, rng);
  }
  SequenceTraining training() const override {
    return {options_.epochs, options_.batch_size, options_.validate_every, options_.patience, 0.0};
  }
  std::unique_ptr<train::Optimizer> optimizer(SequenceNet& net) const override {
    return make_adam(options_, net);
  }
  Json identity() const override {
    Options same = options_;
    same.epochs = 1;
    return options_to_json(same);
  }
  void add_query(std::span<const std::int64_t> history, PackedItems& batch) const override {
    batch.add(history, options_.length);
  }
  bool learns_from(std::span<const std::int64_t> history) const override {
    return history.size() >= 2;
  }

  Loss batch_loss(SequenceNet& net, std::span<const UserId> users, std::int64_t, train::Optimizer&,
                  const Rng& rng) override {
    TrainingBatch batch;
    PackedItems& inputs = batch.inputs;
    Rng draws = rng.fork("negatives");
    for (const UserId user : users) {
      const auto items = items_of(user);
      inputs.add(items.first(items.size() - 1), options_.length);
      const auto kept = static_cast<std::size_t>(inputs.offsets.back() -
                                                 inputs.offsets[inputs.offsets.size() - 2]);
      for (const std::int64_t target : items.last(kept)) {
        batch.candidates.push_back(target);
        for (std::int64_t k = 0; k < options_.negatives; ++k) {
          batch.candidates.push_back(negative_for(user, draws));
        }
      }
    }
    Rng masks = rng.fork("dropout");
    if (!rows_) rows_.emplace(static_cast<std::size_t>(item_count()));
    return {training_loss(dynamic_cast<Net&>(net), batch, *rows_, masks), inputs.steps()};
  }
  void after_backward(train::Optimizer& optimizer) override {
    rows_->hand_over("items", optimizer);
  }

 private:
  Options options_;
  std::optional<TableRows> rows_;  // what the running step reads
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) {
    if (name == "released") set_option(options, name, value);
  }
  if (options.released) options.negatives = 5;  // where none are given
  for (const auto& [name, value] : values) set_option(options, name, value);
  if (options.dim % options.heads != 0) {
    throw Error(Kind::kBadOption, "heads must divide dim", "heads");
  }
  return std::make_unique<SasRec>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::sasrec
