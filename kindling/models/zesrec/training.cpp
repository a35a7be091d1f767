#include "kindling/models/zesrec/training.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/data/split.h"
#include "kindling/train/loop.h"

namespace kindling::zesrec {

namespace {

constexpr std::size_t kValidationUsers = 256;  // sequences a forward pass
constexpr std::int64_t kValidationRows = 512;  // rows of logits at a time

std::int64_t kept_events(const Dataset& data, UserId user, const SequenceOptions& options) {
  return std::min<std::int64_t>(static_cast<std::int64_t>(data.history(user).size()),
                                options.max_length);
}

// Everything that one training run needs, and the callbacks of the loop.
class Training {
 public:
  Training(Net& net, const torch::Tensor& items, const Domain& source, const Options& options,
           const ModelRole& role, const FitContext& context)
      : net_(net), data_(*source.data), options_(options), root_(Rng(context.seed).fork("zesrec")) {
    users_ = split_users(data_, options.validation_share, root_.fork("validation"));
    corpus_.items = items;
    corpus_.target_count.assign(data_.item_count(), 0);
    corpus_.tokens = 0;
    for (const UserId user : users_.train) {
      const auto kept = static_cast<std::size_t>(kept_events(data_, user, options.sequences));
      for (const Event& event : data_.history(user).last(kept)) {
        ++corpus_.target_count[event.item];
        ++corpus_.tokens;
      }
    }
    if (corpus_.tokens == 0) {
      throw Error(Kind::kBadInput,
                  fmt::format("the {} has no user with two or more events to learn from",
                              role.in_domain ? "target" : "source"),
                  data_.name,
                  role.name + " learns from sequences; check the import or use less filtering");
    }
    sampled_ = options.softmax == "sampled" ||
               (options.softmax == "auto" &&
                static_cast<std::int64_t>(data_.item_count()) > options.auto_softmax_items);
    if (sampled_) make_sampler();
    if (options.untrained_items == "keep") leave_out_untrained();
    net_.lazy = sampled_ && options.offsets != "dense";
    net_.make_offsets(static_cast<std::int64_t>(data_.item_count()), root_.fork("init"));
  }

  std::vector<train::Parameter> parameters() const {
    std::vector<train::Parameter> all;
    for (const auto& parameter : net_.named_parameters()) {
      all.push_back({parameter.key(), parameter.value()});
    }
    if (net_.offsets.defined()) {
      const double decay =
          net_.lazy ? 0.0 : options_.lambda_v / static_cast<double>(corpus_.tokens);
      all.push_back({"offsets", net_.offsets, decay});
    }
    return all;
  }

  std::int64_t begin_epoch(std::int64_t epoch) {
    plan_.emplace(data_, users_.train, options_.sequences,
                  root_.fork("epoch", static_cast<std::uint64_t>(epoch)));
    net_.train();
    return static_cast<std::int64_t>(plan_->groups());
  }

  void run_batch(std::int64_t epoch, std::int64_t batch, train::Optimizer& optimizer,
                 const train::Job::Step& step) {
    const Rng stream = root_.fork("step", static_cast<std::uint64_t>(epoch))
                           .fork("batch", static_cast<std::uint64_t>(batch));
    CarriedStates carried;
    const std::vector<SequenceBatch> windows = plan_->group(static_cast<std::size_t>(batch));
    for (std::size_t w = 0; w < windows.size(); ++w) {
      if (w > 0) continue_with(carried, windows[w].sequences());
      const Rng rng = stream.fork("window", w);
      std::optional<Negatives> negatives;
      if (sampled_) {
        Rng draws = rng.fork("negatives");
        negatives = sampler_->draw(static_cast<std::size_t>(options_.negatives), draws);
      }
      const Objective objective =
          net_.objective(windows[w], corpus_, negatives ? &*negatives : nullptr,
                         windows.size() > 1 ? &carried : nullptr, false, rng);
      objective.total.backward();
      if (net_.lazy && net_.lazy_offsets.defined()) {
        optimizer.add_rows("offsets", net_.lazy_rows, net_.lazy_offsets.grad());
      }
      step({objective.loss, objective.targets});
    }
  }

  train::Validation validate(double train_loss) {
    if (users_.validation.empty()) return {train_loss, 0.0};
    const torch::NoGradGuard no_grad;
    net_.eval();
    const torch::Tensor values = net_.item_means(corpus_.items, true);
    double loss = 0.0;
    double gain = 0.0;
    std::int64_t count = 0;
    const std::span<const UserId> users = users_.validation;
    for (std::size_t begin = 0; begin < users.size(); begin += kValidationUsers) {
      const auto part = users.subspan(begin, std::min(kValidationUsers, users.size() - begin));
      const SequenceBatch batch = make_batch(data_, part, options_.sequences);
      const torch::Tensor states =
          at_targets(net_.user_states(values, batch.inputs, batch, nullptr, false, root_), batch);
      add_ranks(states, values, batch.targets, loss, gain);
      count += std::ssize(batch.targets);
    }
    const auto n = static_cast<double>(std::max<std::int64_t>(count, 1));
    return {loss / n, gain / n};
  }

  std::string identity(const FitContext& context, const Domain& source) const {
    Options same = options_;
    same.epochs = 0;  // more epochs may be asked for when resuming
    Json facts;
    facts["options"] = options_to_json(same);
    // Younger than the checkpoints that lie about: at its default it is not part of the identity.
    if (!marks_sessions(same.sequences)) facts["options"].erase("dummy_per");
    facts["seed"] = context.seed;
    facts["data"] = data_.fingerprint();
    facts["vectors"] = source.vectors != nullptr ? source.vectors->fingerprint : "";
    facts["learning_rate"] = options_.learning_rate;
    if (options_.untrained_items != "learn") facts["untrained_items"] = options_.untrained_items;
    return sha256(facts.dump());
  }

  TrainingFacts facts(const train::LoopResult& result) const {
    const torch::NoGradGuard no_grad;
    TrainingFacts facts;
    facts.best_epoch = result.best_epoch;
    facts.best_loss = result.best_loss;
    facts.targets = corpus_.tokens;
    facts.sampled_softmax = sampled_;
    facts.penalty_per_token = options_.lambda_v / static_cast<double>(corpus_.tokens);
    if (net_.offsets.defined()) {
      const torch::Tensor means = net_.item_means(corpus_.items, false);
      const double size = means.norm(2, 1).mean().item<double>();
      const double offset = net_.offsets.norm(2, 1).mean().item<double>();
      facts.offset_ratio = size > 0 ? offset / size : 0.0;
    }
    return facts;
  }

 private:
  void make_sampler() {
    std::vector<std::uint64_t> counts(corpus_.target_count.begin(), corpus_.target_count.end());
    sampler_ = std::make_unique<NegativeSampler>(
        counts, NegativeOptions{options_.negatives_uniform_share, options_.negatives_power,
                                options_.untrained_items == "keep"});
    corpus_.sampler = sampler_.get();
  }

  void leave_out_untrained() {
    for (std::size_t item = 0; item < data_.item_count(); ++item) {
      if (corpus_.target_count[item] > 0) corpus_.learnt.push_back(static_cast<std::int64_t>(item));
    }
    if (corpus_.learnt.size() == data_.item_count()) corpus_.learnt.clear();  // all
  }

  // The longest sequences come first: those that go on are a prefix of the rows.
  static void continue_with(CarriedStates& carried, std::int64_t sequences) {
    for (nn::NetworkState& state : carried) {
      for (torch::Tensor& part : state.parts) part = part.narrow(0, 0, sequences);
    }
  }

  // Sum of -log softmax and of the discounted gain at 20, with expected ranks for ties.
  static void add_ranks(const torch::Tensor& states, const torch::Tensor& values,
                        const std::vector<std::int64_t>& targets, double& loss, double& gain) {
    const torch::Tensor all = torch::tensor(targets, torch::kInt64).to(states.device());
    const torch::Tensor transposed = values.t();
    for (std::int64_t begin = 0; begin < states.size(0); begin += kValidationRows) {
      const std::int64_t rows = std::min(kValidationRows, states.size(0) - begin);
      const torch::Tensor logits = states.narrow(0, begin, rows).mm(transposed);  // [rows, J]
      const torch::Tensor target =
          logits.gather(1, all.narrow(0, begin, rows).unsqueeze(1));  // [rows, 1]
      loss += (logits.logsumexp(1, true) - target).sum(torch::kFloat64).item<double>();
      const torch::Tensor greater = logits.gt(target).sum(1);
      const torch::Tensor equal = logits.eq(target).sum(1) - 1;
      const torch::Tensor rank = 1.0 + greater.to(torch::kFloat64) + 0.5 * equal;
      gain += torch::where(rank <= 20.0, 1.0 / torch::log2(rank + 1.0), torch::zeros_like(rank))
                  .sum()
                  .item<double>();
    }
  }

  Net& net_;
  const Dataset& data_;
  const Options& options_;
  Rng root_;
  UserSplit users_;
  Corpus corpus_;
  bool sampled_ = false;
  std::unique_ptr<NegativeSampler> sampler_;
  std::optional<EpochPlan> plan_;
};

}  // namespace

TrainingFacts train_network(Net& net, const torch::Tensor& items, const Domain& source,
                            const Options& options, const ModelRole& role, FitContext& context) {
  Training training(net, items, source, options, role, context);
  const auto optimizer = train::make_optimizer(
      {.kind = options.optimizer, .learning_rate = options.learning_rate, .eps = options.eps},
      training.parameters());
  train::Job job;
  job.name = role.name;
  job.identity = training.identity(context, source);
  job.begin_epoch = [&](std::int64_t epoch) { return training.begin_epoch(epoch); };
  job.run_batch = [&](std::int64_t epoch, std::int64_t batch, const train::Job::Step& step) {
    training.run_batch(epoch, batch, *optimizer, step);
  };
  job.validate = [&](double train_loss) { return training.validate(train_loss); };
  job.should_stop = context.should_stop;
  const auto record = [](const train::EpochResult& r) {
    return EpochRecord{r.epoch,           r.train_loss, r.validation.loss,
                       r.validation.ndcg, r.seconds,    r.learning_rate};
  };
  job.on_epoch = [&](const train::EpochResult& result) {
    if (context.on_epoch) context.on_epoch(record(result));
  };
  train::LoopOptions loop;
  loop.epochs = options.epochs;
  loop.clip = options.clip;
  loop.plateau = {options.plateau_factor, options.plateau_patience, options.patience};
  loop.max_seconds = context.max_seconds;
  loop.checkpoint = context.checkpoint;
  loop.resume = context.resume;
  const train::LoopResult result = train::run_epochs(job, *optimizer, loop);
  context.history.clear();
  for (const train::EpochResult& epoch : result.history) context.history.push_back(record(epoch));
  return training.facts(result);
}

}  // namespace kindling::zesrec
