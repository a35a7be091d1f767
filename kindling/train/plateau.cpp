#include "kindling/train/plateau.h"

namespace kindling::train {

Plateau::Verdict Plateau::see(double loss) {
  if (loss < best_loss_) {
    best_loss_ = loss;
    since_change_ = 0;
    since_best_ = 0;
    return {.best = true};
  }
  ++since_change_;
  ++since_best_;
  Verdict verdict;
  if (options_.patience > 0 && since_change_ >= options_.patience && options_.factor < 1.0) {
    learning_rate_ *= options_.factor;
    since_change_ = 0;
    verdict.reload = true;
  }
  verdict.stop = options_.stop_patience > 0 && since_best_ >= options_.stop_patience;
  return verdict;
}

void Plateau::load(const State& state) {
  best_loss_ = state.best_loss;
  learning_rate_ = state.learning_rate;
  since_change_ = state.since_change;
  since_best_ = state.since_best;
}

}  // namespace kindling::train
