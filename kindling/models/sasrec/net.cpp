#include "kindling/models/sasrec/net.h"

#include <cmath>

#include <fmt/format.h>

#include "kindling/nn/gather_dot.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/user_network.h"

namespace kindling::sasrec {

namespace {

// Xavier's normal distribution, with which the PyTorch port starts every matrix [B10].
torch::Tensor xavier_normal(std::int64_t rows, std::int64_t cols, Rng& rng) {
  return normal_tensor({rows, cols}, std::sqrt(2.0 / static_cast<double>(rows + cols)), rng);
}

// The matrices of a block as the port starts them, queries, keys and values as the one [3D, D] that
// they are there; its attention has biases of 0.
void start_as_port(torch::nn::Module& block, Rng& rng) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : block.named_parameters()) {
    torch::Tensor& value = parameter.value();
    if (value.dim() == 2) {
      value.copy_(xavier_normal(value.size(0), value.size(1), rng));
    } else if (parameter.key() == "in_bias" || parameter.key() == "out_bias") {
      value.zero_();
    }
  }
}

// sin and cos of slot / 10000^(2i / D) in turn: Vaswani et al. 2017.
torch::Tensor sinusoids(std::int64_t length, std::int64_t dim) {
  torch::Tensor table = torch::empty({length, dim}, torch::kFloat32);
  float* values = table.data_ptr<float>();
  for (std::int64_t slot = 0; slot < length; ++slot) {
    for (std::int64_t i = 0; i < dim; ++i) {
      const double rate =
          std::pow(10000.0, -static_cast<double>(i / 2 * 2) / static_cast<double>(dim));
      const double angle = static_cast<double>(slot) * rate;
      *values++ = static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

nn::BlockOptions block_options(const Options& options) {
  nn::BlockOptions block;
  block.dim = options.dim;
  block.heads = options.heads;
  block.hidden = options.hidden > 0 ? options.hidden : options.dim;
  block.attention_dropout = options.dropout;
  block.middle_dropout = options.dropout;
  block.feed_out_dropout = options.dropout;
  if (options.released) {  // RecGURU's encoder: specs/recguru.md section 3
    block.form = nn::BlockForm::kPostNorm;
    block.causal = false;
    block.activation = kernels::Activation::kGeluTanh;
    block.dropout_first = true;
    block.output_projection = true;
    block.attention_out_dropout = 0.0;
  } else {
    block.form = nn::BlockForm::kSasRec;
    block.causal = true;
    block.activation = kernels::Activation::kRelu;
    block.output_projection = options.output_projection;
  }
  return block;
}

}  // namespace

Net::Net(const Options& options, std::int64_t items, const Rng& rng) : options_(options) {
  Rng tables = rng.fork("tables");
  if (options.released) {  // the framework's start of a table
    items_ = register_parameter("items", normal_tensor({items, options.dim}, 1.0, tables));
    positions_ = sinusoids(options.length, options.dim);
  } else {
    items_ = register_parameter("items", xavier_normal(items, options.dim, tables));
    positions_ =
        register_parameter("positions", xavier_normal(options.length, options.dim, tables));
  }
  Rng weights = rng.fork("blocks");
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    blocks_.push_back(
        register_module(fmt::format("block{}", layer),
                        std::make_shared<nn::TransformerBlock>(block_options(options), weights)));
    if (!options.released) start_as_port(*blocks_.back(), weights);
  }
  if (!options.released) {
    gain_ = register_parameter("norm_gain", torch::ones({options.dim}));
    shift_ = register_parameter("norm_shift", torch::zeros({options.dim}));
  }
}

torch::Tensor Net::states(const torch::Tensor& items, const PackedItems& batch, Rng& rng) {
  const double scale = options_.released ? 1.0 : std::sqrt(static_cast<double>(options_.dim));
  torch::Tensor x =
      items.index_select(0, nn::index_tensor(batch.items, torch::kCPU)) * scale +
      positions_.index_select(0, nn::index_tensor(batch.slots, torch::kCPU));  // [N, D]
  x = nn::dropout(x, is_training() ? options_.dropout : 0.0, rng);
  for (const auto& block : blocks_) x = block->forward(x, batch.offsets, rng);
  if (options_.released) return x;
  return torch::layer_norm(x, {options_.dim}, gain_, shift_, 1e-8);
}

std::unique_ptr<train::Optimizer> make_adam(const Options& options, const SequenceNet& net) {
  std::vector<train::Parameter> parameters;
  for (const auto& parameter : net.named_parameters()) {
    parameters.push_back({parameter.key(), parameter.value(), 0.0, parameter.key() == "items"});
  }
  return train::make_optimizer({.kind = "adam",
                                .learning_rate = options.learning_rate,
                                .eps = 1e-8,
                                .beta1 = 0.9,
                                .beta2 = options.beta2},
                               std::move(parameters));
}

torch::Tensor training_loss(Net& net, const TrainingBatch& batch, TableRows& rows, Rng& rng) {
  PackedItems inputs = batch.inputs;
  for (std::int64_t& item : inputs.items) item = rows.add(item);
  std::vector<std::int64_t> among = batch.candidates;
  for (std::int64_t& item : among) item = rows.add(item);
  const torch::Tensor& items = rows.take(net.output_items());
  return pair_loss(net.states(items, inputs, rng), items,
                   nn::index_tensor(among, torch::kCPU).view({inputs.steps(), -1}));
}

torch::Tensor pair_loss(const torch::Tensor& states, const torch::Tensor& items,
                        const torch::Tensor& candidates) {
  const torch::Tensor scores = nn::gather_dot(states, items, candidates);  // [N, 1 + K]
  const torch::Tensor target = scores.select(1, 0);
  const torch::Tensor others = scores.narrow(1, 1, scores.size(1) - 1).mean(1);
  // −log σ(x) = softplus(−x); −log(1 − σ(x)) = softplus(x).
  return (torch::softplus(-target) + torch::softplus(others)).mean();
}

}  // namespace kindling::sasrec
