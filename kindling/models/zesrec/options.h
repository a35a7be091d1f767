// The switches of ZESRec. docs/decisions/zesrec.md says which decision Z… is behind which option.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/data/sequences.h"

namespace kindling::zesrec {

struct Options {
  // behaviour: the model
  std::int64_t dim = 300;
  std::string variant = "map";
  std::string network = "gru";
  std::int64_t layers = 1;
  std::int64_t tcn_blocks = 4;
  std::int64_t tcn_kernel = 3;
  bool tcn_final_linear = true;
  std::int64_t gap_dim = 16;
  std::string activation = "none";
  std::string input_scale = "mean_norm";
  double whiten_exponent = 0.5;
  bool unit_rows = false;
  std::string item_init = "xavier";
  double residual = 0.0;
  double residual_decay = 0.0;
  double dropout = 0.2;
  std::string dropout_places = "both";
  std::string dummy = "trained";
  double dummy_init = 0.1;
  double lambda_v = 100.0;
  double offset_init = 0.0;
  std::string offsets = "auto";
  std::string bound = "simplified";
  double lambda_u = 100.0;
  std::string inference = "map";
  std::int64_t samples = 10;
  double noise = 1.0;
  // behaviour: training
  SequenceOptions sequences;
  double validation_share = 0.1;
  std::int64_t epochs = 20;
  std::string optimizer = "adagrad";
  double learning_rate = 0.1;
  double eps = 1e-3;
  double plateau_factor = 0.25;
  std::int64_t plateau_patience = 4;
  std::int64_t patience = 8;
  double clip = 0.0;
  // speed
  std::string softmax = "auto";
  std::int64_t auto_softmax_items = 20'000;
  std::int64_t negatives = 8192;
  double negatives_uniform_share = 0.5;
  double negatives_power = 0.75;
  // set by the in-domain oracles of point_model.h, no options of zesrec itself
  bool item_table = false;                // a free vector an item instead of W x + b
  std::string untrained_items = "learn";  // keep: outside the training loss
  std::vector<double> learning_rates;     // tried in turn, the best validation loss stays [Z23]

  template <class Visitor>
  void fields(Visitor& field) {
    model_fields(field);
    training_fields(field);
    field("softmax", softmax, one_of({"auto", "full", "sampled"}),
          "training loss over all items, or over sampled ones with log-Q correction; auto: sampled "
          "above auto_softmax_items items");
    field("auto_softmax_items", auto_softmax_items, kPositive,
          "catalogue size above which softmax=auto samples");
    field("negatives", negatives, kPositive, "items sampled for a batch when sampling");
    field("negatives_uniform_share", negatives_uniform_share, kUnit,
          "share of the samples drawn uniformly, the rest by popularity");
    field("negatives_power", negatives_power, kNotNegative,
          "power of the item counts when sampling by popularity");
  }

  bool samples_vectors() const { return variant == "full"; }
  bool general_bound() const { return variant == "full" && bound == "general"; }

 private:
  template <class Visitor>
  void model_fields(Visitor& field) {
    field("dim", dim, between(0, 4096),
          "width D of item and user vectors (paper: 300); 0: that of the text vectors");
    field("variant", variant, one_of({"vanilla", "map", "full"}),
          "vanilla: no item offsets; map: offsets in the source, dropped in the target; full: "
          "variational (paper section 3.4)");
    field("network", network, one_of({"gru", "tcn", "hrnn", "hgru"}),
          "user network [Z15, Z16, Z17]");
    field("layers", layers, between(1, 16), "GRU layers [Z15]");
    field("tcn_blocks", tcn_blocks, between(1, 16), "TCN blocks, dilation 2^block [Z16]");
    field("tcn_kernel", tcn_kernel, between(1, 64), "width of the TCN's convolutions [Z16]");
    field("tcn_final_linear", tcn_final_linear, kAny, "a linear layer after the last block [Z16]");
    field("gap_dim", gap_dim, between(1, 1024), "width of HRNN's gap embedding [Z17]");
    field("activation", activation, one_of({"none", "tanh"}),
          "activation of the item network [Z11]");
    field("input_scale", input_scale,
          one_of({"mean_norm", "none", "l2", "standardise", "whiten", "partial"}),
          "what is done to the item vectors of each domain before W [Z22]");
    field("whiten_exponent", whiten_exponent, kUnit,
          "input_scale=partial: 0 leaves the spectrum, 1 whitens fully [Z22]");
    field("unit_rows", unit_rows, kAny,
          "every item vector is scaled to the same length after that, as cosine kNN does [Z22]");
    field("item_init", item_init, one_of({"xavier", "orthogonal"}),
          "start of W [Z12]; orthogonal keeps the angles of the text vectors (exactly when dim is "
          "at least their width)");
    field(
        "residual", residual, kNotNegative,
        "above 0: the last item's vector, times a trained factor that starts here, is added to the "
        "user vector; not in the paper");
    field("residual_decay", residual_decay, between(0, 1),
          "the path reads the mean of the history weighted by this^age; 0: the last item alone");
    field("dropout", dropout, kRate, "on inputs and outputs of the user network [Z13]");
    field("dropout_places", dropout_places, one_of({"both", "inputs", "outputs"}),
          "of the user network; a TCN's own dropout between layers stays [Z13]");
    field("dummy", dummy, one_of({"trained", "fixed"}),
          "vector of the item in front of every sequence: trained, or left as it starts [Z8]");
    field("dummy_init", dummy_init, kNotNegative, "it starts uniform in ±this; 0: at zero [Z8]");
    field("lambda_v", lambda_v, kNotNegative,
          "precision of the item offsets; acts as lambda_v / training targets [Z14]");
    field("offset_init", offset_init, kNotNegative,
          "item offsets start uniform in ±this; 0: at zero [Z12]");
    field("offsets", offsets, one_of({"auto", "dense", "lazy"}),
          "offsets updated all at once, or those a batch touches (sampled softmax only); auto: "
          "lazy when sampling [Z14]");
    field("bound", bound, one_of({"simplified", "general"}),
          "variant=full: users without or with a variance of their own (section 5)");
    field("lambda_u", lambda_u, kPositive, "bound=general: precision of the user vectors");
    field("inference", inference, one_of({"map", "mc"}),
          "variant=full: use the means, or average softmax probabilities over samples");
    field("samples", samples, between(1, 10'000), "inference=mc: number of samples");
    field("noise", noise, kNotNegative,
          "variant=full: factor on the noise of item vectors, drawn for every item and batch, and "
          "of user vectors; 0: the means [Z18]");
  }

  template <class Visitor>
  void training_fields(Visitor& field) {
    sequences.fields(field);
    field("validation_share", validation_share, kRate,
          "share of the source's users held out for validation");
    field("epochs", epochs, kPositive, "at most this many passes over the source");
    field("optimizer", optimizer, one_of({"adagrad", "sgd", "adam", "adamw"}), "optimiser");
    field("learning_rate", learning_rate, kPositive, "step size [Z23]");
    field("eps", eps, kPositive, "epsilon of Adagrad and Adam, outside the root [Z19]");
    field("plateau_factor", plateau_factor, between(0, 1),
          "learning rate is multiplied by this on a plateau; 1: never [Z20]");
    field("plateau_patience", plateau_patience, kNotNegative,
          "epochs without improvement before that, then the best weights are reloaded [Z20]");
    field("patience", patience, kNotNegative,
          "epochs without improvement before training ends; 0: never [Z20]");
    field("clip", clip, kNotNegative, "limit of the gradient's global norm; 0: none");
  }
};

}  // namespace kindling::zesrec
