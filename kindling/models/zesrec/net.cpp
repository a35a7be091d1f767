#include "kindling/models/zesrec/net.h"

#include <algorithm>
#include <cmath>

#include "kindling/base/parallel.h"
#include "kindling/kernels/linear_algebra.h"
#include "kindling/nn/decayed_mean.h"
#include "kindling/nn/losses.h"
#include "kindling/nn/tensors.h"

namespace kindling::zesrec {

namespace {

torch::Tensor uniform_tensor(std::vector<std::int64_t> shape, double limit, Rng rng) {
  torch::Tensor tensor = torch::empty(shape, torch::kFloat32);
  float* values = tensor.data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(rng.uniform(-limit, limit));
  }
  return tensor;
}

// W [D, E] as option item_init says.
torch::Tensor item_weight(const Options& options, std::int64_t input_dim, const Rng& rng) {
  const double xavier = std::sqrt(6.0 / static_cast<double>(input_dim + options.dim));
  if (options.item_init == "xavier") {
    return uniform_tensor({options.dim, input_dim}, xavier, rng.fork("item_weight"));
  }
  const std::int64_t rows = std::min(options.dim, input_dim);
  const std::int64_t cols = std::max(options.dim, input_dim);
  torch::Tensor basis = uniform_tensor({rows, cols}, xavier, rng.fork("item_weight"));
  kernels::orthonormal_rows(static_cast<std::size_t>(rows), static_cast<std::size_t>(cols),
                            basis.data_ptr<float>());
  return options.dim <= input_dim ? basis : basis.t().contiguous();
}

// A stream for each row, so that the numbers do not depend on the number of threads.
torch::Tensor normal_like(const torch::Tensor& shape, const Rng& rng) {
  torch::Tensor tensor = torch::empty(shape.sizes(), torch::kFloat32);
  const auto width = static_cast<std::size_t>(shape.size(1));
  float* values = tensor.data_ptr<float>();
  parallel_for(static_cast<std::size_t>(shape.size(0)), 64, [&](std::size_t from, std::size_t to) {
    for (std::size_t row = from; row < to; ++row) {
      Rng stream = rng.fork("row", row);
      for (std::size_t c = 0; c < width; ++c) {
        values[row * width + c] = static_cast<float>(stream.normal());
      }
    }
  });
  return tensor.to(shape.device(), shape.scalar_type());
}

// Of the last row of each query alone, which is all that is read: from what the query holds, not
// from its place among others.
torch::Tensor query_noise(const torch::Tensor& shape, const SequenceBatch& batch, const Rng& rng) {
  torch::Tensor tensor = torch::zeros(shape.sizes(), torch::kFloat32);
  const auto width = static_cast<std::size_t>(shape.size(1));
  float* values = tensor.data_ptr<float>();
  for (std::size_t q = 0; q + 1 < batch.offsets.size(); ++q) {
    Rng stream = rng;
    for (auto row = batch.offsets[q]; row < batch.offsets[q + 1]; ++row) {
      stream = stream.fork("event",
                           static_cast<std::uint64_t>(batch.inputs[static_cast<std::size_t>(row)]));
    }
    float* last = values + static_cast<std::size_t>(batch.offsets[q + 1] - 1) * width;
    for (std::size_t c = 0; c < width; ++c) last[c] = static_cast<float>(stream.normal());
  }
  return tensor.to(shape.device(), shape.scalar_type());
}

// ½ Σ_d [λ (m - prior)² + λ σ² - log(λ σ²) - 1]: KL of N(m, σ²) from N(prior, 1/λ), row by row.
torch::Tensor normal_kl(const torch::Tensor& distance, const torch::Tensor& log_variance,
                        double precision) {
  return 0.5 * (precision * distance.square() + precision * log_variance.exp() - log_variance -
                std::log(precision) - 1.0)
                   .sum(1);
}

}  // namespace

torch::Tensor at_targets(const torch::Tensor& of_steps, const SequenceBatch& batch) {
  if (batch.asked.empty()) return of_steps;
  return of_steps.index_select(0, nn::index_tensor(batch.asked, of_steps.device()));
}

StepRows all_rows(const SequenceBatch& batch) { return {{}, batch.inputs, batch.targets, {}}; }

StepRows rows_among(std::vector<std::int64_t> rows, const SequenceBatch& batch,
                    const std::vector<std::int64_t>& sampled) {
  StepRows step;
  step.rows = std::move(rows);
  const auto place = [&](std::int64_t item) {
    if (item == kDummyItem) return kDummyItem;
    return static_cast<std::int64_t>(std::lower_bound(step.rows.begin(), step.rows.end(), item) -
                                     step.rows.begin());
  };
  for (const std::int64_t item : batch.inputs) step.inputs.push_back(place(item));
  for (const std::int64_t item : batch.targets) step.targets.push_back(place(item));
  for (const std::int64_t item : sampled) step.sampled.push_back(place(item));
  return step;
}

StepRows touched_rows(const SequenceBatch& batch, const std::vector<std::int64_t>& sampled) {
  std::vector<std::int64_t> rows = sampled;
  rows.insert(rows.end(), batch.targets.begin(), batch.targets.end());
  for (const std::int64_t item : batch.inputs) {
    if (item != kDummyItem) rows.push_back(item);
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows_among(std::move(rows), batch, sampled);
}

Net::Net(const Options& options, std::int64_t input_dim, const Rng& rng) : options_(options) {
  const std::int64_t d = options.dim;
  if (options.item_table) {
    table_ = register_parameter("item_table",
                                uniform_tensor({input_dim, d}, 0.1, rng.fork("item_table")));
  } else {
    weight_ = register_parameter("item_weight", item_weight(options, input_dim, rng));
    bias_ = register_parameter("item_bias", torch::zeros({d}));
  }
  dummy_ = register_parameter("dummy", uniform_tensor({d}, options.dummy_init, rng.fork("dummy")));
  nn::UserNetworkOptions user;
  user.kind = options.network;
  user.dim = d;
  user.layers = options.layers;
  user.tcn_blocks = options.tcn_blocks;
  user.tcn_kernel = options.tcn_kernel;
  user.tcn_final_linear = options.tcn_final_linear;
  user.dropout = options.dropout;
  user.gap_dim = options.gap_dim;
  // The same stream for all three: the posterior starts at the prior.
  const auto make_user = [&] {
    Rng stream = rng.fork("user");
    return nn::make_user_network(user, stream);
  };
  user_ = register_module("user", make_user());
  if (options.residual > 0) {
    residual_ = register_parameter("residual", torch::full({1}, options.residual));
  }
  if (options.samples_vectors()) {
    const double start = -std::log(std::max(options.lambda_v, 1e-6));  // σ² = 1/λ_v: KL 0
    mean_weight_ = register_parameter("item_mean_weight", weight_.detach().clone());
    mean_bias_ = register_parameter("item_mean_bias", torch::zeros({d}));
    log_weight_ = register_parameter("item_log_variance_weight", torch::zeros({d, input_dim}));
    log_bias_ = register_parameter("item_log_variance_bias", torch::full({d}, start));
  }
  if (options.general_bound()) {
    user_mean_ = register_module("user_mean", make_user());
    user_spread_ = register_module("user_spread", make_user());
    user_log_weight_ = register_parameter("user_log_variance_weight", torch::zeros({d, d}));
    user_log_bias_ =
        register_parameter("user_log_variance_bias", torch::full({d}, -std::log(options.lambda_u)));
  }
}

void Net::make_offsets(std::int64_t items, const Rng& rng) {
  if (options_.variant != "map") return;
  offsets = options_.offset_init > 0
                ? uniform_tensor({items, options_.dim}, options_.offset_init, rng.fork("offsets"))
                : torch::zeros({items, options_.dim});
  offsets = offsets.to(dummy_.device());
  if (!lazy) offsets.requires_grad_(true);
}

torch::Tensor Net::linear(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias) const {
  const torch::Tensor m = torch::addmm(bias, x, weight.t());
  return options_.activation == "tanh" ? m.tanh() : m;
}

torch::Tensor Net::item_means(const torch::Tensor& x, bool with_offsets) {
  if (table_.defined()) return table_;
  if (options_.samples_vectors()) return linear(x, mean_weight_, mean_bias_);
  const torch::Tensor m = linear(x, weight_, bias_);
  return with_offsets && offsets.defined() ? m + offsets : m;
}

torch::Tensor Net::item_draw(const torch::Tensor& x, const Rng& rng) {
  const torch::Tensor mean = linear(x, mean_weight_, mean_bias_);
  const torch::Tensor log_variance = torch::addmm(log_bias_, x, log_weight_.t());
  return mean + options_.noise * (0.5 * log_variance).exp() * normal_like(mean, rng.fork("items"));
}

Net::ItemSample Net::training_items(const torch::Tensor& x, const StepRows& step, bool penalty,
                                    const Rng& rng) {
  ItemSample sample;
  if (table_.defined()) {
    sample.values = step.rows.empty()
                        ? table_
                        : table_.index_select(0, nn::index_tensor(step.rows, table_.device()));
    return sample;
  }
  const torch::Tensor prior = linear(x, weight_, bias_);  // [R, D]
  if (options_.samples_vectors()) {
    const torch::Tensor mean = linear(x, mean_weight_, mean_bias_);
    const torch::Tensor log_variance = torch::addmm(log_bias_, x, log_weight_.t());
    const torch::Tensor noise = options_.noise * normal_like(mean, rng.fork("items"));  // [Z18]
    sample.values = mean + (0.5 * log_variance).exp() * noise;
    sample.penalty = normal_kl(mean - prior, log_variance, options_.lambda_v);
    return sample;
  }
  sample.values = prior;
  if (!offsets.defined()) return sample;
  torch::Tensor part = offsets;
  if (!step.rows.empty()) {
    const torch::Tensor rows = nn::index_tensor(step.rows, x.device());
    if (lazy) {
      lazy_rows = rows;
      lazy_offsets = offsets.index_select(0, rows).requires_grad_(true);
      part = lazy_offsets;
    } else {
      part = offsets.index_select(0, rows);
    }
  }
  sample.values = prior + part;
  if (lazy && !step.rows.empty()) {
    sample.penalty = 0.5 * options_.lambda_v * part.square().sum(1);
  } else if (penalty) {
    sample.penalty = 0.5 * options_.lambda_v * offsets.square().sum(1);
  }
  return sample;
}

// Over an epoch the weights of item j's penalty add up to the same as one full penalty in every
// step: a batch that asks for j c_j times carries c_j / n_j of the epoch's N_tok / n_B steps. An
// item that is never asked for takes the full penalty when it is touched.
torch::Tensor Net::row_weights(const StepRows& step, const Corpus& corpus) const {
  std::vector<float> weights(step.rows.size(), 0.0F);
  const double steps =
      static_cast<double>(corpus.tokens) / static_cast<double>(step.targets.size());
  for (const std::int64_t place : step.targets) {
    const auto at = static_cast<std::size_t>(place);
    const std::int64_t item = step.rows[at];
    const std::int64_t count = corpus.target_count[static_cast<std::size_t>(item)];
    weights[at] +=
        static_cast<float>(steps / static_cast<double>(std::max<std::int64_t>(count, 1)));
  }
  for (std::size_t at = 0; at < weights.size(); ++at) {
    if (corpus.target_count[static_cast<std::size_t>(step.rows[at])] == 0) weights[at] = 1.0F;
  }
  return torch::tensor(weights, torch::kFloat32);
}

torch::Tensor Net::recent(const torch::Tensor& x, const SequenceBatch& batch,
                          CarriedStates* carried) const {
  // The dummy of a later session is not the last item.
  if (!(options_.residual_decay > 0) && !marks_sessions(options_.sequences)) return x;
  return nn::decayed_mean(x, batch, options_.residual_decay,
                          carried == nullptr ? nullptr : &carried->at(3));
}

torch::Tensor Net::user_states(const torch::Tensor& values, const std::vector<std::int64_t>& inputs,
                               const SequenceBatch& batch, CarriedStates* carried, bool draw,
                               const Rng& rng, torch::Tensor* user_penalty) {
  const torch::Tensor index = nn::index_tensor(inputs, values.device());
  const torch::Tensor is_dummy = (index < 0).unsqueeze(1);
  const torch::Tensor known = values.index_select(0, index.clamp_min(0));
  const torch::Tensor dummy = options_.dummy == "fixed" ? dummy_.detach() : dummy_;
  torch::Tensor x = torch::where(is_dummy, dummy, known);  // [N, D]
  const torch::Tensor last = x;
  const double p = is_training() ? options_.dropout : 0.0;
  if (p > 0 && options_.dropout_places != "outputs") {
    Rng stream = rng.fork("dropout.in");
    x = nn::dropout(x, p, stream);
  }
  if (carried != nullptr) carried->resize(4);
  const auto run = [&](const std::shared_ptr<nn::UserNetwork>& network, std::size_t slot) {
    Rng stream = rng.fork("dropout.user", 0);  // the same masks: equal networks stay equal
    return network->forward(x, batch, carried == nullptr ? nullptr : &carried->at(slot), stream);
  };
  torch::Tensor u;
  if (options_.general_bound()) {
    u = run(user_mean_, 1);
    if (draw) {
      const torch::Tensor spread = run(user_spread_, 2);
      const torch::Tensor log_variance = torch::addmm(user_log_bias_, spread, user_log_weight_.t());
      if (user_penalty != nullptr) {
        *user_penalty =
            at_targets(normal_kl(u - run(user_, 0), log_variance, options_.lambda_u), batch).sum();
      }
      const Rng stream = rng.fork("users");
      const torch::Tensor noise =
          batch.targets.empty() ? query_noise(u, batch, stream) : normal_like(u, stream);
      u = u + options_.noise * (0.5 * log_variance).exp() * noise;
    }
  } else {
    u = run(user_, 0);
  }
  if (residual_.defined()) u = u + residual_ * recent(last, batch, carried);
  if (p > 0 && options_.dropout_places != "inputs") {
    Rng stream = rng.fork("dropout.out");
    u = nn::dropout(u, p, stream);
  }
  return u;
}

Objective Net::objective(const SequenceBatch& batch, const Corpus& corpus,
                         const Negatives* negatives, CarriedStates* carried, bool penalty,
                         const Rng& rng) {
  const bool sampled = negatives != nullptr;
  const StepRows step = sampled                 ? touched_rows(batch, negatives->items)
                        : corpus.learnt.empty() ? all_rows(batch)
                                                : rows_among(corpus.learnt, batch);
  const auto device = dummy_.device();
  const torch::Tensor x = !step.rows.empty() && !table_.defined()
                              ? corpus.items.index_select(0, nn::index_tensor(step.rows, device))
                              : corpus.items;
  const ItemSample items = training_items(x, step, penalty, rng);
  torch::Tensor user_penalty;
  const torch::Tensor states = at_targets(
      user_states(items.values, step.inputs, batch, carried, true, rng, &user_penalty), batch);
  torch::Tensor loss;
  if (sampled) {
    std::vector<float> target_log_q;
    for (const std::int64_t item : batch.targets) {
      target_log_q.push_back(
          corpus.sampler->log_expected(static_cast<ItemId>(item), negatives->items.size()));
    }
    loss = nn::sampled_softmax_cross_entropy(
        states, items.values.index_select(0, nn::index_tensor(step.targets, device)),
        items.values.index_select(0, nn::index_tensor(step.sampled, device)),
        nn::index_tensor(batch.targets, device), nn::index_tensor(negatives->items, device),
        torch::tensor(target_log_q).to(device, states.scalar_type()),
        torch::tensor(negatives->log_expected).to(device, states.scalar_type()));
  } else {
    loss = nn::softmax_cross_entropy(states, items.values, nn::index_tensor(step.targets, device));
  }
  Objective result;
  result.targets = std::ssize(batch.targets);
  result.loss = loss.item<double>();
  const double n = static_cast<double>(result.targets);
  result.total = loss / n;
  if (user_penalty.defined()) result.total = result.total + user_penalty / n;
  if (items.penalty.defined()) {
    const bool by_rows = sampled && (lazy || options_.samples_vectors());
    const torch::Tensor sum = by_rows
                                  ? items.penalty.dot(row_weights(step, corpus).to(items.penalty))
                                  : items.penalty.sum();
    result.total = result.total + sum / static_cast<double>(corpus.tokens);
  }
  return result;
}

}  // namespace kindling::zesrec
