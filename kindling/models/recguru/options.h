// The switches of RecGURU and its ablations. docs/decisions/recguru.md says which decision R… is
// behind which option.
#pragma once

#include <cstdint>
#include <string>

#include "kindling/base/options.h"

namespace kindling::recguru {

struct Options {
  // behaviour: profile
  std::string profile = "clean";
  // behaviour: the model
  std::int64_t dim = 64;
  std::int64_t heads = 2;
  std::int64_t layers = 3;
  std::int64_t hidden = 512;
  std::int64_t max_length = 100;
  double dropout = 0.5;
  std::string norm = "post";
  std::string positions = "sinusoid";
  double position_scale = 1.0;
  std::string user_attention = "shortcut";
  double embedding_scale = 1.0;
  double input_scale = 1.0;
  // behaviour: losses
  std::int64_t negatives = 20;
  std::int64_t finetune_negatives = 5;
  std::string negatives_exclude = "training";
  std::string finetune_loss = "paper";
  std::string adversary = "wgan-gp";
  double gradient_penalty = 0.1;
  std::int64_t critic_steps = 5;
  std::string critic = "paper";
  std::string overlap_loss = "mse";
  double reconstruction_weight = 1.0;
  double adversarial_weight = 1.0;
  double overlap_weight = 1.0;
  // behaviour: phases
  std::int64_t batch_size = 1024;
  std::int64_t pretrain_steps = 2000;
  std::int64_t warmup = 1000;
  double pretrain_rate = 1.0;
  double pretrain_beta2 = 0.98;
  std::int64_t adversarial_steps = 1000;
  double adversarial_rate = 1e-4;
  std::int64_t finetune_steps = 5000;
  double finetune_rate = 1e-3;
  double finetune_beta2 = 0.98;
  std::int64_t evaluate_every = 100;
  std::int64_t patience = 5;
  std::string keep = "best";
  std::string recommender_start = "decoder";
  std::string finetune_user = "whole";
  double user_dropout = 0.0;
  bool finetune_reconstruction = true;
  bool finetune_detach = true;
  double popular_negatives_from = 0.5;
  double negatives_power = 0.75;
  double divergence_limit = 1e4;
  // speed
  std::string tables = "lazy";
  std::int64_t checkpoint_every = 100;

  template <class Visitor>
  void fields(Visitor& field) {
    field("profile", profile, one_of({"clean", "paper", "released", "tuned"}),
          "where the options that are not given come from: the paper's model with the defects of "
          "its code removed, the equations as printed, the released code's settings, or what did "
          "best on validation here");
    model_fields(field);
    loss_fields(field);
    phase_fields(field);
    field("tables", tables, one_of({"lazy", "dense"}),
          "Adam on the item tables: rows that a step touches, or all of them");
    field("checkpoint_every", checkpoint_every, kPositive,
          "steps between checkpoints, where a checkpoint folder is given");
  }

 private:
  template <class Visitor>
  void model_fields(Visitor& field) {
    field("dim", dim, between(2, 4096), "width D of item and user vectors (paper: 64)");
    field("heads", heads, between(1, 64), "attention heads");
    field("layers", layers, between(1, 16),
          "transformer layers of the encoder and of each decoder (paper: 3, or 6)");
    field("hidden", hidden, between(1, 16'384), "width of the feed-forward middle");
    field("max_length", max_length, between(2, 1000),
          "slots of a sequence; one is [eos]'s, the last items fill the others");
    field("dropout", dropout, kRate, "on inputs, attention weights and the feed-forward half");
    field("norm", norm, one_of({"post", "pre"}),
          "layer normalisation behind each sub-layer, as in paper and code, or before it and once "
          "more at the end; not in the paper");
    field("positions", positions, one_of({"sinusoid", "learned"}),
          "position vectors: fixed sinusoids (code), or trained for each domain (paper) [R2]");
    field("position_scale", position_scale, kNotNegative,
          "factor on the sinusoids, or deviation of the trained positions' normal start; 1 in "
          "paper and code");
    field("user_attention", user_attention, one_of({"shortcut", "full"}),
          "attention over the user vector: once a user, or written out over its equal keys as in "
          "paper and code; equal results, slower [R4]");
    field("embedding_scale", embedding_scale, kPositive,
          "deviation of the item vectors' normal start (framework default: 1)");
    field("input_scale", input_scale, kPositive,
          "factor on item vectors where encoder and decoders read them, beside positions of size "
          "√(D/2); 1 in paper and code, √D in SASRec");
  }

  template <class Visitor>
  void loss_fields(Visitor& field) {
    field("negatives", negatives, between(1, 100'000),
          "negatives a position of the reconstruction's sampled softmax");
    field("finetune_negatives", finetune_negatives, between(1, 100'000),
          "negatives a position of the recommendation loss [R5]");
    field("negatives_exclude", negatives_exclude, one_of({"training", "training+test"}),
          "what is never drawn as a user's negative: its training items, or its test items too, as "
          "in the released code. That is a leak: the item that is asked for is never pushed down "
          "[R9]");
    field("finetune_loss", finetune_loss, one_of({"paper", "bpr", "softmax"}),
          "paper: -log σ(q·v) - log(1 - σ(mean q·v')), eq. (12); bpr: -log σ(q·v - mean q·v'); "
          "softmax: among the target and its negatives, as in phase 1 [R5]");
    field("adversary", adversary, one_of({"wgan-gp", "bce", "none"}),
          "what makes user vectors of both domains alike [R6]");
    field("gradient_penalty", gradient_penalty, kNotNegative,
          "weight of the critic's gradient penalty [R6]");
    field("critic_steps", critic_steps, between(1, 100),
          "critic steps for each step of the model [R6]");
    field("critic", critic, one_of({"paper", "released"}),
          "64-128-128-128-1 with ReLU, or 64-320-640-320-1 with ReLU and dropout 0.2 [R7]");
    field("overlap_loss", overlap_loss, one_of({"mse", "l2", "none"}),
          "distance of a common user's two vectors: mean square, norm as in eq. (9), or not asked "
          "for as in the released run [R8]");
    field("reconstruction_weight", reconstruction_weight, kNotNegative,
          "weight of L_rec in eq. (13)");
    field("adversarial_weight", adversarial_weight, kNotNegative, "weight of L_dis in eq. (13)");
    field("overlap_weight", overlap_weight, kNotNegative, "weight of L_l2 in eq. (13)");
  }

  template <class Visitor>
  void phase_fields(Visitor& field) {
    field("batch_size", batch_size, between(1, 1'000'000), "users of a batch and domain");
    field("pretrain_steps", pretrain_steps, kNotNegative, "steps of phase 1, reconstruction [R10]");
    field("warmup", warmup, kPositive, "warm-up steps of phase 1's Noam schedule [R10]");
    field("pretrain_rate", pretrain_rate, kPositive, "factor on the Noam schedule");
    field("pretrain_beta2", pretrain_beta2, kRate,
          "Adam's β2 of phase 1 (code: 0.98, AutoRec's 0.99)");
    field("adversarial_steps", adversarial_steps, kNotNegative, "steps of phase 2 [R10]");
    field("adversarial_rate", adversarial_rate, kPositive, "Adam step size of phase 2, both sides");
    field("finetune_steps", finetune_steps, kNotNegative, "at most this many in phase 3 [R10]");
    field("finetune_rate", finetune_rate, kPositive, "Adam step size of phase 3");
    field("finetune_beta2", finetune_beta2, kRate,
          "Adam's β2 of phase 3 (code: 0.98, AutoRec's 0.99; paper: 0.9)");
    field("evaluate_every", evaluate_every, kPositive,
          "steps of phase 3 between validations [R10, R14]");
    field("patience", patience, kNotNegative,
          "validations without a better HR@10 before phase 3 ends; 0: never [R10, R14]");
    field("keep", keep, one_of({"best", "last"}),
          "state that phase 3 leaves: of the best validation HR@10, or the last [R14]");
    field("recommender_start", recommender_start, one_of({"decoder", "random", "shared"}),
          "the recommender starts as the target's pre-trained decoder, or untrained, or is that "
          "decoder in all phases [R3]");
    field("finetune_user", finetune_user, one_of({"whole", "past", "past+empty"}),
          "user vector of phase 3: from the whole training sequence, the targets included (paper "
          "and code), or from a prefix, with losses behind it only; past+empty: the prefix's own "
          "targets count too, with the user vector of an empty history; not in the paper");
    field("user_dropout", user_dropout, kRate,
          "dropout on the user vector that the recommender reads in phase 3; not in the paper");
    field("finetune_reconstruction", finetune_reconstruction, kAny,
          "keep the target's reconstruction loss in phase 3 [R11]");
    field("finetune_detach", finetune_detach, kAny,
          "the recommendation loss does not reach the encoder [R11]");
    field("popular_negatives_from", popular_negatives_from, kUnit,
          "share of phase 3 after which negatives are drawn by popularity [R11]");
    field("negatives_power", negatives_power, kNotNegative, "power of the item counts then [R11]");
    field("divergence_limit", divergence_limit, kPositive,
          "a critic loss beyond ± this is divergence: the last good state returns");
  }
};

// What a checkpoint knows a run by. An option that is younger than the checkpoints that lie about
// is no part of it at its default.
inline Json identity_of(Options options) {
  Json identity = options_to_json(options);
  if (options.negatives_exclude == "training") identity.erase("negatives_exclude");
  if (options.norm == "post") identity.erase("norm");
  if (options.position_scale == 1.0) identity.erase("position_scale");
  if (options.user_dropout == 0.0) identity.erase("user_dropout");
  if (options.pretrain_beta2 == 0.98) identity.erase("pretrain_beta2");
  return identity;
}

// RecGURU's code has AutoRec in a program of its own, with other settings: loss (12), Adam at 0.01,
// 500 passes in either phase. A pass is 8 batches on the paper's Sport and 45 on its Cloth: 27
// here. Of SeqRec there is no code. Source: specs/recguru.md 4 and 5.
inline void release_single_domain(Options& options) {
  options.finetune_loss = "paper";
  options.pretrain_beta2 = 0.99;
  options.pretrain_steps = 500 * 27;
  options.warmup = 1000;
  options.finetune_steps = 500 * 27;
  options.finetune_rate = 0.01;
  options.finetune_beta2 = 0.99;
}

// The defaults of a profile: what the options that are not given are. `single_domain`: AutoRec's
// and SeqRec's.
inline Options profile_options(const std::string& profile, bool single_domain = false) {
  Options options;
  options.profile = profile;
  if (profile == "paper") {
    options.positions = "learned";
    options.overlap_loss = "l2";
    options.finetune_beta2 = 0.9;
    options.adversary = "bce";
    options.finetune_detach = false;
    options.finetune_reconstruction = false;
    options.popular_negatives_from = 1.0;
  } else if (profile == "released") {
    options.negatives = 30;
    options.negatives_exclude = "training+test";
    options.finetune_loss = "bpr";
    options.critic = "released";
    options.overlap_loss = "none";
    options.recommender_start = "random";
    options.pretrain_steps = 200;
    options.warmup = 8100;
    options.adversarial_steps = 180;
    options.finetune_steps = 180;
    options.patience = 0;
    options.keep = "last";
    // From 0.8 T on, in a phase 3 from 0.6 T to 1.2 T.
    options.popular_negatives_from = 1.0 / 3.0;
    if (single_domain) release_single_domain(options);
  } else if (profile == "tuned") {  // docs/decisions/recguru.md, "All users"
    options.norm = "pre";
    options.positions = "learned";
    options.position_scale = 0.01;
    options.tables = "dense";
    options.dropout = 0.5;
    options.embedding_scale = 0.01;
    options.input_scale = 8.0;
    options.finetune_loss = "softmax";
    options.finetune_negatives = 20;
    options.finetune_steps = 12'000;
    options.evaluate_every = 500;
    options.recommender_start = "random";
    options.finetune_user = "past+empty";
    options.user_dropout = 0.5;
    options.finetune_reconstruction = false;
    options.popular_negatives_from = 1.0;
  }
  return options;
}

}  // namespace kindling::recguru
