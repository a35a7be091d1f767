#include "kindling/nn/transformer.h"

#include <cmath>
#include <string>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/nn/attention.h"
#include "kindling/nn/init.h"
#include "kindling/nn/tensors.h"
#include "kindling/nn/user_network.h"

namespace kindling::nn {

LinearStart linear_start(std::int64_t out, std::int64_t in, Rng& rng) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  LinearStart start;
  start.weight = uniform_tensor({out, in}, bound, rng);
  start.bias = uniform_tensor({out}, bound, rng);
  return start;
}

TransformerBlock::TransformerBlock(const BlockOptions& options, Rng& rng) : options_(options) {
  const std::int64_t d = options.dim;
  if (options.heads < 1 || d % options.heads != 0) {
    throw Error(Kind::kBadOption,
                fmt::format("{} heads do not divide a width of {}", options.heads, d), "heads",
                "choose a width that is a multiple of the heads");
  }
  const auto add = [&](const char* name, std::int64_t out, std::int64_t in, torch::Tensor& weight,
                       torch::Tensor& bias) {
    const LinearStart start = linear_start(out, in, rng);
    weight = register_parameter(std::string(name) + "_weight", start.weight);
    bias = register_parameter(std::string(name) + "_bias", start.bias);
  };
  add("in", 3 * d, d, in_weight_, in_bias_);
  if (options.output_projection) add("out", d, d, out_weight_, out_bias_);
  add("feed1", options.hidden, d, feed_.w1, feed_.b1);
  add("feed2", d, options.hidden, feed_.w2, feed_.b2);
  for (int which = 0; which < 2; ++which) {
    gain_[which] = register_parameter(fmt::format("norm{}_gain", which + 1), torch::ones({d}));
    shift_[which] = register_parameter(fmt::format("norm{}_shift", which + 1), torch::zeros({d}));
  }
}

torch::Tensor TransformerBlock::normalise(const torch::Tensor& x, int which) const {
  return torch::layer_norm(x, {options_.dim}, gain_[which], shift_[which], options_.epsilon);
}

torch::Tensor TransformerBlock::mix(const torch::Tensor& queries, const torch::Tensor& x,
                                    std::span<const std::int64_t> offsets, Rng& rng,
                                    bool last_only) {
  const std::int64_t d = options_.dim;
  torch::Tensor qkv;  // [N, 3D]
  if (queries.is_same(x)) {
    qkv = torch::addmm(in_bias_, x, in_weight_.t());
  } else {
    const auto part = [&](const torch::Tensor& from, std::int64_t first, std::int64_t count) {
      return torch::addmm(in_bias_.narrow(0, first, count), from,
                          in_weight_.narrow(0, first, count).t());
    };
    qkv = torch::cat({part(queries, 0, d), part(x, d, 2 * d)}, 1);
  }
  AttentionOptions attend;
  attend.heads = options_.heads;
  attend.causal = options_.causal;
  attend.last_only = last_only;
  attend.dropout = rate(options_.attention_dropout);
  attend.seed = rng.next();
  torch::Tensor mixed = attention(qkv, offsets, attend);
  if (options_.output_projection) mixed = torch::addmm(out_bias_, mixed, out_weight_.t());
  return dropout(mixed, rate(options_.attention_out_dropout), rng);
}

torch::Tensor TransformerBlock::attend(const torch::Tensor& x,
                                       std::span<const std::int64_t> offsets, Rng& rng,
                                       bool last_only) {
  check(!last_only || options_.form != BlockForm::kSasRec, "last_only is not for the sasrec form");
  if (options_.form == BlockForm::kSasRec) {
    const torch::Tensor n = normalise(x, 0);
    return n + mix(n, x, offsets, rng, false);
  }
  torch::Tensor kept = x;
  if (last_only) {
    std::vector<std::int64_t> last;
    for (std::size_t b = 1; b < offsets.size(); ++b) last.push_back(offsets[b] - 1);
    kept = x.index_select(0, index_tensor(last, x.device()));
  }
  if (options_.form == BlockForm::kPreNorm) {
    const torch::Tensor n = normalise(x, 0);
    return kept + mix(n, n, offsets, rng, last_only);
  }
  return normalise(kept + mix(x, x, offsets, rng, last_only), 0);
}

torch::Tensor TransformerBlock::feed(const torch::Tensor& x, Rng& rng) {
  FeedForwardOptions middle;
  middle.activation = options_.activation;
  middle.dropout = rate(options_.middle_dropout);
  middle.dropout_first = options_.dropout_first;
  middle.seed = rng.next();
  const torch::Tensor in = options_.form == BlockForm::kPostNorm ? x : normalise(x, 1);
  const torch::Tensor out =
      dropout(feed_forward(in, feed_, middle), rate(options_.feed_out_dropout), rng);
  switch (options_.form) {
    case BlockForm::kPreNorm:
      return x + out;
    case BlockForm::kSasRec:
      return in + out;
    case BlockForm::kPostNorm:
      break;
  }
  return normalise(x + out, 1);
}

torch::Tensor TransformerBlock::forward(const torch::Tensor& x,
                                        std::span<const std::int64_t> offsets, Rng& rng) {
  return feed(attend(x, offsets, rng), rng);
}

}  // namespace kindling::nn
