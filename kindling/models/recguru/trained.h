// What RecGURU trains in a phase, with its optimizers, as tensors that can be kept and brought
// back.
//
//   Trained trained(options, net, tables, critic);
//   trained.start(1, rate);                       // the adversarial phase: two optimizers
//   GoodStates good;
//   good.start(trained.state());
//   …
//   good.keep(trained.state());                   // at each checkpoint
//   trained.restore(good.last(), "");             // after a divergence
#pragma once

#include <memory>
#include <string>

#include "kindling/models/recguru/net.h"
#include "kindling/models/recguru/run_state.h"
#include "kindling/models/recguru/steps.h"
#include "kindling/train/optimizers.h"

namespace kindling::recguru {

class Trained {
 public:
  // `critic` is null with one domain. All must outlive this.
  Trained(const Options& options, Net& net, Tables& tables, torch::nn::Module* critic)
      : options_(options), net_(net), tables_(tables), critic_(critic) {}

  // The network's and the tables'.
  train::Tensors parameters() const;
  // New optimizers of phase 0, 1 or 2 at this rate; gradients that are left are forgotten.
  void start(int phase, double rate);
  train::Optimizer& optimizer() const { return *optimizer_; }
  train::Optimizer& critic_optimizer() const { return *critic_optimizer_; }

  // Parameters, critic and optimizers: views, not copies.
  train::Tensors state() const;
  // Errors: Error{kCorrupt} when tensors are missing; `place` says where they are from.
  void restore(const train::Tensors& state, const std::string& place);
  bool finite() const;

 private:
  std::unique_ptr<train::Optimizer> adam(double rate, double beta1, double beta2, double eps,
                                         const train::Tensors& tensors) const;
  train::Tensors critic_parameters() const;

  const Options& options_;
  Net& net_;
  Tables& tables_;
  torch::nn::Module* critic_;
  std::unique_ptr<train::Optimizer> optimizer_;
  std::unique_ptr<train::Optimizer> critic_optimizer_;
};

// The last good state of phase 2. A state counts as good when training went well after it, for as
// many steps as lie between two checkpoints.
class GoodStates {
 public:
  bool empty() const { return last_.empty(); }
  const train::Tensors& last() const { return last_; }
  void clear();
  void start(const train::Tensors& state);  // copies
  void keep(const train::Tensors& state);   // copies; the one kept before is now good
  void forget_later() { later_ = last_; }   // after the last one was restored

  void save(train::Tensors& into) const;
  void load(const train::Tensors& from);

 private:
  train::Tensors last_;
  train::Tensors later_;  // not yet known to be good
};

}  // namespace kindling::recguru
