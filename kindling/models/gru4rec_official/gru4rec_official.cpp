// GRU4Rec by the recipe of its authors' code: session-parallel batches, shared negatives,
// cross-entropy or BPR-max, row-sparse Adagrad. An in-domain baseline beside the paper's gru4rec.
//
// Source: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016;
//         Hidasi & Karatzoglou, CIKM 2018; the official recipe (specs/baselines.md A, B2).
// Differs: one GRU layer; sessions come in random order each epoch; ties get their
//          expected rank here, the official evaluation counts them against the target.
//
//   slots of sessions -> trainer.h, one step of all slots at a time -> state h, table E, bias b
//   score(history, item) = h · E[item] + b[item]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/data/negatives.h"
#include "kindling/models/gru4rec_official/trainer.h"
#include "kindling/models/registry.h"
#include "kindling/models/vectors.h"

namespace kindling::gru4rec_official {

namespace {

// Walks through the sessions in parallel: slot b gives one (input, target) pair a step.
class SessionSlots {
 public:
  SessionSlots(const Dataset& data, std::int64_t slots, Rng rng) : data_(data) {
    for (const std::uint32_t user : permutation(data.user_count(), rng)) {
      if (data.history(user).size() > 1) sessions_.push_back(user);
    }
    for (std::int64_t b = 0; b < slots && next_ < sessions_.size(); ++b) {
      slots_.push_back({sessions_[next_++], 0});
    }
  }

  std::size_t rows() const { return slots_.size(); }
  void read(std::vector<std::int64_t>& inputs, std::vector<std::int64_t>& targets) const {
    inputs.clear();
    targets.clear();
    for (const Slot& slot : slots_) {
      const auto history = data_.history(slot.user);
      inputs.push_back(history[slot.at].item);
      targets.push_back(history[slot.at + 1].item);
    }
  }
  // One step on. Slots whose session ends take the next one; without one they go.
  void advance(Trainer& trainer) {
    std::vector<std::size_t> kept;
    for (std::size_t b = 0; b < slots_.size(); ++b) {
      Slot& slot = slots_[b];
      const bool goes_on = ++slot.at + 1 < data_.history(slot.user).size();
      if (!goes_on && next_ == sessions_.size()) continue;
      if (!goes_on) {
        slot = {sessions_[next_++], 0};
        trainer.reset_row(b);
      }
      kept.push_back(b);
    }
    if (kept.size() == slots_.size()) return;
    for (std::size_t b = 0; b < kept.size(); ++b) slots_[b] = slots_[kept[b]];
    slots_.resize(kept.size());
    trainer.keep_rows(kept);
  }

 private:
  struct Slot {
    UserId user;
    std::size_t at;
  };
  const Dataset& data_;
  std::vector<UserId> sessions_;
  std::size_t next_ = 0;
  std::vector<Slot> slots_;
};

class Gru4RecOfficial final : public VectorRecommender {
 public:
  explicit Gru4RecOfficial(Options options) : options_(std::move(options)) {}

  void fit(const TrainTask& task, FitContext& context) override {
    const Dataset& data = *require_target(task, "gru4rec_official").data;
    const Rng root = Rng(context.seed).fork("gru4rec_official");
    trainer_ = std::make_unique<Trainer>(options_, static_cast<std::int64_t>(data.item_count()),
                                         root.fork("weights"));
    counts_ = item_counts(data);
    const auto start = std::chrono::steady_clock::now();
    context.history.clear();
    for (std::int64_t epoch = 1; epoch <= options_.epochs; ++epoch) {
      const double loss =
          run_epoch(data, root.fork("epoch", static_cast<std::uint64_t>(epoch)), context);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      // The recipe has no validation: its epochs are fixed.
      context.history.push_back({.epoch = epoch,
                                 .train_loss = loss,
                                 .seconds = seconds.count(),
                                 .learning_rate = options_.learning_rate});
      if (context.on_epoch) context.on_epoch(context.history.back());
      if (context.max_seconds > 0 && seconds.count() > context.max_seconds) break;
    }
  }

  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override {
    check_domain(domain);
    std::vector<std::span<const Event>> histories;
    for (const Query& query : queries) histories.push_back(query.history);
    const Matrix states = trainer().states(histories);
    Matrix vectors(queries.size(), states.cols() + 1, 1.0F);  // the last column meets the bias
    for (std::size_t q = 0; q < queries.size(); ++q) {
      std::copy(states.row(q).begin(), states.row(q).end(), vectors.row(q).begin());
    }
    return vectors;
  }
  Matrix item_vectors(const Domain& domain) const override {
    check_domain(domain);
    const ModelState state = trainer().state();
    const auto d = static_cast<std::size_t>(options_.dim);
    const auto items = static_cast<std::size_t>(trainer().items());
    Matrix vectors(items, d + 1);
    for (std::size_t j = 0; j < items; ++j) {
      std::copy_n(state[0].values.begin() + static_cast<std::ptrdiff_t>(j * d), d,
                  vectors.row(j).begin());
      vectors(j, d) = state[1].values[j];
    }
    return vectors;
  }
  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return score_by_vectors(*this, domain, queries, candidates);
  }

  ModelState state() const override { return trainer().state(); }
  void load_state(const ModelState& state, const Json& details) override {
    const auto items = json_get<std::int64_t>(details, "items", "model details");
    if (items < 1 || items > 1'000'000'000) {
      throw Error(Kind::kCorrupt, fmt::format("items is {}", items), "model details");
    }
    for (const NamedTensor& tensor : state) {
      // Before memory is taken for as many items as the file says.
      if (tensor.name == "bias" && tensor.shape != std::vector<std::int64_t>{items}) {
        throw Error(Kind::kCorrupt, fmt::format("items is {}, the bias has another length", items));
      }
    }
    trainer_ = std::make_unique<Trainer>(options_, items, Rng(0));
    trainer_->load_state(state);
  }
  Json details() const override { return {{"items", trainer().items()}}; }

 private:
  const Trainer& trainer() const {
    check(trainer_ != nullptr, "gru4rec_official is used before fit()");
    return *trainer_;
  }

  void check_domain(const Domain& domain) const {
    require_items(domain, static_cast<std::size_t>(trainer().items()), "gru4rec_official");
  }

  // Log of the expected count of each column's item in the batch and among the negatives.
  void set_log_q(const NegativeSampler& sampler, std::span<const std::int64_t> targets,
                 const Negatives& negatives, std::vector<float>& log_q) const {
    log_q.clear();
    if (!(options_.log_q > 0.0) || options_.loss != "cross-entropy") return;
    for (const std::int64_t item : targets) {
      log_q.push_back(sampler.log_expected(static_cast<ItemId>(item), targets.size()));
    }
    log_q.insert(log_q.end(), negatives.log_expected.begin(), negatives.log_expected.end());
    for (float& value : log_q) value *= static_cast<float>(options_.log_q);
  }

  double run_epoch(const Dataset& data, const Rng& rng, const FitContext& context) {
    const NegativeSampler drawn(counts_, {.uniform_share = 0.0, .power = options_.negatives_power});
    const NegativeSampler in_batch(counts_, {.uniform_share = 0.0, .power = 1.0});
    SessionSlots slots(data, options_.batch_size, rng.fork("sessions"));
    if (slots.rows() == 0) {
      throw Error(Kind::kBadInput, "there is no user with two or more events", data.name,
                  "gru4rec_official learns from sequences");
    }
    trainer_->start(slots.rows());
    std::vector<std::int64_t> inputs, targets;
    std::vector<float> log_q;
    double loss = 0.0;
    double events = 0.0;
    for (std::uint64_t n = 0; slots.rows() > 0; ++n) {
      if (context.should_stop && context.should_stop()) {
        throw Error(Kind::kIo, "interrupted", {}, "gru4rec_official keeps no checkpoint");
      }
      const Rng stream = rng.fork("step", n);
      Rng draws = stream.fork("negatives");
      slots.read(inputs, targets);
      const Negatives negatives = drawn.draw(static_cast<std::size_t>(options_.negatives), draws);
      set_log_q(in_batch, targets, negatives, log_q);
      const double part = trainer_->step({inputs, targets, negatives.items, log_q}, stream);
      if (!std::isfinite(part)) {
        throw Error(Kind::kDiverged, fmt::format("training diverged: the loss is {}", part), {},
                    "lower learning_rate");
      }
      loss += part * static_cast<double>(options_.batch_size);
      events += static_cast<double>(slots.rows());
      slots.advance(*trainer_);
    }
    return loss / events;
  }

  Options options_;
  std::unique_ptr<Trainer> trainer_;
  std::vector<std::uint64_t> counts_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<Gru4RecOfficial>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::gru4rec_official
