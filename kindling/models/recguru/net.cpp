#include "kindling/models/recguru/net.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/kernels/dropout_mask.h"
#include "kindling/kernels/packed_attention.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/user_network.h"

namespace kindling::recguru {

namespace {

constexpr double kEpsilon = 1e-8;  // of the layer normalisations

nn::BlockOptions block_options(const Options& options, bool causal) {
  nn::BlockOptions block;
  block.dim = options.dim;
  block.heads = options.heads;
  block.hidden = options.hidden;
  block.form = options.norm == "pre" ? nn::BlockForm::kPreNorm : nn::BlockForm::kPostNorm;
  block.causal = causal;
  block.dropout_first = true;
  block.attention_dropout = options.dropout;
  block.middle_dropout = options.dropout;
  block.feed_out_dropout = options.dropout;
  block.epsilon = kEpsilon;
  return block;
}

// The sequence of each row.
torch::Tensor owners(std::span<const std::int64_t> offsets) {
  std::vector<std::int64_t> owner;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    owner.insert(owner.end(), static_cast<std::size_t>(offsets[b + 1] - offsets[b]),
                 static_cast<std::int64_t>(b));
  }
  return nn::index_tensor(owner, torch::kCPU);
}

torch::Tensor normal_tensor(torch::IntArrayRef shape, double sd, Rng rng) {
  torch::Tensor values = torch::empty(shape, torch::kFloat32);
  float* value = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    value[i] = static_cast<float>(sd * rng.normal());
  }
  return values;
}

}  // namespace

torch::Tensor sinusoids(std::int64_t slots, std::int64_t dim) {
  torch::Tensor table = torch::empty({slots, dim}, torch::kFloat32);
  float* value = table.data_ptr<float>();
  for (std::int64_t slot = 0; slot < slots; ++slot) {
    for (std::int64_t c = 0; c < dim; ++c) {
      const double power = static_cast<double>(c - c % 2) / static_cast<double>(dim);
      const double angle = static_cast<double>(slot) / std::pow(10000.0, power);
      value[slot * dim + c] = static_cast<float>(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

FinalNorm::FinalNorm(std::int64_t dim)
    : dim_(dim),
      gain_(register_parameter("gain", torch::ones({dim}))),
      shift_(register_parameter("shift", torch::zeros({dim}))) {}

torch::Tensor FinalNorm::forward(const torch::Tensor& x) const {
  return torch::layer_norm(x, {dim_}, gain_, shift_, kEpsilon);
}

std::vector<std::int64_t> lengths_of(const PackedRows& rows) {
  std::vector<std::int64_t> lengths;
  for (std::size_t b = 0; b + 1 < rows.offsets.size(); ++b) {
    lengths.push_back(rows.offsets[b + 1] - rows.offsets[b]);
  }
  return lengths;
}

Decoder::Decoder(const Options& options, bool user_vector, Rng& rng)
    : dim_(options.dim),
      heads_(options.heads),
      dropout_(options.dropout),
      full_(options.user_attention == "full") {
  const bool pre = options.norm == "pre";
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    blocks_.push_back(
        register_module(fmt::format("layer{}", layer),
                        std::make_shared<nn::TransformerBlock>(block_options(options, true), rng)));
    if (!user_vector) continue;
    const auto add = [&](const char* what, const torch::Tensor& start) {
      return register_parameter(fmt::format("user{}_{}", layer, what), start);
    };
    UserLayer user;
    const nn::LinearStart value = nn::linear_start(dim_, dim_, rng);
    const nn::LinearStart out = nn::linear_start(dim_, dim_, rng);
    user.value_weight = add("value_weight", value.weight);
    user.value_bias = add("value_bias", value.bias);
    user.out_weight = add("out_weight", out.weight);
    user.out_bias = add("out_bias", out.bias);
    if (!pre) {
      user.gain = add("norm_gain", torch::ones({dim_}));
      user.shift = add("norm_shift", torch::zeros({dim_}));
    }
    if (full_) {
      Rng apart = rng.fork("user attention");  // all other weights start as without them
      user.query_weight = add("query_weight", nn::linear_start(dim_, dim_, apart).weight);
      user.key_weight = add("key_weight", nn::linear_start(dim_, dim_, apart).weight);
    }
    user_.push_back(user);
  }
  if (pre) final_ = register_module("final", std::make_shared<FinalNorm>(dim_));
}

// h stands once for each of the encoder's rows as key and value; pads behind them are masked.
torch::Tensor Decoder::full_attention(const UserLayer& user, const torch::Tensor& x,
                                      const torch::Tensor& h, const torch::Tensor& owner,
                                      std::span<const std::int64_t> keys, double p,
                                      Rng& rng) const {
  const std::int64_t n = x.size(0);
  const std::int64_t width = dim_ / heads_;
  const std::int64_t most = keys.empty() ? 0 : *std::max_element(keys.begin(), keys.end());
  const auto rows_of = [&](const torch::Tensor& each) {  // [B, D] -> [N, heads, most, width]
    return each.index_select(0, owner).view({n, heads_, 1, width}).expand({n, heads_, most, width});
  };
  const torch::Tensor query = x.mm(user.query_weight.t()).view({n, heads_, 1, width});
  const torch::Tensor key = rows_of(h.mm(user.key_weight.t()));
  const torch::Tensor value = rows_of(torch::addmm(user.value_bias, h, user.value_weight.t()));
  const torch::Tensor count = nn::index_tensor(keys, x.device()).index_select(0, owner);
  const torch::Tensor pads = torch::arange(most, count.options()) >= count.view({n, 1, 1, 1});
  torch::Tensor weights = query.matmul(key.transpose(2, 3)) / std::sqrt(static_cast<double>(width));
  weights = weights.masked_fill(pads, -INFINITY).softmax(3);  // [N, heads, 1, most]
  if (p > 0.0) {
    torch::Tensor mask = torch::empty({n, heads_, 1, most}, torch::kFloat32);
    kernels::dropout_mask(rng.next(), p, nn::floats_of(mask),
                          static_cast<std::size_t>(mask.numel()));
    weights = weights * mask.to(weights.options());
  }
  const torch::Tensor mixed = weights.matmul(value).view({n, dim_});
  return torch::addmm(user.out_bias, mixed, user.out_weight.t());
}

torch::Tensor Decoder::add_user(std::size_t layer, const torch::Tensor& x,
                                std::span<const std::int64_t> parts, const torch::Tensor& h,
                                std::span<const std::int64_t> keys, Rng& rng) const {
  const UserLayer& user = user_[layer];
  const torch::Tensor value = torch::addmm(user.value_bias, h, user.value_weight.t());  // [B, D]
  const torch::Tensor owner = owners(parts).to(x.device());
  const double p = is_training() ? dropout_ : 0.0;
  torch::Tensor added;
  if (full_) {
    added = full_attention(user, x, h, owner, keys, p, rng);
  } else if (p == 0.0) {
    added = torch::addmm(user.out_bias, value, user.out_weight.t()).index_select(0, owner);
  } else {
    kernels::PackedAttention problem;
    problem.offsets = parts;
    problem.heads = static_cast<std::size_t>(heads_);
    problem.dropout = p;
    problem.seed = rng.next();
    torch::Tensor shares = torch::empty({x.size(0), heads_}, torch::kFloat32);
    kernels::dropout_shares(problem, keys, nn::floats_of(shares));
    // What head h adds to its user's rows, [H, B, D]: the heads' columns of W_o apart.
    const std::int64_t width = dim_ / heads_;
    const torch::Tensor heads = value.view({value.size(0), heads_, width})
                                    .transpose(0, 1)
                                    .bmm(user.out_weight.t().view({heads_, width, dim_}));
    added = user.out_bias;
    for (std::int64_t head = 0; head < heads_; ++head) {
      added = added + heads[head].index_select(0, owner) *
                          shares.select(1, head).unsqueeze(1).to(x.options());
    }
  }
  if (final_) return x + added;  // norm=pre: what it reads, h, is normalised already
  return torch::layer_norm(x + added, {dim_}, user.gain, user.shift, kEpsilon);
}

torch::Tensor Decoder::forward(torch::Tensor x, std::span<const std::int64_t> offsets,
                               const torch::Tensor& h, std::span<const std::int64_t> keys, Rng& rng,
                               std::span<const std::int64_t> parts) {
  if (parts.empty()) parts = offsets;
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    x = blocks_[layer]->attend(x, offsets, rng);
    if (!user_.empty()) x = add_user(layer, x, parts, h, keys, rng);
    x = blocks_[layer]->feed(x, rng);
  }
  return final_ ? final_->forward(x) : x;
}

Net::Net(const Options& options, Variant variant, bool for_training, const Rng& rng)
    : options_(options) {
  const bool user_vector = variant != Variant::kSeqRec;
  if (user_vector) {
    Rng stream = rng.fork("encoder");
    for (std::int64_t layer = 0; layer < options.layers; ++layer) {
      encoder_.push_back(register_module(
          fmt::format("encoder{}", layer),
          std::make_shared<nn::TransformerBlock>(block_options(options, false), stream)));
    }
    if (options.norm == "pre") {
      encoder_norm_ = register_module("encoder_final", std::make_shared<FinalNorm>(options.dim));
    }
  }
  const auto make = [&](const char* name, const char* start) {
    Rng stream = rng.fork(start);
    return register_module(name, std::make_shared<Decoder>(options, user_vector, stream));
  };
  if (for_training && variant == Variant::kRecGuru) {
    decoders_[kSource] = make("decoder_a", "decoder_a");
  }
  if (options.recommender_start == "shared" && user_vector) {
    recommender_ = decoders_[kTarget] = make("recommender", "decoder_b");
  } else {
    if (for_training && user_vector) decoders_[kTarget] = make("decoder_b", "decoder_b");
    recommender_ = make("recommender", "recommender");
  }
  for (const int domain : {kSource, kTarget}) {
    if (options.positions == "learned") {
      if (domain == kSource && (!for_training || variant != Variant::kRecGuru)) continue;
      positions_[domain] = register_parameter(
          domain == kSource ? "positions_a" : "positions_b",
          normal_tensor({options.max_length, options.dim}, options.position_scale,
                        rng.fork("positions", domain == kTarget)));
    } else {
      positions_[domain] = options.position_scale * sinusoids(options.max_length, options.dim);
    }
  }
}

torch::Tensor Net::embed(int domain, const torch::Tensor& table, const PackedRows& rows,
                         Rng& rng) const {
  const torch::Tensor ids = nn::index_tensor(rows.ids, torch::kCPU);
  const torch::Tensor slots = nn::index_tensor(rows.positions, torch::kCPU);
  const torch::Tensor x = options_.input_scale * table.index_select(0, ids) +
                          positions_[domain].to(table.scalar_type()).index_select(0, slots);
  return nn::dropout(x, is_training() ? options_.dropout : 0.0, rng);
}

torch::Tensor Net::user_vectors(int domain, const torch::Tensor& table, const PackedRows& rows,
                                Rng& rng) {
  torch::Tensor x = embed(domain, table, rows, rng);
  for (std::size_t layer = 0; layer + 1 < encoder_.size(); ++layer) {
    x = encoder_[layer]->forward(x, rows.offsets, rng);
  }
  x = encoder_.back()->feed(encoder_.back()->attend(x, rows.offsets, rng, true), rng);
  return encoder_norm_ ? encoder_norm_->forward(x) : x;
}

torch::Tensor Net::decode(Decoder& decoder, int domain, const torch::Tensor& table,
                          const PackedRows& rows, const torch::Tensor& h,
                          std::span<const std::int64_t> keys, Rng& rng,
                          std::span<const std::int64_t> parts) {
  return decoder.forward(embed(domain, table, rows, rng), rows.offsets, h, keys, rng, parts);
}

void Net::start_recommender_from_decoder() {
  nn::load_parameters(*recommender_, nn::named_parameters(*decoders_[kTarget]));
}

}  // namespace kindling::recguru
