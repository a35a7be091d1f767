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
#include "kindling/models/recguru/trained.h"
#include "kindling/train/checkpoint.h"

namespace kindling::recguru {

namespace {

constexpr int kMostDivergences = 5;  // of a phase, which then ends with its last good state
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
        trained_(options, net, tables, job.source == nullptr ? nullptr : &steps_.critic()),
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
    if (!best_.empty() && options_.keep == "best") restore(best_, trained_.parameters());
    context_.history = state_.history;
    return facts();
  }

 private:
  // The learning rate that the phase begins with.
  double first_rate() const {
    if (state_.phase == 0) return noam_rate(options_, state_.step);
    return state_.phase == 1 ? options_.adversarial_rate * state_.slowed
                             : options_.finetune_rate * state_.slowed;
  }

  // ── phases ──
  std::int64_t total_steps() const {
    if (state_.phase == 0) return job_.variant == Variant::kSeqRec ? 0 : options_.pretrain_steps;
    if (state_.phase == 1) return job_.source == nullptr ? 0 : options_.adversarial_steps;
    return options_.finetune_steps;
  }

  void say_what_is_skipped() {
    if (!job_.validate && options_.patience > 0) {
      log_info(
          "{}: without validation events nothing stops phase 3 early, its last state is kept "
          "(--protocol leave-two-out has one for each user of three events or more)",
          job_.name);
    }
    if (job_.variant != Variant::kRecGuru || options_.overlap_loss == "none") return;
    if (steps_.shared_users() == 0) {
      log_warning(
          "{}: no user is in both domains: the overlap loss is skipped (under protocols other than "
          "leave-two-out shared users leave the source)",
          job_.name);
    } else {
      log_info("{}: {} users are in both domains", job_.name, steps_.shared_users());
    }
  }

  void say_what_never_came() const {
    const double from = options_.popular_negatives_from * static_cast<double>(total_steps());
    if (options_.popular_negatives_from >= 1.0 || static_cast<double>(state_.step) >= from) return;
    log_info("{}: early stopping came before the popular negatives of step {:.0f} and later",
             job_.name, from);
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
    trained_.start(state_.phase, first_rate());
    good_.clear();
    state_.loss_sum = 0.0;
    // What pre-training has left may be better than all that fine-tuning makes of it.
    // A run that was interrupted just here has asked before.
    if (state_.phase == 2 && job_.validate && state_.best_hit_rate < 0.0) validate();
  }

  void run_phase() {
    Progress bar(fmt::format("{}: {}", job_.name, state_.phase_name()),
                 static_cast<std::uint64_t>(total_steps()));
    bar.set(static_cast<std::uint64_t>(state_.step));
    if (state_.phase == 1 && good_.empty()) good_.start(trained_.state());
    while (state_.step < total_steps() && !state_.finished) {
      if (context_.should_stop && context_.should_stop()) fail_interrupted();
      if (out_of_time()) {
        log_warning("{}: out of time in phase {}, step {}", job_.name, state_.phase_name(),
                    state_.step);
        if (state_.phase < 2) save();  // `finished` is of this run only
        state_.finished = true;
        break;
      }
      net_.train();
      if (state_.phase == 0) pretrain_step();
      if (state_.phase == 1 && !adversarial_step()) break;
      if (state_.phase == 2 && !finetune_step()) break;
      ++state_.step;
      // No step comes after the phase's last that would notice.
      if (state_.phase > 0 && state_.step == total_steps() && !trained_.finite()) {
        state_.phase == 1 ? recover("size of the weights", NAN)
                          : return_to_best("size of the weights", NAN);
      }
      if (state_.phase == 2 &&
          (state_.step % options_.evaluate_every == 0 || state_.step == total_steps())) {
        evaluate();
      }
      if (state_.step % options_.checkpoint_every == 0 || state_.step == total_steps() ||
          state_.finished) {
        if (state_.phase == 1) good_.keep(trained_.state());
        save();
      }
      bar.step(1, note_);
    }
  }

  void pretrain_step() {
    const PretrainLoss loss = steps_.pretrain(state_.step, trained_.optimizer());
    for (const int domain : {kSource, kTarget}) {
      require_finite(loss.reconstruction[domain], "reconstruction loss");
    }
    trained_.optimizer().set_learning_rate(noam_rate(options_, state_.step));
    trained_.optimizer().step();
    add_reconstruction(loss.reconstruction);
    note_ = fmt::format("loss {:.4f}", loss.reconstruction[kTarget]);
  }

  // False when the phase is over because it keeps diverging.
  bool adversarial_step() {
    CriticLoss critic;
    for (std::int64_t k = 0; k < options_.critic_steps && options_.adversary != "none"; ++k) {
      critic = steps_.critic_step(state_.step, k);
      if (diverged(critic.loss)) return recover("critic loss", critic.loss);
      trained_.critic_optimizer().step();
    }
    const GeneratorLoss loss = steps_.generator_step(state_.step, trained_.optimizer());
    for (const double value :
         {loss.reconstruction[0], loss.reconstruction[1], loss.adversarial, loss.overlap}) {
      if (diverged(value)) return recover("loss of the model", value);
    }
    trained_.optimizer().step();
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

  // False when the phase is over because it keeps diverging.
  bool finetune_step() {
    const bool popular = static_cast<double>(state_.step) >=
                         options_.popular_negatives_from * static_cast<double>(total_steps());
    const FinetuneLoss loss = steps_.finetune(state_.step, popular, trained_.optimizer());
    const double sum = loss.recommendation + loss.reconstruction;
    if (!std::isfinite(sum)) return return_to_best("loss", sum);
    trained_.optimizer().step();
    state_.add_point("finetune", loss.recommendation);
    if (loss.reconstruction != 0.0)
      state_.add_point("finetune_reconstruction", loss.reconstruction);
    state_.loss_sum += loss.recommendation;
    note_ = fmt::format("loss {:.4f}  HR@10 {:.4f}", loss.recommendation, state_.best_hit_rate);
    return true;
  }

  bool diverged(double loss) const {
    return !std::isfinite(loss) || std::fabs(loss) > options_.divergence_limit;
  }

  void require_finite(double loss, const char* what) const {
    if (!std::isfinite(loss)) fail_divergence(what, loss);
  }

  [[noreturn]] void fail_divergence(const char* what, double loss) const {
    throw Error(Kind::kDiverged,
                fmt::format("training diverged: the {} is {} in phase {}, step {}", what, loss,
                            state_.phase_name(), state_.step + 1),
                {},
                "lower pretrain_rate or finetune_rate, or raise warmup, and train anew: a "
                "checkpoint goes on with the options that it was made with");
  }

  bool recover(const char* what, double value) {
    ++state_.divergences;
    state_.slowed *= 0.5;
    trained_.start(state_.phase, first_rate());  // forgets the gradients of the step that failed
    trained_.restore(good_.last(), context_.checkpoint);
    good_.forget_later();
    log_warning(
        "{}: the {} is {} in step {} of the adversarial phase: the last good state is "
        "restored, the rate halved to {:.2g}{}",
        job_.name, what, value, state_.step + 1, options_.adversarial_rate * state_.slowed,
        state_.divergences < kMostDivergences ? "" : "; the phase ends here");
    return state_.divergences < kMostDivergences;
  }

  // Phase 3 goes on from its best validated state; false: it ends with that state, if it has
  // learnt.
  bool return_to_best(const char* what, double value) {
    const bool again = state_.slowed > std::pow(0.5, kMostDivergences);
    if (best_.empty() || (!again && state_.best_step == 0)) fail_divergence(what, value);
    ++state_.divergences;
    if (again) state_.slowed *= 0.5;
    restore(best_, trained_.parameters());
    trained_.start(state_.phase, first_rate());
    log_warning(
        "{}: the {} is {} in step {} of fine-tuning: the best state by validation, of step {}, is "
        "restored, {}",
        job_.name, what, value, state_.step + 1, state_.best_step,
        again ? fmt::format("the rate halved to {:.2g}", first_rate())
              : std::string("and fine-tuning ends here"));
    return again;
  }

  double validate() {
    net_.eval();
    const double hit_rate = job_.validate();
    state_.curves["validation_hr@10"].push_back(Json::array({state_.step, hit_rate}));
    if (hit_rate > state_.best_hit_rate) {
      state_.best_hit_rate = hit_rate;
      state_.best_step = state_.step;
      best_ = copies(trained_.parameters());
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
    record.learning_rate = trained_.optimizer().learning_rate();
    state_.loss_sum = 0.0;
    if (job_.validate) {
      record.validation_hr = validate();
      record.validation_loss = 1.0 - *record.validation_hr;
      const std::int64_t waited = (state_.step - state_.best_step) / options_.evaluate_every;
      state_.finished = options_.patience > 0 && waited >= options_.patience;
      if (state_.finished) say_what_never_came();
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
    save();
    throw Error(
        Kind::kIo,
        fmt::format("interrupted in phase {}, step {}", state_.phase_name(), state_.step + 1), {},
        context_.checkpoint.empty() ? "" : "run the same command with --resume");
  }

  std::string identity() const {
    Json facts;
    facts["model"] = job_.name;
    facts["options"] = identity_of(options_);
    facts["target"] = job_.target->fingerprint();
    if (job_.source != nullptr) facts["source"] = job_.source->fingerprint();
    context_.identify(facts);
    return sha256(facts.dump());
  }

  void save() {
    if (context_.checkpoint.empty()) return;
    train::Checkpoint checkpoint;
    checkpoint.tensors = trained_.state();
    append(checkpoint.tensors, with_prefix("best/", best_));
    good_.save(checkpoint.tensors);
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
    trained_.start(state_.phase, first_rate());
    trained_.restore(checkpoint->tensors, context_.checkpoint);
    best_ = of_prefix("best/", checkpoint->tensors);
    good_.load(checkpoint->tensors);
    log_info("{}: resumed in phase {} after step {}", job_.name, state_.phase_name(), state_.step);
  }

  const TrainingJob& job_;
  const Options& options_;
  Net& net_;
  Tables& tables_;
  FitContext& context_;
  Rng root_;
  Steps steps_;
  Trained trained_;
  TrainClock::time_point start_;
  double seconds_before_ = 0.0;
  RunState state_;
  GoodStates good_;      // of phase 2
  train::Tensors best_;  // by validation
  std::string note_;
};

}  // namespace

Json train_model(const TrainingJob& job, const Options& options, Net& net, Tables& tables,
                 FitContext& context) {
  return Run(job, options, net, tables, context).run();
}

}  // namespace kindling::recguru
