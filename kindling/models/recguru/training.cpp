#include "kindling/models/recguru/training.h"

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/base/log.h"
#include "kindling/models/recguru/run_state.h"
#include "kindling/train/checkpoint.h"

namespace kindling::recguru {

namespace {

constexpr int kMostDivergences = 5;  // then phase 2 ends with its last good state
using TrainClock = std::chrono::steady_clock;

class Run {
 public:
  Run(const TrainingJob& job, const Options& options, Net& net, Tables& tables, FitContext& context)
      : job_(job),
        options_(options),
        net_(net),
        tables_(tables),
        context_(context),
        root_(Rng(context.seed).fork(job.name)),
        steps_(options, job.variant, net, tables, job.source, *job.target, job.leaked,
               root_.fork("training")),
        start_(TrainClock::now()) {}

  Json run() {
    if (context_.resume) resume();
    if (state_.phase == 0 && state_.step == 0) say_what_is_skipped();
    for (; state_.phase < 3; ++state_.phase, state_.step = 0) {
      if (state_.step == 0) begin_phase();
      if (state_.step < total_steps()) run_phase();
      if (state_.finished) break;
    }
    if (state_.finished) end_early();
    if (!best_.empty() && options_.keep == "best") restore(best_, parameters());
    context_.history = state_.history;
    return facts();
  }

 private:
  // ── what is trained ──
  static train::Tensors tensors_of(const torch::nn::Module& module) {
    train::Tensors all;
    for (const auto& item : module.named_parameters()) all.emplace_back(item.key(), item.value());
    return all;
  }

  train::Tensors parameters() const {
    train::Tensors all = tensors_of(net_);
    for (const int domain : {kSource, kTarget}) {
      if (tables_.of[domain].defined()) {
        all.emplace_back(kTableNames[domain], tables_.of[domain]);
      }
    }
    return all;
  }

  train::Tensors critic_parameters() {
    return job_.source == nullptr ? train::Tensors{} : tensors_of(steps_.critic());
  }

  std::unique_ptr<train::Optimizer> adam(double rate, double beta1, double beta2, double eps,
                                         const train::Tensors& tensors) const {
    std::vector<train::Parameter> parameters;
    for (const auto& [name, tensor] : tensors) {
      parameters.push_back({name, tensor, 0.0, options_.tables == "dense"});
    }
    return train::make_optimizer(
        {.kind = "adam", .learning_rate = rate, .eps = eps, .beta1 = beta1, .beta2 = beta2},
        parameters);
  }

  void make_optimizers() {
    critic_optimizer_.reset();
    if (state_.phase == 0) {
      optimizer_ = adam(noam_rate(options_, state_.step), 0.9, 0.98, 1e-9, parameters());
    }
    if (state_.phase == 1) {
      const double rate = options_.adversarial_rate * state_.slowed;
      optimizer_ = adam(rate, 0.5, 0.9, 1e-8, parameters());
      critic_optimizer_ = adam(rate, 0.5, 0.9, 1e-8, critic_parameters());
    }
    if (state_.phase == 2) {
      optimizer_ = adam(options_.finetune_rate, 0.9, options_.finetune_beta2, 1e-8, parameters());
    }
  }

  // ── phases ──
  std::int64_t total_steps() const {
    if (state_.phase == 0) return job_.variant == Variant::kSeqRec ? 0 : options_.pretrain_steps;
    if (state_.phase == 1) return job_.source == nullptr ? 0 : options_.adversarial_steps;
    return options_.finetune_steps;
  }

  void say_what_is_skipped() {
    if (job_.variant != Variant::kRecGuru || options_.overlap_loss == "none") return;
    if (steps_.shared_users() == 0) {
      log_warning("{}: no user is in both domains: the overlap loss is skipped", job_.name);
    } else {
      log_info("{}: {} users are in both domains", job_.name, steps_.shared_users());
    }
  }

  // Out of time before phase 3: the recommender is what phase 1 has made of its decoder, if it has.
  void end_early() {
    if (state_.phase > 2 || (state_.phase == 2 && state_.step > 0)) return;
    if (job_.variant == Variant::kSeqRec || options_.recommender_start == "random") {
      context_.fail_for_time(job_.name);
    }
    if (state_.phase == 2 || options_.recommender_start != "decoder") return;
    net_.start_recommender_from_decoder();
  }

  void begin_phase() {
    if (job_.source != nullptr && options_.adversarial_steps > 0 && state_.phase > 0) {
      state_.alike[state_.phase == 1 ? "before" : "after"] = to_json(steps_.alikeness());
    }
    if (state_.phase == 2 && job_.variant != Variant::kSeqRec &&
        options_.recommender_start == "decoder") {
      net_.start_recommender_from_decoder();
    }
    state_.slowed = 1.0;
    make_optimizers();
    good_.clear();
    state_.loss_sum = 0.0;
    // What pre-training has left may be better than all that fine-tuning makes of it.
    if (state_.phase == 2 && job_.validate) validate();
  }

  void run_phase() {
    Progress bar(fmt::format("{}: {}", job_.name, state_.phase_name()),
                 static_cast<std::uint64_t>(total_steps()));
    bar.set(static_cast<std::uint64_t>(state_.step));
    if (state_.phase == 1 && good_.empty()) keep_good();
    while (state_.step < total_steps() && !state_.finished) {
      if (context_.should_stop && context_.should_stop()) fail_interrupted();
      if (out_of_time()) {
        log_warning("{}: out of time in phase {}, step {}", job_.name, state_.phase_name(),
                    state_.step);
        if (state_.phase < 2) save(good_);  // `finished` is of this run only
        state_.finished = true;
        break;
      }
      net_.train();
      if (state_.phase == 0) pretrain_step();
      if (state_.phase == 1 && !adversarial_step()) break;
      if (state_.phase == 2) finetune_step();
      ++state_.step;
      if (state_.phase == 2 &&
          (state_.step % options_.evaluate_every == 0 || state_.step == total_steps())) {
        evaluate();
      }
      if (state_.step % options_.checkpoint_every == 0 || state_.step == total_steps() ||
          state_.finished) {
        if (state_.phase == 1) keep_good();
        save();
      }
      bar.step(1, note_);
    }
  }

  void pretrain_step() {
    const PretrainLoss loss = steps_.pretrain(state_.step, *optimizer_);
    for (const int domain : {kSource, kTarget}) {
      require_finite(loss.reconstruction[domain], "reconstruction loss");
    }
    optimizer_->set_learning_rate(noam_rate(options_, state_.step));
    optimizer_->step();
    add_reconstruction(loss.reconstruction);
    note_ = fmt::format("loss {:.4f}", loss.reconstruction[kTarget]);
  }

  // False when the phase is over because it keeps diverging.
  bool adversarial_step() {
    CriticLoss critic;
    for (std::int64_t k = 0; k < options_.critic_steps && options_.adversary != "none"; ++k) {
      critic = steps_.critic_step(state_.step, k);
      if (diverged(critic.loss)) return recover("critic loss", critic.loss);
      critic_optimizer_->step();
    }
    const GeneratorLoss loss = steps_.generator_step(state_.step, *optimizer_);
    for (const double value :
         {loss.reconstruction[0], loss.reconstruction[1], loss.adversarial, loss.overlap}) {
      if (diverged(value)) return recover("loss of the model", value);
    }
    optimizer_->step();
    add_reconstruction(loss.reconstruction);
    state_.add_point("wasserstein", critic.wasserstein);
    state_.add_point("critic", critic.loss);
    state_.add_point("adversarial", loss.adversarial);
    if (steps_.shared_users() > 0 && options_.overlap_loss != "none") {
      state_.add_point("overlap", loss.overlap);
    }
    note_ = fmt::format("distance {:.4f}  loss {:.4f}", critic.wasserstein,
                        loss.reconstruction[kTarget]);
    return true;
  }

  void finetune_step() {
    const bool popular = static_cast<double>(state_.step) >=
                         options_.popular_negatives_from * static_cast<double>(total_steps());
    const FinetuneLoss loss = steps_.finetune(state_.step, popular, *optimizer_);
    require_finite(loss.recommendation + loss.reconstruction, "loss");
    optimizer_->step();
    state_.add_point("finetune", loss.recommendation);
    if (loss.reconstruction != 0.0)
      state_.add_point("finetune_reconstruction", loss.reconstruction);
    state_.loss_sum += loss.recommendation;
    note_ = fmt::format("loss {:.4f}  HR@10 {:.4f}", loss.recommendation, state_.best_hit_rate);
  }

  bool diverged(double loss) const {
    return !std::isfinite(loss) || std::fabs(loss) > options_.divergence_limit;
  }

  void require_finite(double loss, const char* what) const {
    if (std::isfinite(loss)) return;
    throw Error(Kind::kBadOption,
                fmt::format("training diverged: the {} is {} in phase {}, step {}{}", what, loss,
                            state_.phase_name(), state_.step + 1,
                            context_.checkpoint.empty()
                                ? ""
                                : "; the last checkpoint is kept in " + context_.checkpoint),
                {}, "lower pretrain_rate or finetune_rate, or raise warmup");
  }

  void keep_good() { good_ = copies(trained()); }

  // Everything that phase 2 changes.
  train::Tensors trained() {
    train::Tensors all = with_prefix("net/", parameters());
    append(all, with_prefix("critic/", critic_parameters()));
    append(all, with_prefix("optimizer/", optimizer_->state()));
    if (!critic_optimizer_) return all;
    append(all, with_prefix("critic_optimizer/", critic_optimizer_->state()));
    return all;
  }

  bool recover(const char* what, double value) {
    ++state_.divergences;
    state_.slowed *= 0.5;
    make_optimizers();  // forgets the gradients of the step that failed
    restore_trained(good_);
    for (const auto& [name, parameter] : parameters()) {
      torch::Tensor same = parameter;
      same.mutable_grad() = torch::Tensor();
    }
    log_warning(
        "{}: the {} is {} in step {} of the adversarial phase: the last good state is "
        "restored, the rate halved to {:.2g}{}",
        job_.name, what, value, state_.step + 1, options_.adversarial_rate * state_.slowed,
        state_.divergences < kMostDivergences ? "" : "; the phase ends here");
    return state_.divergences < kMostDivergences;
  }

  void restore_trained(const train::Tensors& state) {
    restore(of_prefix("net/", state), parameters(), context_.checkpoint);
    restore(of_prefix("critic/", state), critic_parameters(), context_.checkpoint);
    optimizer_->load_state(of_prefix("optimizer/", state));
    if (!critic_optimizer_) return;
    critic_optimizer_->load_state(of_prefix("critic_optimizer/", state));
  }

  double validate() {
    net_.eval();
    const double hit_rate = job_.validate();
    state_.curves["validation_hr@10"].push_back(Json::array({state_.step, hit_rate}));
    if (hit_rate > state_.best_hit_rate) {
      state_.best_hit_rate = hit_rate;
      state_.best_step = state_.step;
      best_ = copies(parameters());
    }
    return hit_rate;
  }

  void evaluate() {
    const std::int64_t steps = state_.step % options_.evaluate_every == 0
                                   ? options_.evaluate_every
                                   : state_.step % options_.evaluate_every;
    EpochRecord record;
    record.epoch = static_cast<std::int64_t>(state_.history.size()) + 1;
    record.train_loss = state_.loss_sum / static_cast<double>(steps);
    record.seconds = seconds();
    record.learning_rate = optimizer_->learning_rate();
    state_.loss_sum = 0.0;
    if (job_.validate) {
      record.validation_hr = validate();
      record.validation_loss = 1.0 - *record.validation_hr;
      const std::int64_t waited = (state_.step - state_.best_step) / options_.evaluate_every;
      state_.finished = options_.patience > 0 && waited >= options_.patience;
    }
    state_.history.push_back(record);
    if (context_.on_epoch) context_.on_epoch(record);
  }

  // One curve over phases 1 and 2.
  void add_reconstruction(const double (&loss)[2]) {
    const std::int64_t before = state_.phase == 0 ? 0 : options_.pretrain_steps;
    if (job_.source != nullptr) state_.add_point("reconstruction_a", loss[kSource], before);
    state_.add_point("reconstruction_b", loss[kTarget], before);
  }

  Json facts() const {
    Json facts = facts_of(state_, options_);
    facts["shared_users"] = steps_.shared_users();
    facts["overlap_loss"] = job_.source == nullptr || options_.overlap_loss == "none"
                                ? "off"
                                : (steps_.shared_users() == 0 ? "skipped: no common users" : "on");
    facts["seconds"] = seconds();
    return facts;
  }

  double seconds() const {
    return seconds_before_ + std::chrono::duration<double>(TrainClock::now() - start_).count();
  }
  bool out_of_time() const { return context_.max_seconds > 0 && seconds() > context_.max_seconds; }

  // The hint says how to go on: nothing may be lost. The last good state may be some steps older.
  [[noreturn]] void fail_interrupted() {
    save(good_);
    throw Error(
        Kind::kIo,
        fmt::format("interrupted in phase {}, step {}", state_.phase_name(), state_.step + 1), {},
        context_.checkpoint.empty() ? "" : "run the same command with --resume");
  }

  std::string identity() const {
    Json facts;
    facts["model"] = job_.name;
    facts["options"] = identity_of(options_);
    facts["seed"] = context_.seed;
    facts["target"] = job_.target->fingerprint();
    if (job_.source != nullptr) facts["source"] = job_.source->fingerprint();
    return sha256(facts.dump());
  }

  void save(const train::Tensors& good = {}) {
    if (context_.checkpoint.empty()) return;
    train::Checkpoint checkpoint;
    checkpoint.tensors = trained();
    append(checkpoint.tensors, with_prefix("best/", best_));
    append(checkpoint.tensors, with_prefix("good/", good));
    state_.seconds = seconds();
    checkpoint.facts["identity"] = identity();
    checkpoint.facts["state"] = to_json(state_);
    train::save_checkpoint(context_.checkpoint, checkpoint);
  }

  void resume() {
    if (context_.checkpoint.empty()) return;
    const auto checkpoint = train::load_checkpoint(context_.checkpoint);
    if (!checkpoint) return;
    if (checkpoint->facts.value("identity", "") != identity()) {
      throw Error(Kind::kBadOption, "the checkpoint belongs to another run", context_.checkpoint,
                  "use the same model, options, seed and data, or start again without --resume");
    }
    state_ = run_state_from_json(checkpoint->facts.value("state", Json()), context_.checkpoint);
    seconds_before_ = state_.seconds;
    make_optimizers();
    restore_trained(checkpoint->tensors);
    best_ = of_prefix("best/", checkpoint->tensors);
    good_ = of_prefix("good/", checkpoint->tensors);
    log_info("{}: resumed in phase {} after step {}", job_.name, state_.phase_name(), state_.step);
  }

  const TrainingJob& job_;
  const Options& options_;
  Net& net_;
  Tables& tables_;
  FitContext& context_;
  Rng root_;
  Steps steps_;
  TrainClock::time_point start_;
  double seconds_before_ = 0.0;
  std::unique_ptr<train::Optimizer> optimizer_;
  std::unique_ptr<train::Optimizer> critic_optimizer_;
  RunState state_;
  train::Tensors good_;  // last good state of phase 2
  train::Tensors best_;  // by validation
  std::string note_;
};

}  // namespace

Json train_model(const TrainingJob& job, const Options& options, Net& net, Tables& tables,
                 FitContext& context) {
  return Run(job, options, net, tables, context).run();
}

}  // namespace kindling::recguru
