// The switches of s2Meta. docs/decisions/s2meta.md says which decision S… is behind which option.
#pragma once

#include <cstdint>
#include <string>

#include "kindling/base/options.h"

namespace kindling::s2meta {

struct Options {
  // the recommender of a scenario and its learning
  std::string network = "mapping";
  std::string init = "learned";
  std::string update = "controller";
  std::string stop = "controller";
  std::int64_t inner_batch = 64;
  std::int64_t min_steps = 4;
  std::int64_t max_steps = 20;
  std::string negatives = "different";
  std::string stop_rule = "sample";
  double fixed_rate = 0.01;
  // the controllers
  bool layer_norm = true;
  std::string loss_input = "size";
  double gradient_clamp = 1.0;
  std::string forget_bias = "forget";
  std::string stop_inputs = "tensors";
  // meta-training
  std::int64_t tasks = 100'000;
  std::int64_t meta_batch = 1;
  std::int64_t support = 64;
  std::int64_t query = 128;
  std::string policy = "continue";
  std::string policy_steps = "all";
  std::string optimizer = "adam";
  double start_rate = 1e-4;
  double update_rate = 1e-4;
  double stop_rate = 5e-5;
  double weight_decay = 1e-5;
  double clip = 0.25;
  std::int64_t validate_every = 5000;
  std::string schedule = "validation";
  double plateau_factor = 0.2;
  std::int64_t plateau_patience = 2;
  std::int64_t patience = 0;
  double min_rate = 1e-6;
  // speed
  std::string backward = "recompute";

  template <class Visitor>
  void fields(Visitor& field) {
    inner_fields(field);
    outer_fields(field);
    field("backward", backward, one_of({"recompute", "stored"}),
          "the controllers' backward pass computes each step again, or reads what forward stored "
          "(70 times the memory)");
  }

  bool learns_start() const { return init == "learned"; }
  bool has_update_controller() const { return update == "controller"; }
  bool has_stop_controller() const { return stop == "controller"; }

 private:
  template <class Visitor>
  void inner_fields(Visitor& field) {
    field("network", network, one_of({"mapping", "interaction", "hybrid"}),
          "recommender of a scenario: product of two MLPs (the code's for Amazon), one MLP of both "
          "vectors (MovieLens, and the paper's for all), or both (Taobao) [S6]");
    field("init", init, one_of({"learned", "random"}),
          "where a scenario's learning starts; random: drawn for each scenario (RandInit)");
    field("update", update, one_of({"controller", "fixed"}),
          "steps by the update controllers, or plain ones of fixed_rate (FixedLr)");
    field("stop", stop, one_of({"controller", "fixed"}),
          "when learning ends: by the stop controller, or after max_steps (FixedStep)");
    field("inner_batch", inner_batch, between(1, 65'536),
          "pairs of a step (code: 64; 128 for MovieLens)");
    field("min_steps", min_steps, between(0, 10'000),
          "updates before the first stop (paper: 0) [S8]");
    field("max_steps", max_steps, between(1, 10'000), "updates of a scenario at most");
    field("negatives", negatives, one_of({"different", "unseen"}),
          "a negative item differs from the pair's (code), or is in no support pair of the user "
          "(paper) [S7]");
    field("stop_rule", stop_rule, one_of({"sample", "expected"}),
          "after training: draw whether to stop, or stop when the probability exceeds a half [S8]");
    field("fixed_rate", fixed_rate, kPositive, "update=fixed: step size");
    field("layer_norm", layer_norm, kAny,
          "layer norm on the update controllers' state (paper: none)");
    field("loss_input", loss_input, one_of({"size", "both"}),
          "the controllers see the loss's logarithm, or also its sign (paper)");
    field("gradient_clamp", gradient_clamp, kNotNegative,
          "limit of each gradient value in an update; 0: none (paper)");
    field("forget_bias", forget_bias, one_of({"forget", "input"}),
          "which gate's bias the code's initialisation sets: the one meant, or the one hit [S9]");
    field("stop_inputs", stop_inputs, one_of({"tensors", "total"}),
          "the stop controller sees the gradient's norm of each tensor (code), or of all (paper) "
          "[S10]");
  }

  template <class Visitor>
  void outer_fields(Visitor& field) {
    field("tasks", tasks, kPositive, "meta-training tasks");
    field("meta_batch", meta_batch, between(1, 4096),
          "tasks whose gradients are averaged for a step; they run in parallel (paper: 1)");
    field("support", support, between(2, 65'536), "pairs a meta-training task learns from [S5]");
    field("query", query, between(1, 65'536), "pairs its result is judged by");
    field("policy", policy, one_of({"continue", "stop"}),
          "policy gradient on the probability of going on (code), or of stopping (paper's eq. 11) "
          "[S11]");
    field("policy_steps", policy_steps, one_of({"all", "free"}),
          "steps with a policy gradient: all (code), or those where stopping was possible [S11]");
    field("optimizer", optimizer, one_of({"adam", "sgd"}), "outer optimiser (paper: sgd) [S12]");
    field("start_rate", start_rate, kNotNegative, "step size of the initial parameters [S12]");
    field("update_rate", update_rate, kNotNegative, "step size of the update controllers [S12]");
    field("stop_rate", stop_rate, kNotNegative,
          "step size of the stop controller (code: 1e-4 for Amazon) [S12]");
    field("weight_decay", weight_decay, kNotNegative,
          "L2 penalty in the gradient (code: 1e-6 for Amazon) [S12]");
    field("clip", clip, kNotNegative, "limit of each meta-gradient value; 0: none [S12]");
    field("validate_every", validate_every, kPositive, "tasks between two validations [S13]");
    field("schedule", schedule, one_of({"validation", "test"}),
          "whose Recall@10 lowers the step sizes; test: as the code does, which leaks [S13]");
    field("plateau_factor", plateau_factor, between(0, 1),
          "step sizes are multiplied by this on a plateau; 1: never [S13]");
    field("plateau_patience", plateau_patience, kPositive,
          "validations without improvement before that [S13]");
    field("patience", patience, kNotNegative,
          "validations without improvement before training ends; 0: never");
    field("min_rate", min_rate, kNotNegative, "step sizes fall no further [S13]");
  }
};

}  // namespace kindling::s2meta
