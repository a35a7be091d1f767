// One training step of the official GRU4Rec recipe: session-parallel batches, shared negatives.
//
//   Trainer trainer(options, items, Rng(seed));
//   trainer.start(64);                                     // all hidden states are zero
//   double loss = trainer.step({inputs, targets, negatives, log_q}, rng);  // sum / batch_size
//
//   x = E[inputs]  ->  h' = GRU(x, h)  ->  scores = h' · E[targets + negatives]ᵀ + b   [B, B + K]
//
// The state h stays from step to step and is never differentiated through: back-propagation is one
// step long. Input and output share the table E. Rows of E that a step does not read are not
// touched (row-sparse Adagrad, equal rows summed first). Source: Hidasi & Karatzoglou, CIKM 2018,
// and the recipe of the official code (specs/baselines.md A, B2).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/base/random.h"
#include "kindling/kernels/adagrad.h"
#include "kindling/kernels/gru.h"
#include "kindling/kernels/large_pages.h"
#include "kindling/models/registry.h"

namespace kindling::gru4rec_official {

struct Options {
  std::int64_t dim = 100;
  std::int64_t batch_size = 64;
  std::int64_t negatives = 2048;
  double negatives_power = 0.5;
  std::string loss = "cross-entropy";
  double bpreg = 1.0;
  double elu = 0.5;
  double log_q = 0.0;
  double dropout_embedding = 0.0;
  double dropout_hidden = 0.0;
  double learning_rate = 0.05;
  double eps = 1e-6;
  double momentum = 0.0;
  std::int64_t epochs = 10;
  std::int64_t max_length = 256;

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, between(1, 4096), "width of item vectors and of the GRU state [B2]");
    field("batch_size", batch_size, between(2, 65536), "parallel sessions [B2]");
    field("negatives", negatives, kNotNegative, "items drawn for a batch, shared by its rows [B2]");
    field("negatives_power", negatives_power, kNotNegative,
          "items are drawn by their count to this power [B2]");
    field("loss", loss, one_of({"cross-entropy", "bpr-max"}),
          "of a row against its negatives [B2]");
    field("bpreg", bpreg, kNotNegative, "loss=bpr-max: weight of the score regularisation [B2]");
    field("elu", elu, kNotNegative, "loss=bpr-max: ELU on the scores; 0: none [B2]");
    field("log_q", log_q, kUnit, "loss=cross-entropy: share of the log-Q correction [B2]");
    field("dropout_embedding", dropout_embedding, kRate, "on the GRU's input [B2]");
    field("dropout_hidden", dropout_hidden, kRate, "on the GRU's output [B2]");
    field("learning_rate", learning_rate, kPositive, "Adagrad step size [B2]");
    field("eps", eps, kPositive, "Adagrad epsilon, inside the root [B2]");
    field("momentum", momentum, kRate, "of Adagrad's steps, in the rows that a step reads [B2]");
    field("epochs", epochs, kPositive, "passes over the sessions [B2]");
    field("max_length", max_length, kPositive, "events of a history that a query reads, the last");
  }
};

struct Step {
  std::span<const std::int64_t> inputs;     // [B]
  std::span<const std::int64_t> targets;    // [B]
  std::span<const std::int64_t> negatives;  // [K]
  std::span<const float> log_q;             // [B + K], subtracted from the scores; empty: none
};

class Trainer {
 public:
  Trainer(const Options& options, std::int64_t items, const Rng& rng);

  void start(std::size_t rows);
  // The state of row r becomes zero: a new session begins there.
  void reset_row(std::size_t r);
  // Keeps these rows of the state, in this order: the batch has become smaller.
  void keep_rows(std::span<const std::size_t> rows);
  // Returns the loss, the rows' sum divided by batch_size. Dropout is drawn from `rng`.
  double step(const Step& step, const Rng& rng);

  // The states after reading each history from zero; [histories, dim].
  Matrix states(std::span<const std::span<const Event>> histories) const;

  std::int64_t items() const { return items_; }
  ModelState state() const;
  // Error{kCorrupt} when tensors do not fit.
  void load_state(const ModelState& state);

 private:
  using Floats = std::vector<float, kernels::LargePages<float>>;
  struct Parameter {
    std::string name;
    std::vector<std::int64_t> shape;
    Floats values;
    Floats sums;        // of squared gradients
    Floats velocities;  // empty without momentum

    float* velocity() { return velocities.empty() ? nullptr : velocities.data(); }
  };
  Parameter make_parameter(const char* name, std::vector<std::int64_t> shape, std::size_t blocks,
                           const Rng& rng) const;
  std::vector<Parameter*> parameters();
  kernels::GruWeights weights() const;
  double run(const Step& step, const Rng& rng);
  std::size_t batch() const { return static_cast<std::size_t>(options_.batch_size); }
  void forward(std::span<const std::int64_t> inputs, const Rng& rng);
  void backward();
  // The loss, and the gradients of out_, of the classes' rows and of their biases.
  double bpr_max(std::size_t rows);
  void gather(std::span<const std::int64_t> rows, float* out) const;
  void order_classes(const Step& step);
  void group_rows(std::span<const std::int64_t> inputs);
  kernels::AdagradStep rule() const;
  void update_rows();
  void update_gru();

  Options options_;
  std::int64_t items_;
  Parameter table_, bias_, input_, hidden_, input_bias_, hidden_bias_;
  std::vector<float> state_;  // [B, D]
  // Room to work in, kept from step to step.
  std::vector<float> x_, next_, gates_, previous_, out_, mask_in_, mask_out_;
  std::vector<std::int64_t> classes_;   // [B + K] targets and negatives in an order of their own
  std::vector<std::uint32_t> targets_;  // [B] where the targets are among the classes
  std::vector<float> shift_;            // [B + K] their biases, without log_q
  Floats scores_;                       // [B, B + K], then their gradient; loss=bpr-max only
  // Of the rows of classes, then inputs; inputs have no gradient of a bias.
  Floats d_rows_;
  std::vector<float> d_bias_;
  std::vector<float> d_out_, d_input_, d_hidden_, d_input_bias_, d_hidden_bias_;
  std::vector<std::int32_t> slot_;  // [items] place in `unique_`, or -1
  std::vector<std::int64_t> unique_;
  std::vector<std::uint32_t> place_, first_,
      members_;  // which rows of the gradients are one item's
};

// What registry.h makes models with.
std::unique_ptr<Recommender> make(const OptionValues& values);
std::vector<OptionInfo> describe();

}  // namespace kindling::gru4rec_official
