// Learning one scenario from its support, and the gradient of that learning with respect to ω
// (specs: s2meta 4 and 5).
//
//   InnerRun run(learner);
//   run.forward(omega, controllers, problem, rng);        // θ^(0) … θ^(T)
//   run.theta();                                          // θ^(T)
//   run.backward(omega, controllers, gradient);           // when problem.query was given
//
// The meta-gradient is of first order: inner gradients and all that the controllers see are
// constants. It flows through β and α, through the controllers' states over all steps, and into the
// stop controller by the policy gradient of its decisions.
//
// A run keeps θ and g of each step, 8 bytes a parameter and step; its memory is used again by the
// next run. Threads: one run per thread; rows go to several threads when nothing around is
// parallel.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "kindling/data/scenarios.h"
#include "kindling/models/few_shot.h"
#include "kindling/models/s2meta/learner.h"

namespace kindling::s2meta {

// What is known of a scenario while it is learnt.
struct InnerProblem {
  const FrozenVectors* vectors = nullptr;
  std::span<const UserItem> support;   // with vectors, not empty
  std::span<const ItemId> candidates;  // at least two
  const Triples* query = nullptr;      // meta-training: its loss is taken before every update
};

// The vectors of (user, item) pairs and one negative each.
Triples gather_triples(const FrozenVectors& vectors, std::span<const UserItem> pairs,
                       std::span<const ItemId> negatives);

// The pairs of one step and a negative each [S7]: without replacement when the support has enough
// pairs, else with. A user whose support covers all candidates gets any item but the pair's.
struct InnerBatch {
  std::vector<UserItem> pairs;
  std::vector<ItemId> negatives;
};
InnerBatch draw_inner_batch(const Options& options, std::span<const UserItem> support,
                            std::span<const ItemId> candidates, Rng& rng);

class InnerRun {
 public:
  explicit InnerRun(const Learner& learner);

  struct Step {
    double loss = 0.0;              // on the step's batch, before its update
    double query_loss = 0.0;        // when there is a query
    double stop_probability = 0.0;  // 0 without stop controller
    std::vector<double> norms;      // of each tensor's gradient, not clamped
    std::vector<double> alpha;      // mean gates of each tensor; empty without update controller
    std::vector<double> beta;
  };

  // Called with θ as it is before each step's update and once at the end.
  using Watch = std::function<void(std::size_t step, const std::vector<float>& theta)>;

  // `training`: stops are always drawn; otherwise by options.stop_rule [S8].
  void forward(std::span<const float> omega, const Controllers& controllers,
               const InnerProblem& problem, Rng& rng, bool training, const Watch& watch = {});

  const std::vector<Step>& steps() const { return steps_; }  // one an update
  const std::vector<float>& theta() const { return thetas_[steps_.size()]; }
  // Before step t's update, t <= T; and the gradient there, t < T, not clamped.
  const std::vector<float>& theta(std::size_t t) const { return thetas_[t]; }
  const std::vector<float>& gradient(std::size_t t) const { return gradients_[t]; }
  // False when learning went on to its last possible step, or broke off.
  bool stopped() const { return stopped_; }
  // The loss stopped being a number: θ is the last good one, the step that led there taken back.
  bool broke() const { return broke_; }
  // False when the loss was none before the first step.
  bool began() const { return began_; }
  // Query loss with θ^(T).
  double final_loss() const { return final_loss_; }

  // ∂/∂ω of final_loss − Σ ln(1 − p_t)(L_t − L_T) [S11], overwriting gradient [learner.size()].
  void backward(std::span<const float> omega, const Controllers& controllers,
                std::span<float> gradient);

  // Bytes that the last training run needed beside ω.
  std::size_t bytes() const;

 private:
  bool should_stop(std::span<const float> omega, std::size_t t, bool training, Rng& rng,
                   Step& step);
  std::vector<double> stop_inputs(const Step& step) const;
  std::array<float, 2> loss_inputs(double loss) const;
  void update(const Controllers& controllers, std::size_t t, Step& step);
  kernels::ControllerStep controller_step(std::size_t tensor, std::size_t t) const;
  void controllers_back(const Controllers& controllers, std::vector<float>& d_theta,
                        std::span<float> gradient);
  void stop_back(std::span<const float> omega, std::span<float> gradient) const;
  void reserve_step(std::size_t t);

  const Learner* learner_;
  std::vector<std::vector<float>> thetas_;     // [T + 1][K]
  std::vector<std::vector<float>> gradients_;  // [T][K]
  std::vector<Step> steps_;
  std::vector<kernels::ControllerState> states_;  // one a tensor
  std::vector<kernels::ControllerTape> tapes_;    // backward=stored
  StopController::Trace stop_trace_;
  ScenarioNet::Scratch scratch_;
  const Triples* query_ = nullptr;
  double final_loss_ = 0.0;
  bool stopped_ = false;
  bool broke_ = false;
  bool began_ = false;
};

}  // namespace kindling::s2meta
