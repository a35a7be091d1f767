#include "kindling/models/s2meta/inner_loop.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/models/s2meta/smooth.h"

namespace kindling::s2meta {

namespace {

double norm_of(const float* values, std::size_t count) {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return std::sqrt(sum);
}

void copy_vector(const Matrix& vectors, std::size_t row, std::span<float> to) {
  const auto from = vectors.row(row);
  std::copy(from.begin(), from.end(), to.begin());
}

ItemId draw_negative(const UserItem& pair, std::span<const UserItem> support,
                     std::span<const ItemId> candidates, bool unseen, Rng& rng) {
  const auto draw = [&] { return candidates[rng.below(candidates.size())]; };
  if (unseen) {
    const auto seen = [&](ItemId item) {
      return std::find(support.begin(), support.end(), UserItem{pair.user, item}) != support.end();
    };
    for (std::size_t i = 0; i < 16 * candidates.size(); ++i) {
      const ItemId item = draw();
      if (item != pair.item && !seen(item)) return item;
    }
  }
  ItemId item = draw();
  while (item == pair.item) item = draw();
  return item;
}

}  // namespace

InnerBatch draw_inner_batch(const Options& options, std::span<const UserItem> support,
                            std::span<const ItemId> candidates, Rng& rng) {
  const auto count = static_cast<std::size_t>(options.inner_batch);
  InnerBatch batch;
  if (count <= support.size()) {
    batch.pairs.assign(support.begin(), support.end());
    for (std::size_t i = 0; i < count; ++i) {
      std::swap(batch.pairs[i], batch.pairs[i + rng.below(batch.pairs.size() - i)]);
    }
    batch.pairs.resize(count);
  } else {
    batch.pairs.resize(count);
    for (UserItem& pair : batch.pairs) pair = support[rng.below(support.size())];
  }
  const bool unseen = options.negatives == "unseen";
  for (const UserItem& pair : batch.pairs) {
    batch.negatives.push_back(draw_negative(pair, support, candidates, unseen, rng));
  }
  return batch;
}

Triples gather_triples(const FrozenVectors& vectors, std::span<const UserItem> pairs,
                       std::span<const ItemId> negatives) {
  Triples triples{Matrix(pairs.size(), vectors.dim()), Matrix(2 * pairs.size(), vectors.dim())};
  for (std::size_t r = 0; r < pairs.size(); ++r) {
    copy_vector(vectors.users, pairs[r].user, triples.users.row(r));
    copy_vector(vectors.items, pairs[r].item, triples.items.row(r));
    copy_vector(vectors.items, negatives[r], triples.items.row(pairs.size() + r));
  }
  return triples;
}

InnerRun::InnerRun(const Learner& learner) : learner_(&learner) {
  for (const Tensor& tensor : learner.net.tensors()) states_.emplace_back(tensor.size());
}

std::array<float, 2> InnerRun::loss_inputs(double loss) const {
  const auto both = smooth(loss);
  return {static_cast<float>(both[0]), static_cast<float>(both[1])};
}

// The first number of smooth() of each norm and of the loss [S10].
std::vector<double> InnerRun::stop_inputs(const Step& step) const {
  std::vector<double> inputs;
  if (learner_->options.stop_inputs == "total") {
    double square = 0.0;
    for (const double norm : step.norms) square += norm * norm;
    return {smooth(std::sqrt(square))[0], smooth(step.loss)[0]};
  }
  for (const double norm : step.norms) inputs.push_back(smooth(norm)[0]);
  inputs.push_back(smooth(step.loss)[0]);
  return inputs;
}

bool InnerRun::should_stop(std::span<const float> omega, std::size_t t, bool training, Rng& rng,
                           Step& step) {
  const Options& options = learner_->options;
  if (!options.has_stop_controller()) return false;
  step.stop_probability =
      learner_->stop.step(learner_->stop_part(omega), stop_inputs(step), stop_trace_);
  const bool free = t >= static_cast<std::size_t>(options.min_steps);
  if (!training && options.stop_rule == "expected") return free && step.stop_probability > 0.5;
  // Drawn in forced steps too, so that min_steps does not shift the draws behind it.
  const bool wants = rng.uniform() < step.stop_probability;
  return free && wants;
}

void InnerRun::reserve_step(std::size_t t) {
  if (thetas_.size() < t + 2) thetas_.resize(t + 2);
  if (gradients_.size() < t + 1) gradients_.resize(t + 1);
  thetas_[t + 1].resize(learner_->net.size());
  gradients_[t].resize(learner_->net.size());
}

kernels::ControllerStep InnerRun::controller_step(std::size_t tensor, std::size_t t) const {
  const std::size_t begin = learner_->net.tensors()[tensor].begin;
  return {thetas_[t].data() + begin, gradients_[t].data() + begin, loss_inputs(steps_[t].loss)};
}

// θ^(t+1) from θ^(t); steps_[t] is there already.
void InnerRun::update(const Controllers& controllers, std::size_t t, Step& step) {
  const Learner& learner = *learner_;
  if (!learner.options.has_update_controller()) {
    const auto rate = static_cast<float>(learner.options.fixed_rate);
    for (std::size_t i = 0; i < thetas_[t].size(); ++i) {
      thetas_[t + 1][i] = thetas_[t][i] - rate * gradients_[t][i];
    }
    return;
  }
  const auto& pieces = learner.pieces();
  std::vector<std::array<double, 2>> sums(pieces.size(), {0.0, 0.0});
  parallel_for(pieces.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto [k, chunk] = pieces[i];
      const Tensor& tensor = learner.net.tensors()[k];
      kernels::controller_forward(controllers[k], tensor.size(), chunk, controller_step(k, t), t,
                                  states_[k], thetas_[t + 1].data() + tensor.begin, sums[i].data(),
                                  tapes_.empty() ? nullptr : &tapes_[k]);
    }
  });
  step.alpha.assign(learner.net.tensors().size(), 0.0);
  step.beta.assign(learner.net.tensors().size(), 0.0);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto size = static_cast<double>(learner.net.tensors()[pieces[i].tensor].size());
    step.alpha[pieces[i].tensor] += sums[i][0] / size;
    step.beta[pieces[i].tensor] += sums[i][1] / size;
  }
}

void InnerRun::forward(std::span<const float> omega, const Controllers& controllers,
                       const InnerProblem& problem, Rng& rng, bool training, const Watch& watch) {
  const Learner& learner = *learner_;
  const auto max_steps = static_cast<std::size_t>(learner.options.max_steps);
  steps_.clear();
  stop_trace_.clear();
  stopped_ = broke_ = began_ = false;
  query_ = problem.query;
  reserve_step(0);
  if (learner.options.learns_start()) {
    thetas_[0].assign(omega.begin(),
                      omega.begin() + static_cast<std::ptrdiff_t>(learner.net.size()));
  } else {
    Rng fresh = rng.fork("start");
    thetas_[0] = learner.net.init(fresh);
  }
  if (training && learner.options.backward == "stored" && tapes_.empty()) {
    for (const Tensor& tensor : learner.net.tensors()) {
      tapes_.emplace_back(tensor.size(), max_steps);
    }
  }
  for (std::size_t t = 0; t < max_steps; ++t) {
    reserve_step(t);
    Step step;
    const InnerBatch drawn =
        draw_inner_batch(learner.options, problem.support, problem.candidates, rng);
    const Triples batch = gather_triples(*problem.vectors, drawn.pairs, drawn.negatives);
    step.loss =
        learner.net.loss_and_gradient(thetas_[t].data(), batch, gradients_[t].data(), scratch_);
    if (!std::isfinite(step.loss)) {
      broke_ = true;
      break;
    }
    began_ = true;
    for (const Tensor& tensor : learner.net.tensors()) {
      step.norms.push_back(norm_of(gradients_[t].data() + tensor.begin, tensor.size()));
    }
    stopped_ = should_stop(omega, t, training, rng, step);
    if (stopped_) break;
    if (watch) watch(t, thetas_[t]);
    if (query_ != nullptr) step.query_loss = learner.net.loss(thetas_[t].data(), *query_, scratch_);
    steps_.push_back(std::move(step));
    update(controllers, t, steps_.back());
  }
  // A step that led out of the numbers is taken back.
  if (broke_ && !steps_.empty()) steps_.pop_back();
  while (!steps_.empty() && !std::isfinite(norm_of(theta().data(), theta().size()))) {
    broke_ = true;
    steps_.pop_back();
  }
  if (watch) watch(steps_.size(), theta());
  if (query_ != nullptr) final_loss_ = learner.net.loss(theta().data(), *query_, scratch_);
}

void InnerRun::stop_back(std::span<const float> omega, std::span<float> gradient) const {
  const Options& options = learner_->options;
  std::vector<double> d_logit(steps_.size(), 0.0);
  for (std::size_t t = 0; t < steps_.size(); ++t) {
    if (options.policy_steps == "free" && t < static_cast<std::size_t>(options.min_steps)) continue;
    const double reward = steps_[t].query_loss - final_loss_;
    const double p = steps_[t].stop_probability;
    // Descent on −ln(1 − p)·reward, or on −ln(p)·reward (paper, eq. 11).
    d_logit[t] = options.policy == "continue" ? reward * p : -reward * (1.0 - p);
  }
  std::vector<double> sums(learner_->stop.size(), 0.0);
  learner_->stop.backward(learner_->stop_part(omega), stop_trace_, d_logit, sums);
  const std::span<float> part = learner_->stop_part(gradient);
  for (std::size_t i = 0; i < sums.size(); ++i) part[i] = static_cast<float>(sums[i]);
}

// d_theta: of θ^(T), becomes that of θ^(0).
void InnerRun::controllers_back(const Controllers& controllers, std::vector<float>& d_theta,
                                std::span<float> gradient) {
  const Learner& learner = *learner_;
  const auto& pieces = learner.pieces();
  const std::size_t count = learner.shape.count();
  std::vector<float> parts(pieces.size() * count);
  parallel_for(pieces.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto [k, chunk] = pieces[i];
      std::vector<kernels::ControllerStep> steps;
      for (std::size_t t = 0; t < steps_.size(); ++t) steps.push_back(controller_step(k, t));
      kernels::controller_backward(controllers[k], learner.net.tensors()[k].size(), chunk, steps,
                                   tapes_.empty() ? nullptr : &tapes_[k],
                                   d_theta.data() + learner.net.tensors()[k].begin,
                                   &parts[i * count]);
    }
  });
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    float* sum = gradient.data() + learner.controller_begin(pieces[i].tensor);
    for (std::size_t p = 0; p < count; ++p) sum[p] += parts[i * count + p];
  }
}

void InnerRun::backward(std::span<const float> omega, const Controllers& controllers,
                        std::span<float> gradient) {
  check(query_ != nullptr, "a meta-gradient needs a query");
  const Learner& learner = *learner_;
  std::fill(gradient.begin(), gradient.end(), 0.0F);
  std::vector<float> d_theta(learner.net.size());
  learner.net.loss_and_gradient(theta().data(), *query_, d_theta.data(), scratch_);
  if (learner.options.has_update_controller() && !steps_.empty()) {
    controllers_back(controllers, d_theta, gradient);
  }
  if (learner.options.learns_start()) std::copy(d_theta.begin(), d_theta.end(), gradient.begin());
  if (learner.options.has_stop_controller()) stop_back(omega, gradient);
}

std::size_t InnerRun::bytes() const {
  std::size_t sum = (2 * steps_.size() + 1) * learner_->net.size() * sizeof(float);
  for (const auto& state : states_) sum += state.bytes();
  for (const auto& tape : tapes_) sum += tape.bytes();
  return sum;
}

}  // namespace kindling::s2meta
