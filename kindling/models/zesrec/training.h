// Trains a ZESRec network on a source domain (specs/zesrec.md, section 6).
#pragma once

#include "kindling/models/recommender.h"
#include "kindling/models/zesrec/net.h"
#include "kindling/models/zesrec/point_model.h"

namespace kindling::zesrec {

// What training tells besides the weights; goes into the model card.
struct TrainingFacts {
  std::int64_t best_epoch = 0;
  double best_loss = 0.0;
  std::int64_t targets = 0;        // N_tok
  double penalty_per_token = 0.0;  // λ_v / N_tok: what λ_v means depends on it [Z14]
  double offset_ratio = 0.0;       // mean ‖ε‖ / mean ‖m‖
  bool sampled_softmax = false;
};

// `items`: scaled vectors of the domain learnt from, on the network's device; `role` says which
// model and domain messages speak of.
TrainingFacts train_network(Net& net, const torch::Tensor& items, const Domain& source,
                            const Options& options, const ModelRole& role, FitContext& context);

}  // namespace kindling::zesrec
