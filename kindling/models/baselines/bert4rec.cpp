// BERT4Rec: bidirectional attention that fills in masked events; a [MASK] behind the history asks
// what comes next.
//
// Source: Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder
//         Representations from Transformer, CIKM 2019; FeiSun/BERT4Rec.
// Differs: 3 layers, 2 heads, d = 64, 100 events as RecGURU's comparison has it; masks are drawn at
//          every visit (the code stores ten masked copies and one with only the last event masked:
//          here one visit in eleven masks the last); trained until validation stops improving
//          [B11]. Histories are packed; the softmax is over all items, at masked positions only.
//
//   ids with [MASK] [N] -> item + position -> LN -> (attention -> LN -> FFN -> LN) x3
//   masked rows [M, D] -> dense, GELU, LN -> · item tableᵀ + bias -> softmax over all items
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/options.h"
#include "kindling/models/id_sequences.h"
#include "kindling/models/registry.h"
#include "kindling/nn/losses.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/transformer.h"
#include "kindling/nn/user_network.h"

namespace kindling::bert4rec {

namespace {

struct Options {
  std::int64_t dim = 64;
  std::int64_t layers = 3;
  std::int64_t heads = 2;
  std::int64_t hidden = 256;
  std::int64_t length = 100;
  double dropout = 0.5;
  double attention_dropout = 0.2;
  double start_sd = 0.02;
  double mask_share = 0.6;
  double last_share = 1.0 / 11.0;
  double learning_rate = 1e-4;
  double weight_decay = 0.01;
  std::int64_t warmup = 100;
  std::int64_t decay_steps = 400'000;
  double clip = 5.0;
  std::int64_t batch_size = 256;
  std::int64_t epochs = 1000;
  std::int64_t validate_every = 1;
  std::int64_t patience = 20;

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, kPositive, "width of item vectors and states [B11]");
    field("layers", layers, kPositive, "transformer layers [B11]");
    field("heads", heads, kPositive, "of the attention [B11]");
    field("hidden", hidden, kPositive, "width of the feed-forward middle (RecGURU: 512) [B11]");
    field("length", length, kPositive, "events kept of a history, the last ones [B11]");
    field("dropout", dropout, kRate, "on vectors and on what each sub-layer adds [B11]");
    field("attention_dropout", attention_dropout, kRate, "on the attention weights [B11]");
    field("start_sd", start_sd, kPositive, "of every matrix, normal, cut at two of it [B11]");
    field("mask_share", mask_share, kUnit, "of a history's events (Beauty 0.6, ML 0.2) [B11]");
    field("last_share", last_share, kUnit,
          "visits that mask the last event only, as a query does (1 copy in 11) [B11]");
    field("learning_rate", learning_rate, kPositive, "AdamW's step size after warm-up [B11]");
    field("weight_decay", weight_decay, kNotNegative, "of matrices, not of biases and LN [B11]");
    field("warmup", warmup, kNotNegative, "steps of linear warm-up [B11]");
    field("decay_steps", decay_steps, kPositive, "steps until the rate has fallen to 0 [B11]");
    field("clip", clip, kNotNegative, "global norm of the gradient; 0: none [B11]");
    field("batch_size", batch_size, kPositive, "users in a step [B11]");
    field("epochs", epochs, kPositive, "passes over the users, at most");
    field("validate_every", validate_every, kPositive, "epochs between validations");
    field("patience", patience, kNotNegative,
          "validations without a better HR@10 before training ends; 0: never [B11, R14]");
  }
};

class Net : public SequenceNet {
 public:
  Net(const Options& options, std::int64_t items, const Rng& rng) : options_(options) {
    Rng start = rng.fork("weights");
    const std::int64_t d = options.dim;
    const auto matrix = [&](const char* name, std::int64_t rows) {
      return register_parameter(name, truncated_normal_tensor({rows, d}, options.start_sd, start));
    };
    // The row behind the items is [MASK]: read, never recommended.
    items_ = matrix("items", items + 1);
    positions_ = matrix("positions", options.length);
    dense_ = matrix("dense_weight", d);
    dense_bias_ = register_parameter("dense_bias", torch::zeros({d}));
    item_bias_ = register_parameter("item_bias", torch::zeros({items}));
    for (const char* name : {"norm_in", "norm_out"}) {
      norms_.push_back(register_parameter(std::string(name) + "_gain", torch::ones({d})));
      norms_.push_back(register_parameter(std::string(name) + "_shift", torch::zeros({d})));
    }
    nn::BlockOptions block;
    block.dim = d;
    block.heads = options.heads;
    block.hidden = options.hidden;
    block.attention_dropout = options.attention_dropout;
    block.attention_out_dropout = options.dropout;
    block.feed_out_dropout = options.dropout;
    block.epsilon = kEps;
    for (std::int64_t layer = 0; layer < options.layers; ++layer) {
      blocks_.push_back(register_module(fmt::format("block{}", layer),
                                        std::make_shared<nn::TransformerBlock>(block, start)));
      start_as_bert(*blocks_.back(), options.start_sd, start);
    }
  }

  torch::Tensor states(const PackedItems& batch, Rng& rng) override {
    torch::Tensor x = items_.index_select(0, nn::index_tensor(batch.items, torch::kCPU)) +
                      positions_.index_select(0, nn::index_tensor(batch.slots, torch::kCPU));
    x = nn::dropout(normalise(x, 0), is_training() ? options_.dropout : 0.0, rng);
    for (const auto& block : blocks_) x = block->forward(x, batch.offsets, rng);
    return x;
  }

  // The bias is one more dimension, so that a score is a dot product.
  torch::Tensor output_items() const override {
    return torch::cat({real_items(), item_bias_.unsqueeze(1)}, 1);
  }
  torch::Tensor output_users(const torch::Tensor& states) const override {
    return torch::cat({answers(states), torch::ones({states.size(0), 1})}, 1);
  }

  // Sum of -log softmax(answers · real itemsᵀ + bias)[target]; states [M, D] of masked events.
  torch::Tensor loss(const torch::Tensor& states, const torch::Tensor& targets) const {
    return nn::softmax_cross_entropy(answers(states), real_items(), targets, item_bias_);
  }

 private:
  static constexpr double kEps = 1e-12;

  torch::Tensor real_items() const { return items_.narrow(0, 0, items_.size(0) - 1); }
  torch::Tensor answers(const torch::Tensor& states) const {
    return normalise(torch::gelu(torch::addmm(dense_bias_, states, dense_.t())), 2);
  }
  torch::Tensor normalise(const torch::Tensor& x, std::size_t which) const {
    return torch::layer_norm(x, {options_.dim}, norms_[which], norms_[which + 1], kEps);
  }
  // Every matrix from N(0, sd²), every bias 0.
  static void start_as_bert(torch::nn::Module& block, double sd, Rng& rng) {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : block.named_parameters()) {
      if (parameter.value().dim() == 2) {
        parameter.value().copy_(truncated_normal_tensor(parameter.value().sizes(), sd, rng));
      } else if (parameter.key().ends_with("_bias")) {
        parameter.value().zero_();
      }
    }
  }

  Options options_;
  torch::Tensor items_, positions_, dense_, dense_bias_, item_bias_;
  std::vector<torch::Tensor> norms_;
  std::vector<std::shared_ptr<nn::TransformerBlock>> blocks_;
};

// Linear warm-up, then linear decay to 0.
double rate_at(const Options& options, std::int64_t step) {
  const auto now = static_cast<double>(step + 1);
  const double left = std::max(0.0, 1.0 - now / static_cast<double>(options.decay_steps));
  const double warm =
      options.warmup > 0 ? std::min(1.0, now / static_cast<double>(options.warmup)) : 1.0;
  return options.learning_rate * (step < options.warmup ? warm : left);
}

class Bert4Rec : public IdSequenceModel {
 public:
  explicit Bert4Rec(const Options& options) : IdSequenceModel("bert4rec"), options_(options) {}

 protected:
  std::shared_ptr<SequenceNet> build(std::int64_t items, const Rng& rng) const override {
    return std::make_shared<Net>(options_, items, rng);
  }
  SequenceTraining training() const override {
    return {options_.epochs, options_.batch_size, options_.validate_every, options_.patience,
            options_.clip};
  }
  std::unique_ptr<train::Optimizer> optimizer(SequenceNet& net) const override {
    std::vector<train::Parameter> parameters;
    for (const auto& parameter : net.named_parameters()) {
      const double decay = parameter.value().dim() == 2 ? options_.weight_decay : 0.0;
      parameters.push_back({parameter.key(), parameter.value(), decay});
    }
    return train::make_optimizer({.kind = "adamw",
                                  .learning_rate = options_.learning_rate,
                                  .eps = 1e-6,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999},
                                 std::move(parameters));
  }
  Json identity() const override {
    Options same = options_;
    same.epochs = 1;
    return options_to_json(same);
  }
  void add_query(std::span<const std::int64_t> history, PackedItems& batch) const override {
    std::vector<std::int64_t> asked(history.begin(), history.end());
    asked.push_back(item_count());  // [MASK]
    batch.add(asked, options_.length);
  }
  bool learns_from(std::span<const std::int64_t> history) const override {
    return !history.empty();
  }

  Loss batch_loss(SequenceNet& net, std::span<const UserId> users, std::int64_t step,
                  train::Optimizer& optimizer, const Rng& rng) override {
    optimizer.set_learning_rate(rate_at(options_, step));
    PackedItems batch;
    std::vector<std::int64_t> rows;
    std::vector<std::int64_t> targets;
    Rng draws = rng.fork("masks");
    for (const UserId user : users) {
      const std::int64_t begin = batch.steps();
      batch.add(items_of(user), options_.length);
      mask(batch, begin, draws, rows, targets);
    }
    Rng masks = rng.fork("dropout");
    const torch::Tensor states = net.states(batch, masks);
    const torch::Tensor masked = states.index_select(0, nn::index_tensor(rows, torch::kCPU));
    const torch::Tensor loss =
        static_cast<const Net&>(net).loss(masked, nn::index_tensor(targets, torch::kCPU));
    const auto count = static_cast<std::int64_t>(rows.size());
    return {loss / static_cast<double>(count), count};
  }

 private:
  // Hides events of the sequence that begins at row `begin`; at least one.
  void mask(PackedItems& batch, std::int64_t begin, Rng& rng, std::vector<std::int64_t>& rows,
            std::vector<std::int64_t>& targets) const {
    const std::int64_t end = batch.steps();
    std::vector<std::int64_t> chosen;
    if (rng.uniform() < options_.last_share) {
      chosen.push_back(end - 1);
    } else {
      for (std::int64_t row = begin; row < end; ++row) {
        if (rng.uniform() < options_.mask_share) chosen.push_back(row);
      }
      if (chosen.empty()) {
        const auto length = static_cast<std::uint64_t>(end - begin);
        chosen.push_back(begin + static_cast<std::int64_t>(rng.below(length)));
      }
    }
    for (const std::int64_t row : chosen) {
      rows.push_back(row);
      targets.push_back(batch.items[static_cast<std::size_t>(row)]);
      batch.items[static_cast<std::size_t>(row)] = item_count();
    }
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  if (options.dim % options.heads != 0) {
    throw Error(Kind::kBadOption, "heads must divide dim", "heads");
  }
  return std::make_unique<Bert4Rec>(options);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::bert4rec
