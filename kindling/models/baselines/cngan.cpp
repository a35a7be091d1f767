// CnGAN: MFEM's map and merge nets, trained against a critic that tells true pairs of vectors from
// generated and from mismatched ones.
//
// Source: Perera & Zimmermann, CnGAN: Generative Adversarial Networks for Cross-network User
//         Preference Generation for Non-overlapped Users, WWW 2019, as RecGURU's comparison
//         re-implements it (specs/baselines.md C; decisions B9, B13).
// Differs: both domains start from BPRMF vectors. A stranger is of the source alone where it has
//          such users. The source's items take no part in any of its
//          terms and stay as they are. A batch of shared users is at most all of them. The ranking
//          losses see 2,048 triples a step, ten times as many as in the re-implementation.
//
//   real [p_t ; p_s] of shared users, generated [p_t ; map(p_t)] and mismatched [p_t ; p_s of a
//   stranger] of target-only users -> critic 2d -> 4d -> 4d -> 1
//   critic     BCE(real, generated) + 0.1 BCE(mismatched) + 0.1 (|∇| − 1)² between real, generated
//   generator  the same with flipped labels + BPR of merge(…) on shared and on target-only users
#include <algorithm>

#include "kindling/base/error.h"
#include "kindling/models/baselines/cngan_critic.h"
#include "kindling/models/registry.h"
#include "kindling/models/user_map.h"
#include "kindling/nn/tensors.h"

namespace kindling::cngan {

namespace {

struct Options {
  FactorOptions factors;
  std::int64_t iterations = 500;
  std::int64_t critic_steps = 5;
  std::int64_t pair_batch = 200;
  std::int64_t rank_batch = 2048;
  double learning_rate = 0.005;
  double mismatch_weight = 0.1;
  double penalty_weight = 0.1;
  std::int64_t validate_every = 25;

  template <class Visitor>
  void fields(Visitor& field) {
    factors.fields(field);
    field("iterations", iterations, kPositive, "steps of the generator [B13]");
    field("critic_steps", critic_steps, kPositive, "steps of the critic before each [B13]");
    field("pair_batch", pair_batch, kPositive, "pairs of each kind in a step [B13]");
    field("rank_batch", rank_batch, kPositive,
          "triples of each ranking loss in a step (the re-implementation: 200) [B13]");
    field("gan_learning_rate", learning_rate, kPositive,
          "Adam's step size for critic and generator [B13]");
    field("mismatch_weight", mismatch_weight, kNotNegative, "of mismatched pairs [B13]");
    field("penalty_weight", penalty_weight, kNotNegative, "of the gradient penalty [B13]");
    field("gan_validate_every", validate_every, kPositive,
          "generator steps between validations [R14]");
  }
};

// Mean of −log σ(x) for label 1, −log(1 − σ(x)) for label 0.
torch::Tensor bce(const torch::Tensor& logits, bool label) {
  return torch::softplus(label ? -logits : logits).mean();
}

class CnGan : public FactorModel {
 public:
  explicit CnGan(Options options) : FactorModel("cngan"), options_(std::move(options)) {}

  void fit(const TrainTask& task, FitContext& context) override {
    require_domains(task, true);
    nn::use_base_threads();
    const auto ask = [&](const Factors& factors) {
      factors_ = factors;
      return context.validate(*this);
    };
    const Pretrained start =
        pretrain(*task.target_train->data, *task.source->data, options_.factors, "cngan", context,
                 context.validate ? std::function<double(const Factors&)>(ask) : nullptr);
    if (start.alone.empty()) {
      throw Error(Kind::kUnsupported,
                  "cngan generates vectors for users of the target alone, there are none");
    }
    Game game(start, options_, Rng(context.seed).fork("cngan"));
    play(game, context);
  }

 private:
  // The nets, the tables and their two optimisers.
  class Game {
   public:
    Game(const Pretrained& start, const Options& options, const Rng& rng)
        : start_(start),
          options_(options),
          rng_(rng),
          weights_(rng.fork("weights")),
          map_(options.factors.dim, weights_),
          merge_(options.factors.dim, weights_),
          critic_(options.factors.dim, weights_),
          users_(table(start.target.users)),
          items_(table(start.target.items)),
          source_(table(start.source.users)),
          shared_triples_(start.target_data, shared_users()),
          alone_triples_(start.target_data, start.alone) {
      std::vector<train::Parameter> parameters = parameters_of("map", map_);
      for (auto& parameter : parameters_of("merge", merge_)) parameters.push_back(parameter);
      parameters.push_back({"users", users_});
      parameters.push_back({"items", items_});
      parameters.push_back({"source", source_});
      const train::OptimizerOptions adam{.kind = "adam",
                                         .learning_rate = options.learning_rate,
                                         .eps = 1e-8,
                                         .beta1 = 0.9,
                                         .beta2 = 0.98};
      generator_step_ = train::make_optimizer(adam, parameters);
      critic_step_ = train::make_optimizer(adam, parameters_of("critic", critic_));
      shared_pairs_ = std::min<std::int64_t>(options.pair_batch,
                                             static_cast<std::int64_t>(start.shared.size()));
      std::vector<bool> known(start.source.users.rows(), false);
      for (const SharedUser& user : start.shared) known[user.second] = true;
      const bool all_known = std::find(known.begin(), known.end(), false) == known.end();
      for (std::size_t user = 0; user < known.size(); ++user) {
        if (all_known || !known[user]) strangers_.push_back(static_cast<std::int64_t>(user));
      }
    }

    void iterate(std::int64_t number) {
      Rng rng = rng_.fork("iteration", static_cast<std::uint64_t>(number));
      for (std::int64_t k = 0; k < options_.critic_steps; ++k) {
        const Pairs pairs = draw(rng, true);
        torch::Tensor loss =
            bce(critic_.forward(pairs.real), true) + bce(critic_.forward(pairs.generated), false) +
            options_.mismatch_weight * bce(critic_.forward(pairs.mismatched), false);
        loss = loss + options_.penalty_weight * penalty(pairs, rng);
        loss.backward();
        critic_step_->step();
      }
      const Pairs pairs = draw(rng, false);
      const torch::Tensor fooled =
          bce(critic_.forward(pairs.real), false) + bce(critic_.forward(pairs.generated), true) +
          options_.mismatch_weight * bce(critic_.forward(pairs.mismatched), true);
      (fooled + ranking(rng)).backward();
      generator_step_->step();
      for (torch::Tensor parameter : critic_.parameters()) parameter.mutable_grad().reset();
    }

    Factors factors() const {
      const torch::NoGradGuard no_grad;
      return {nn::to_matrix(merged_users(map_, merge_, users_, source_, start_.shared)),
              nn::to_matrix(items_.detach())};
    }

   private:
    struct Pairs {
      torch::Tensor real, generated, mismatched;  // [n, 2d]
    };

    static torch::Tensor table(const Matrix& values) {
      return nn::copy_matrix(values).requires_grad_(true);
    }
    std::vector<std::int64_t> shared_users() const {
      std::vector<std::int64_t> users;
      for (const SharedUser& user : start_.shared) users.push_back(user.first);
      return users;
    }

    Pairs draw(Rng& rng, bool detached) const {
      std::vector<std::int64_t> here, there, alone, stranger;
      for (std::int64_t n = 0; n < shared_pairs_; ++n) {
        const SharedUser& user = start_.shared[rng.below(start_.shared.size())];
        here.push_back(user.first);
        there.push_back(user.second);
      }
      for (std::int64_t n = 0; n < options_.pair_batch; ++n) {
        alone.push_back(start_.alone[rng.below(start_.alone.size())]);
        stranger.push_back(strangers_[rng.below(strangers_.size())]);
      }
      const auto rows = [](const torch::Tensor& of, const std::vector<std::int64_t>& index) {
        return of.index_select(0, nn::index_tensor(index, torch::kCPU));
      };
      const torch::Tensor lonely = rows(users_, alone);
      Pairs pairs{torch::cat({rows(users_, here), rows(source_, there)}, 1),
                  torch::cat({lonely, map_.forward(lonely)}, 1),
                  torch::cat({lonely, rows(source_, stranger)}, 1)};
      if (detached) {
        return {pairs.real.detach(), pairs.generated.detach(), pairs.mismatched.detach()};
      }
      return pairs;
    }

    torch::Tensor penalty(const Pairs& pairs, Rng& rng) const {
      const std::int64_t count = std::min(pairs.real.size(0), pairs.generated.size(0));
      torch::Tensor share = torch::empty({count, 1});
      for (std::int64_t i = 0; i < count; ++i) {
        share.data_ptr<float>()[i] = static_cast<float>(rng.uniform());
      }
      const torch::Tensor between = share * pairs.real.narrow(0, 0, count) +
                                    (1.0 - share) * pairs.generated.narrow(0, 0, count);
      return critic_.gradient_penalty(between);
    }

    torch::Tensor ranking(Rng& rng) const {
      torch::Tensor loss = torch::zeros({});
      if (!shared_triples_.empty()) {
        const auto count =
            shared_batch(options_.rank_batch, start_.shared.size(), start_.target_data.users);
        const auto drawn = shared_triples_.draw(count, rng);
        std::vector<std::int64_t> partner(start_.target_data.users, 0);
        for (const SharedUser& user : start_.shared) partner[user.first] = user.second;
        std::vector<std::int64_t> there;
        for (const std::int64_t user : drawn.user_list) {
          there.push_back(partner[static_cast<std::size_t>(user)]);
        }
        const torch::Tensor other = source_.index_select(0, nn::index_tensor(there, torch::kCPU));
        loss = loss +
               bpr_sum(merge_.forward(users_.index_select(0, drawn.users), other), items_, drawn);
      }
      const auto drawn = alone_triples_.draw(options_.rank_batch, rng);
      const torch::Tensor lonely = users_.index_select(0, drawn.users);
      return loss + bpr_sum(merge_.forward(lonely, map_.forward(lonely)), items_, drawn);
    }

    const Pretrained& start_;
    const Options& options_;
    Rng rng_;
    Rng weights_;
    MapNet map_;
    MergeNet merge_;
    Critic critic_;
    torch::Tensor users_, items_, source_;
    TripleSource shared_triples_, alone_triples_;
    std::unique_ptr<train::Optimizer> generator_step_, critic_step_;
    std::int64_t shared_pairs_ = 0;        // in a step of the critic
    std::vector<std::int64_t> strangers_;  // users of the source alone; all when none is
  };

  void play(Game& game, FitContext& context) {
    double best = -1.0;
    Factors kept;
    for (std::int64_t number = 1;
         number <= options_.iterations && goes_on(context, "cngan", number); ++number) {
      game.iterate(number);
      if (!context.validate ||
          (number % options_.validate_every != 0 && number != options_.iterations)) {
        continue;
      }
      factors_ = game.factors();
      const double hits = context.validate(*this);
      if (hits > best) {
        best = hits;
        kept = factors_;
      }
    }
    factors_ = best >= 0.0 ? kept : game.factors();
    if (best < 0.0) return;
    EpochRecord last;
    if (!context.history.empty()) last = context.history.back();
    last.validation_hr = best;
    context.history = {last};  // that of the saved state
    if (context.on_epoch) context.on_epoch(last);
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return std::make_unique<CnGan>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::cngan
