// Steps of gradient descent whose state can be saved: SGD, Adam, AdamW, Adagrad.
//
//   auto optimizer = make_optimizer({.kind = "adagrad", .learning_rate = 0.1}, parameters);
//   loss.backward();                                // dense gradients lie in parameter.grad()
//   optimizer->add_rows("offsets", rows, gradient); // or: only some rows of a table were touched
//   optimizer->step();                              // updates, then forgets the gradients
//
// Adagrad: acc += g²; p -= lr · g / (√acc + eps), acc_0 = 0; eps stands outside the root [Z19].
// Row gradients touch only their rows of the parameter and of its state (Adam's moments of other
// rows do not decay: "lazy" Adam), unless the parameter is `whole`. A parameter without gradient is
// left alone.
// Errors: Error{kCorrupt} when a saved state does not fit the parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kindling/nn/torch.h"

namespace kindling::train {

struct OptimizerOptions {
  std::string kind = "adagrad";  // sgd, adam, adamw, adagrad
  double learning_rate = 0.1;
  double eps = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
};

struct Parameter {
  std::string name;
  torch::Tensor value;
  // λ of a penalty (λ/2)‖p‖²: its gradient λp joins the loss's before the accumulators see it
  // [Z14]; adamw takes it from the weights directly. Not applied to row gradients.
  double decay = 0.0;
  // Row gradients stand for a whole gradient that is zero in the other rows: the step is that of
  // the dense optimiser, which moves every row by its momentum and decays it.
  bool whole = false;
};

using Tensors = std::vector<std::pair<std::string, torch::Tensor>>;

class Optimizer {
 public:
  Optimizer(OptimizerOptions options, std::vector<Parameter> parameters);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // A gradient for some rows of a parameter: rows [R] int64 without repeats, gradient [R, …].
  void add_rows(const std::string& parameter, torch::Tensor rows, torch::Tensor gradient);
  // √Σg² over everything that step() would use.
  double gradient_norm() const;
  // Scales all gradients so that their norm is at most `limit`.
  void clip(double limit);
  void step();

  double learning_rate() const { return options_.learning_rate; }
  void set_learning_rate(double value) { options_.learning_rate = value; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // Everything beside the parameters that the next step depends on. The tensors are the live ones.
  Tensors state() const;
  void load_state(const Tensors& state);

 protected:
  // Names of the state tensors that one parameter needs.
  virtual std::vector<std::string> state_names() const = 0;
  // One update: p, g and the state tensors have one shape. step_count is 1-based.
  struct Update {
    torch::Tensor p;
    torch::Tensor g;
    double decay;
    std::int64_t step_count;
  };
  // Whether the kernels' loops can do the update.
  static bool in_one_pass(const Update& now, const std::vector<torch::Tensor>& state);
  // Out of place: LibTorch may share a gradient between parameters.
  static void add_decay(Update& now);
  virtual void update(Update now, std::vector<torch::Tensor>& state) = 0;

  OptimizerOptions options_;

 private:
  struct RowGradient {
    std::size_t parameter;
    torch::Tensor rows;
    torch::Tensor gradient;
  };
  void make_state();
  void step_dense(std::size_t index);
  void step_rows(const RowGradient& row_gradient);
  void step_whole(const RowGradient& row_gradient);

  std::vector<Parameter> parameters_;
  std::vector<std::vector<torch::Tensor>> state_;  // [parameter][state name]; empty until needed
  std::vector<RowGradient> row_gradients_;
  std::vector<torch::Tensor> zeros_;  // [parameter] where a row gradient becomes a whole one
  std::int64_t steps_ = 0;
};

// Error{kBadOption} for an unknown kind.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<Parameter> parameters);

}  // namespace kindling::train
