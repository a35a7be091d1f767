#include "kindling/text/bert.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <cblas.h>
#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/hash.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/attention.h"
#include "kindling/kernels/gelu.h"
#include "kindling/kernels/large_pages.h"
#include "kindling/kernels/layer_norm.h"
#include "kindling/kernels/strassen.h"

namespace kindling {

namespace {

using Floats = std::vector<float>;
using kernels::StrassenMatrix;

// Tokens that go through the layers together: their activations stay in the cache of one core. Half
// as many measure alike, 512 make the products a sixth slower.
constexpr std::size_t kChunkTokens = 256;

struct Norm {
  Floats gain;
  Floats shift;
};

struct Layer {
  StrassenMatrix query_key_value;  // [3D, D]
  Floats query_bias;               // [D], scaled
  StrassenMatrix attention_out;    // [D, D]
  Floats attention_bias;           // [D], with the value bias folded in
  Norm attention_norm;
  StrassenMatrix inner;  // [F, D]
  Floats inner_bias;     // [F]
  StrassenMatrix outer;  // [D, F]
  Floats outer_bias;     // [D]
  Norm output_norm;
};

Norm take_norm(const WeightFiles& files, const std::string& name, std::size_t width) {
  return {files.take(name + ".weight", {width}), files.take(name + ".bias", {width})};
}

Layer take_layer(const WeightFiles& files, const BertConfig& bert, std::size_t number) {
  const std::size_t d = bert.width;
  const std::string base = fmt::format("encoder.layer.{}.", number);
  const std::string self = base + "attention.self.";
  Layer layer;
  const std::size_t head_width = d / bert.heads;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  Floats joined = files.take(self + "query.weight", {d, d});
  layer.query_bias = files.take(self + "query.bias", {d});
  for (float& value : joined) value *= scale;
  for (float& value : layer.query_bias) value *= scale;
  for (const char* name : {"key.weight", "value.weight"}) {
    const Floats more = files.take(self + name, {d, d});
    joined.insert(joined.end(), more.begin(), more.end());
  }
  layer.query_key_value = StrassenMatrix(joined.data(), 3 * d, d);
  const Floats mix = files.take(base + "attention.output.dense.weight", {d, d});
  layer.attention_bias = files.take(base + "attention.output.dense.bias", {d});
  const Floats value_bias = files.take(self + "value.bias", {d});
  cblas_sgemv(CblasRowMajor, CblasNoTrans, static_cast<int>(d), static_cast<int>(d), 1.0F,
              mix.data(), static_cast<int>(d), value_bias.data(), 1, 1.0F,
              layer.attention_bias.data(), 1);
  layer.attention_out = StrassenMatrix(mix.data(), d, d);
  layer.attention_norm = take_norm(files, base + "attention.output.LayerNorm", d);
  layer.inner = StrassenMatrix(
      files.take(base + "intermediate.dense.weight", {bert.inner, d}).data(), bert.inner, d);
  layer.inner_bias = files.take(base + "intermediate.dense.bias", {bert.inner});
  layer.outer = StrassenMatrix(files.take(base + "output.dense.weight", {d, bert.inner}).data(), d,
                               bert.inner);
  layer.outer_bias = files.take(base + "output.dense.bias", {d});
  layer.output_norm = take_norm(files, base + "output.LayerNorm", d);
  return layer;
}

// What decides the vectors: the weights' bytes, the tokenizer's files and the choices made here.
std::string make_fingerprint(const ModelDir& model, const WeightFiles& files) {
  Sha256 hash;
  hash.add(fmt::format("bert {} {} {} {}", model.bert.heads, model.max_tokens, model.normalize,
                       model.lower_case));
  for (const Pooling pooling : model.pooling)
    hash.add(fmt::format(" {}", static_cast<int>(pooling)));
  hash.add(model.prompt);
  for (const std::string& path : files.paths()) hash.add(sha256_file(path));
  for (const char* name : {"config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json"}) {
    const auto path = std::filesystem::path(model.directory) / name;
    if (std::filesystem::exists(path)) hash.add(name).add(sha256_file(path.string()));
  }
  return hash.hex();
}

// The products go through rows in pairs: a text of odd length gets one row more, which nothing
// reads.
std::size_t even(std::size_t length) { return length + length % 2; }

// The row behind a text of odd length, made the same whatever stood there before.
void clear_last_row(std::size_t length, std::size_t width, float* rows) {
  std::fill(rows + length * width, rows + even(length) * width, 0.0F);
}

// Longest first, cut into chunks of about kChunkTokens tokens; a long text is a chunk alone.
std::vector<std::vector<std::size_t>> make_chunks(std::span<const std::vector<TokenId>> sequences) {
  std::vector<std::size_t> order(sequences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return sequences[a].size() > sequences[b].size();
  });
  std::vector<std::vector<std::size_t>> chunks;
  std::size_t rows = 0;
  for (const std::size_t i : order) {
    const std::size_t more = even(sequences[i].size());
    if (chunks.empty() || rows + more > kChunkTokens) {
      chunks.emplace_back();
      rows = 0;
    }
    chunks.back().push_back(i);
    rows += more;
  }
  return chunks;
}

}  // namespace

struct BertEncoder::Weights {
  Floats words;      // [V, D]
  Floats positions;  // [P, D], with the vector of token type 0 added
  Norm norm;
  std::vector<Layer> layers;
};

struct BertEncoder::Scratch {
  std::vector<std::size_t> first;                       // row of each text's first token
  std::vector<std::size_t> length;                      // its tokens
  std::size_t rows = 0;                                 // T: of all texts, each an even number
  std::vector<float, kernels::LargePages<float>> room;  // what the following point into
  float* x = nullptr;                                   // [T, D]
  float* context = nullptr;                             // [T, D]
  float* mixed = nullptr;                               // [T, D]
  float* wide = nullptr;  // [T, max(3D, F)]: q, k, v, then the feed-forward layer
  Floats attention;
  Floats products;
};

BertEncoder::BertEncoder(ModelDir model)
    : model_(std::move(model)), tokenizer_(read_wordpiece(model_.directory, model_.lower_case)) {
  const BertConfig& bert = model_.bert;
  if (tokenizer_.size() > bert.vocabulary) {
    throw Error(Kind::kBadInput,
                fmt::format("the tokenizer has {} tokens, vocab_size of config.json is {}",
                            tokenizer_.size(), bert.vocabulary),
                model_.directory);
  }
  const WeightFiles files(model_.directory);
  auto weights = std::make_unique<Weights>();
  weights->words = files.take("embeddings.word_embeddings.weight", {bert.vocabulary, bert.width});
  weights->positions =
      files.take("embeddings.position_embeddings.weight", {bert.positions, bert.width});
  const Floats types =
      files.take("embeddings.token_type_embeddings.weight", {bert.types, bert.width});
  for (std::size_t i = 0; i < weights->positions.size(); ++i) {
    weights->positions[i] += types[i % bert.width];
  }
  weights->norm = take_norm(files, "embeddings.LayerNorm", bert.width);
  for (std::size_t l = 0; l < bert.layers; ++l) {
    weights->layers.push_back(take_layer(files, bert, l));
  }
  weights_ = std::move(weights);
  fingerprint_ = make_fingerprint(model_, files);
}

BertEncoder::~BertEncoder() = default;

std::vector<TokenId> BertEncoder::tokenize(const std::string& text) const {
  return tokenizer_.encode(model_.prompt.empty() ? text : model_.prompt + text, model_.max_tokens);
}

Matrix BertEncoder::encode(std::span<const std::string> texts) const {
  std::vector<std::vector<TokenId>> sequences(texts.size());
  constexpr std::size_t kGrain = 64;
  parallel_for(texts.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) sequences[i] = tokenize(texts[i]);
  });
  return encode_tokens(sequences);
}

Matrix BertEncoder::encode_tokens(std::span<const std::vector<TokenId>> sequences) const {
  Matrix out(sequences.size(), dim());
  const std::vector<std::vector<std::size_t>> chunks = make_chunks(sequences);
  std::vector<Scratch> scratch(static_cast<std::size_t>(threads()));
  // Each thread takes the next chunk when it is done with one: with fixed shares of several chunks
  // all wait for the last.
  std::atomic<std::size_t> next{0};
  parallel_for(scratch.size(), 1, [&](std::size_t, std::size_t) {
    Scratch& mine = scratch.at(static_cast<std::size_t>(thread_index()));
    for (std::size_t c = next++; c < chunks.size(); c = next++) {
      encode_chunk(sequences, chunks[c], mine, out);
    }
  });
  return out;
}

void BertEncoder::encode_chunk(std::span<const std::vector<TokenId>> sequences,
                               std::span<const std::size_t> order, Scratch& scratch,
                               Matrix& out) const {
  const BertConfig& bert = model_.bert;
  scratch.first.clear();
  scratch.length.clear();
  scratch.rows = 0;
  for (const std::size_t i : order) {
    scratch.first.push_back(scratch.rows);
    scratch.length.push_back(sequences[i].size());
    scratch.rows += even(sequences[i].size());
  }
  const std::size_t narrow = scratch.rows * bert.width;
  const std::size_t needed = 3 * narrow + scratch.rows * std::max(3 * bert.width, bert.inner);
  if (scratch.room.size() < needed) scratch.room.resize(needed);
  scratch.x = scratch.room.data();
  scratch.context = scratch.x + narrow;
  scratch.mixed = scratch.context + narrow;
  scratch.wide = scratch.mixed + narrow;

  for (std::size_t s = 0; s < order.size(); ++s) {
    float* rows = scratch.x + scratch.first[s] * bert.width;
    embed(sequences[order[s]], rows);
    clear_last_row(scratch.length[s], bert.width, rows);
  }
  for (std::size_t l = 0; l < bert.layers; ++l) run_layer(l, scratch);
  for (std::size_t s = 0; s < order.size(); ++s) {
    pool(scratch.x + scratch.first[s] * bert.width, scratch.length[s], out.row(order[s]));
  }
}

void BertEncoder::embed(const std::vector<TokenId>& tokens, float* out) const {
  const std::size_t d = model_.bert.width;
  check(!tokens.empty() && tokens.size() <= model_.bert.positions, "a sequence of wrong length");
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    check(tokens[t] >= 0 && static_cast<std::size_t>(tokens[t]) < model_.bert.vocabulary,
          "a token outside of the vocabulary");
    const float* word = weights_->words.data() + static_cast<std::size_t>(tokens[t]) * d;
    const float* position = weights_->positions.data() + t * d;
    for (std::size_t c = 0; c < d; ++c) out[t * d + c] = word[c] + position[c];
  }
  const kernels::LayerNorm norm{weights_->norm.gain.data(), weights_->norm.shift.data(),
                                static_cast<float>(model_.bert.epsilon)};
  kernels::add_layer_norm(norm, nullptr, nullptr, tokens.size(), d, out);
}

void BertEncoder::run_layer(std::size_t number, Scratch& scratch) const {
  const BertConfig& bert = model_.bert;
  const Layer& layer = weights_->layers[number];
  const std::size_t d = bert.width;
  const std::size_t tokens = scratch.rows;
  const auto epsilon = static_cast<float>(bert.epsilon);
  float* x = scratch.x;
  float* wide = scratch.wide;
  float* context = scratch.context;
  float* mixed = scratch.mixed;

  layer.query_key_value.multiply(x, tokens, scratch.products, wide);
  for (std::size_t s = 0; s < scratch.first.size(); ++s) {
    float* rows = context + scratch.first[s] * d;
    kernels::attention({scratch.length[s], bert.heads, d / bert.heads},
                       wide + scratch.first[s] * 3 * d, layer.query_bias.data(), scratch.attention,
                       rows);
    clear_last_row(scratch.length[s], d, rows);
  }
  layer.attention_out.multiply(context, tokens, scratch.products, mixed);
  kernels::add_layer_norm(
      {layer.attention_norm.gain.data(), layer.attention_norm.shift.data(), epsilon},
      layer.attention_bias.data(), x, tokens, d, mixed);

  layer.inner.multiply(mixed, tokens, scratch.products, wide);
  kernels::add_bias_activate(bert.activation, layer.inner_bias.data(), tokens, bert.inner, wide);
  layer.outer.multiply(wide, tokens, scratch.products, x);
  kernels::add_layer_norm({layer.output_norm.gain.data(), layer.output_norm.shift.data(), epsilon},
                          layer.outer_bias.data(), mixed, tokens, d, x);
}

void BertEncoder::pool(const float* states, std::size_t length, std::span<float> out) const {
  const std::size_t d = model_.bert.width;
  for (std::size_t p = 0; p < model_.pooling.size(); ++p) {
    const Pooling pooling = model_.pooling[p];
    for (std::size_t c = 0; c < d; ++c) {
      double sum = 0;
      double weighted = 0;
      float top = states[c];
      for (std::size_t t = 0; t < length; ++t) {
        const float value = states[t * d + c];
        sum += value;
        weighted += static_cast<double>(t + 1) * value;
        top = std::max(top, value);
      }
      const auto n = static_cast<double>(length);
      double result = states[c];
      if (pooling == Pooling::kMax) result = top;
      if (pooling == Pooling::kMean) result = sum / n;
      if (pooling == Pooling::kMeanSqrtLength) result = sum / std::sqrt(n);
      if (pooling == Pooling::kWeightedMean) result = weighted / (n * (n + 1) / 2);
      if (pooling == Pooling::kLastToken) result = states[(length - 1) * d + c];
      out[p * d + c] = static_cast<float>(result);
    }
  }
  if (!model_.normalize) return;
  double square = 0;
  for (const float value : out) square += static_cast<double>(value) * value;
  const auto scale = static_cast<float>(1 / std::max(std::sqrt(square), 1e-12));
  for (float& value : out) value *= scale;
}

}  // namespace kindling
