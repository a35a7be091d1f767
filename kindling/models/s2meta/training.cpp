#include "kindling/models/s2meta/training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/adam.h"
#include "kindling/models/few_shot_ranking.h"
#include "kindling/models/s2meta/adapt.h"
#include "kindling/models/s2meta/checkpoint.h"
#include "kindling/models/s2meta/episodes.h"

namespace kindling::s2meta {

namespace {

using Clock = std::chrono::steady_clock;

struct Recalls {
  double at10 = 0.0;
  double at20 = 0.0;
  double ndcg20 = 0.0;
};

// Parameters [begin, end) of ω, whose step size starts at `first_rate`.
void step_group(const Options& options, TrainingState& state, std::span<const float> gradient,
                std::size_t begin, std::size_t end, double first_rate) {
  const double rate =
      std::max(first_rate * state.rate_factor, std::min(first_rate, options.min_rate));
  const auto decay = static_cast<float>(options.weight_decay);
  if (options.optimizer == "sgd") {
    kernels::gradient_descent(&state.omega[begin], &gradient[begin], end - begin,
                              static_cast<float>(rate), decay);
    return;
  }
  kernels::adam(&state.omega[begin], &gradient[begin], &state.m[begin], &state.v[begin],
                end - begin,
                {.rate = static_cast<float>(rate), .decay = decay, .step = state.steps});
}

class OuterLoop {
 public:
  OuterLoop(const Learner& learner, const FewShotTask& task, FitContext& context)
      : learner_(learner),
        task_(task),
        context_(context),
        root_(context.seed),
        episodes_(task.scenarios->meta_train, *task.vectors, learner.options,
                  root_.fork("episodes")),
        start_(Clock::now()) {
    state_.omega = learner.init(root_.fork("init"));
    state_.m.assign(learner.size(), 0.0F);
    state_.v.assign(learner.size(), 0.0F);
    state_.best = state_.omega;
    state_.identity = identity();
    state_.next_validation = static_cast<std::uint64_t>(learner.options.validate_every);
    const auto batch = static_cast<std::size_t>(learner.options.meta_batch);
    for (std::size_t b = 0; b < batch; ++b) {
      runs_.push_back(std::make_unique<InnerRun>(learner));
      gradients_.emplace_back(learner.size());
    }
  }

  TrainedLearner run() {
    if (context_.resume && load_state(context_.checkpoint, state_)) {
      log_info("resumed after {} tasks", state_.tasks);
      for (const EpochRecord& record : state_.history) context_.history.push_back(record);
    }
    if (task_.scenarios->validation.empty()) {
      log_warning(
          "s2meta: there are no validation scenarios: step sizes stay, and so do the last "
          "parameters instead of the best");
    }
    const auto total = static_cast<std::uint64_t>(learner_.options.tasks);
    Progress bar("s2meta", total);
    while (state_.tasks < total && !state_.finished) {
      if (context_.should_stop && context_.should_stop()) {
        save();
        throw Error(Kind::kIo, fmt::format("interrupted after {} tasks", state_.tasks), {},
                    context_.checkpoint.empty() ? "" : "run the same command with --resume");
      }
      train_batch(total);
      bar.set(state_.tasks, state_.note);
      const bool late = context_.max_seconds > 0.0 && seconds() > context_.max_seconds;
      if (late || state_.tasks >= state_.next_validation || state_.tasks >= total) {
        validate(late);
        save();
      }
    }
    return result();
  }

 private:
  std::string identity() const {
    Json facts = options_to_json(learner_.options);
    facts["seed"] = context_.seed;
    facts["scenarios"] = task_.scenarios->fingerprint();
    facts["vectors"] = task_.vectors->recipe;
    facts["users"] = task_.vectors->users.rows();
    facts["items"] = task_.vectors->items.rows();
    return facts.dump();
  }

  double seconds() const {
    return state_.seconds + std::chrono::duration<double>(Clock::now() - start_).count();
  }

  void save() {
    state_.seconds = seconds();
    start_ = Clock::now();
    if (!context_.checkpoint.empty()) save_state(context_.checkpoint, state_);
  }

  // One step of ω from the mean gradient of a meta-batch.
  void train_batch(std::uint64_t total) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(runs_.size(), total - state_.tasks));
    const Controllers controllers = learner_.pack(state_.omega);
    const auto learn = [&](std::size_t b) {
      Episode episode = episodes_.draw(state_.tasks + b);
      runs_[b]->forward(state_.omega, controllers,
                        {task_.vectors, episode.support, *episode.candidates, &episode.query},
                        episode.draws, true);
      runs_[b]->backward(state_.omega, controllers, gradients_[b]);
    };
    if (count == 1) {
      learn(0);  // its rows may use the threads
    } else {
      parallel_for(count, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t b = begin; b < end; ++b) learn(b);
      });
    }
    std::size_t good = 0;
    for (std::size_t b = 0; b < count; ++b) good += add_task(b, good == 0) ? 1U : 0U;
    state_.tasks += count;
    if (good > 0) step_omega(learner_, state_, gradients_[0], 1.0F / static_cast<float>(good));
  }

  // Adds the gradient of run b to gradients_[0]; false for a task without a finite one.
  bool add_task(std::size_t b, bool first) {
    const InnerRun& run = *runs_[b];
    std::vector<float>& sum = gradients_[0];
    const std::vector<float>& gradient = gradients_[b];
    float check = 0.0F;
    for (const float value : gradient) check += value * 0.0F;
    if (!std::isfinite(check) || !std::isfinite(run.final_loss())) {
      ++state_.skipped;
      return false;
    }
    state_.loss_sum += run.final_loss();
    state_.step_sum += static_cast<double>(run.steps().size());
    ++state_.loss_count;
    if (b == 0) return true;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] = first ? gradient[i] : sum[i] + gradient[i];
    }
    return true;
  }

  Recalls rank(const std::vector<Scenario>& scenarios) const {
    const Controllers controllers = learner_.pack(state_.omega);
    std::vector<std::vector<UserStanding>> standings(scenarios.size());
    parallel_for(scenarios.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t s = begin; s < end; ++s) {
        // The same draws at every validation: only ω differs.
        const Rng rng = root_.fork("validation", s);
        const auto scorer = adapt_scenario(learner_, state_.omega, controllers, *task_.vectors,
                                           scenarios[s], rng, nullptr);
        standings[s] = rank_scenario(*scorer, scenarios[s]);
      }
    });
    std::vector<UserStanding> pooled;
    for (auto& users : standings) {
      pooled.insert(pooled.end(), std::make_move_iterator(users.begin()),
                    std::make_move_iterator(users.end()));
    }
    Recalls recalls{mean_recall(pooled, 10, Ties::kExpectedRank),
                    mean_recall(pooled, 20, Ties::kExpectedRank), 0.0};
    for (const UserStanding& user : pooled) {
      recalls.ndcg20 += ndcg_of(user, 20, Ties::kExpectedRank) / static_cast<double>(pooled.size());
    }
    return recalls;
  }

  void validate(bool last) {
    const Options& options = learner_.options;
    state_.next_validation = state_.tasks + static_cast<std::uint64_t>(options.validate_every);
    EpochRecord record;
    record.epoch = static_cast<std::int64_t>(state_.history.size()) + 1;
    const auto count = static_cast<double>(std::max<std::uint64_t>(1, state_.loss_count));
    record.train_loss = state_.loss_sum / count;
    const double mean_steps = state_.step_sum / count;
    record.learning_rate = options.start_rate * state_.rate_factor;
    if (task_.scenarios->validation.empty()) {
      state_.best = state_.omega;
      record.validation_loss = record.validation_ndcg = std::numeric_limits<double>::quiet_NaN();
    } else {
      const Recalls recalls = rank(task_.scenarios->validation);
      record.validation_loss = 1.0 - recalls.at20;
      record.validation_ndcg = recalls.ndcg20;
      if (recalls.at20 > state_.best_recall20) {
        state_.best_recall20 = recalls.at20;
        state_.best = state_.omega;
        state_.best_tasks = state_.tasks;
        state_.since_best = 0;
      } else {
        ++state_.since_best;
      }
      lower_rates(options.schedule == "test" ? rank(task_.scenarios->meta_test).at10
                                             : recalls.at10);
      state_.note = fmt::format("recall@20 {:.4f}, steps {:.1f}", recalls.at20, mean_steps);
      log_info("{} tasks: loss {:.4f}, steps {:.2f}, validation recall@10 {:.4f} @20 {:.4f}",
               state_.tasks, record.train_loss, mean_steps, recalls.at10, recalls.at20);
    }
    const bool tired = options.patience > 0 && state_.since_best >= options.patience;
    state_.finished = last || tired;
    state_.mean_steps.push_back(mean_steps);
    state_.loss_sum = state_.step_sum = 0.0;
    state_.loss_count = 0;
    record.seconds = seconds();
    state_.history.push_back(record);
    context_.history.push_back(record);
    if (context_.on_epoch) context_.on_epoch(record);
  }

  void lower_rates(double recall10) {
    if (recall10 > state_.best_recall10) {
      state_.best_recall10 = recall10;
      state_.since_change = 0;
    } else if (++state_.since_change >= learner_.options.plateau_patience) {
      state_.rate_factor *= learner_.options.plateau_factor;
      state_.since_change = 0;
    }
  }

  TrainedLearner result() const {
    if (state_.steps == 0) {
      throw Error(Kind::kInternal, "no meta-training task gave a finite gradient", "s2meta",
                  "the frozen vectors may be far too large");
    }
    if (state_.skipped > 0) {
      log_warning("{} of {} tasks without a finite gradient were skipped", state_.skipped,
                  state_.tasks);
    }
    Json details = {{"tasks", state_.tasks},
                    {"skipped_tasks", state_.skipped},
                    {"mean_steps", state_.mean_steps}};
    if (!task_.scenarios->validation.empty()) {
      details["best_tasks"] = state_.best_tasks;
      details["validation_recall@10"] = state_.best_recall10;
      details["validation_recall@20"] = state_.best_recall20;
    }
    return {state_.best, std::move(details)};
  }

  const Learner& learner_;
  const FewShotTask& task_;
  FitContext& context_;
  Rng root_;
  Episodes episodes_;
  TrainingState state_;
  std::vector<std::unique_ptr<InnerRun>> runs_;  // one a task of the meta-batch
  std::vector<std::vector<float>> gradients_;
  Clock::time_point start_;
};

}  // namespace

void step_omega(const Learner& learner, TrainingState& state, std::span<float> gradient,
                float share) {
  const Options& options = learner.options;
  const auto limit = options.clip > 0.0 ? static_cast<float>(options.clip)
                                        : std::numeric_limits<float>::infinity();
  for (float& value : gradient) value = std::clamp(share * value, -limit, limit);
  ++state.steps;
  const std::size_t net = learner.net.size();
  const std::size_t stop = learner.stop_begin();
  if (options.learns_start()) step_group(options, state, gradient, 0, net, options.start_rate);
  if (options.has_update_controller()) {
    step_group(options, state, gradient, net, stop, options.update_rate);
  }
  if (options.has_stop_controller()) {
    step_group(options, state, gradient, stop, learner.size(), options.stop_rate);
  }
}

TrainedLearner train_learner(const Learner& learner, const FewShotTask& task, FitContext& context) {
  return OuterLoop(learner, task, context).run();
}

}  // namespace kindling::s2meta
