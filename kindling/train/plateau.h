// Lowers the learning rate when validation stops improving, and says when to go back to the best
// weights or to give up [Z20].
//
//   Plateau plateau({.factor = 0.25, .patience = 4}, 0.1);
//   const Plateau::Verdict verdict = plateau.see(validation_loss);   // once an epoch
//   if (verdict.best) keep_weights();
//   if (verdict.reload) restore_best_weights();                      // the rate was lowered
//
// Source: recurrent-intensity-model-experiments (times 0.25 after 4 epochs, best weights reloaded).
#pragma once

#include <cstdint>
#include <limits>

namespace kindling::train {

struct PlateauOptions {
  double factor = 0.25;       // 1: never lower the rate
  std::int64_t patience = 4;  // epochs without improvement before the rate is lowered; 0: never
  std::int64_t stop_patience = 0;  // epochs without improvement before training ends; 0: never
};

class Plateau {
 public:
  struct Verdict {
    bool best = false;
    bool reload = false;
    bool stop = false;
  };

  Plateau(PlateauOptions options, double learning_rate)
      : options_(options), learning_rate_(learning_rate) {}

  Verdict see(double loss);

  // The whole state, for checkpoints.
  struct State {
    double best_loss = std::numeric_limits<double>::infinity();
    double learning_rate = 0.0;
    std::int64_t since_change = 0;  // epochs since the best or the last lowering
    std::int64_t since_best = 0;
  };
  State state() const { return {best_loss_, learning_rate_, since_change_, since_best_}; }
  void load(const State& state);

  double best_loss() const { return best_loss_; }
  double learning_rate() const { return learning_rate_; }

 private:
  PlateauOptions options_;
  double learning_rate_;
  double best_loss_ = std::numeric_limits<double>::infinity();
  std::int64_t since_change_ = 0;
  std::int64_t since_best_ = 0;
};

}  // namespace kindling::train
