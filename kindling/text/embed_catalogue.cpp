#include "kindling/text/embed_catalogue.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/base/log.h"
#include "kindling/data/safetensors.h"
#include "kindling/text/whitening.h"

namespace kindling {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kKeyBytes = 32;

// The 64 hex digits of a SHA-256 as bytes.
std::string key_of(const std::string& text) {
  const std::string hex = sha256(text);
  std::string key;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    key += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return key;
}

class VectorCache {
 public:
  VectorCache(const std::string& folder, const TextEncoder& encoder) : dim_(encoder.dim()) {
    if (folder.empty()) return;
    folder_ = (fs::path(folder) / encoder.fingerprint().substr(0, 16)).string();
    make_directories(folder_);
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().extension() == ".safetensors") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) read(path);
  }

  bool has(const std::string& key) const { return rows_.contains(key); }
  std::span<const float> row(const std::string& key) const { return rows_.at(key); }

  void add(const std::vector<std::string>& keys, const Matrix& vectors) {
    std::string joined;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      joined += keys[i];
      rows_[keys[i]].assign(vectors.row(i).begin(), vectors.row(i).end());
    }
    if (folder_.empty()) return;
    const TensorView names{"keys",
                           DType::kU8,
                           {keys.size(), kKeyBytes},
                           std::as_bytes(std::span(joined.data(), joined.size()))};
    const std::string file = sha256(joined).substr(0, 32) + ".safetensors";
    write_safetensors((fs::path(folder_) / file).string(),
                      {tensor_view("vectors", vectors), names});
  }

 private:
  // A cache may be thrown away at any time, so whatever is wrong with a file only costs time.
  void read(const std::string& path) {
    try {
      const SafetensorsFile file(path);
      const Matrix vectors = file.matrix("vectors");
      const TensorInfo& keys = file.at("keys");
      if (keys.dtype != DType::kU8 || keys.shape != std::vector{vectors.rows(), kKeyBytes} ||
          vectors.cols() != dim_) {
        throw Error(Kind::kCorrupt, "unexpected shapes", path);
      }
      const auto* bytes = reinterpret_cast<const char*>(file.bytes(keys).data());
      for (std::size_t i = 0; i < vectors.rows(); ++i) {
        rows_[std::string(bytes + i * kKeyBytes, kKeyBytes)].assign(vectors.row(i).begin(),
                                                                    vectors.row(i).end());
      }
    } catch (const Error& error) {
      log_warning("left out a damaged cache file: {}", error.what());
    }
  }

  std::size_t dim_;
  std::string folder_;
  std::unordered_map<std::string, std::vector<float>> rows_;
};

// Distinct texts that the cache lacks, long ones first: chunks then hold texts of like length.
std::vector<std::pair<std::string, std::string>> missing_texts(std::span<const std::string> texts,
                                                               const std::vector<std::string>& keys,
                                                               const VectorCache& cache,
                                                               std::size_t& distinct) {
  std::map<std::string, const std::string*> seen;
  for (std::size_t i = 0; i < texts.size(); ++i) seen.emplace(keys[i], &texts[i]);
  distinct = seen.size();
  std::vector<std::pair<std::string, std::string>> missing;
  for (const auto& [key, text] : seen) {
    if (!cache.has(key)) missing.emplace_back(key, *text);
  }
  std::stable_sort(missing.begin(), missing.end(),
                   [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  return missing;
}

}  // namespace

Matrix embed_texts(const TextEncoder& encoder, std::span<const std::string> texts,
                   const std::string& cache_folder, EmbedCounts* counts) {
  const auto start = std::chrono::steady_clock::now();
  VectorCache cache(cache_folder, encoder);
  std::vector<std::string> keys;
  EmbedCounts found;
  for (const std::string& text : texts) {
    keys.push_back(key_of(text));
    found.empty += text.empty() ? 1 : 0;
  }
  const auto missing = missing_texts(texts, keys, cache, found.distinct);
  Progress bar("embed " + encoder.name(), missing.size());
  for (std::size_t begin = 0; begin < missing.size(); begin += kCacheChunk) {
    const std::size_t end = std::min(missing.size(), begin + kCacheChunk);
    std::vector<std::string> chunk_keys;
    std::vector<std::string> chunk;
    for (std::size_t i = begin; i < end; ++i) {
      chunk_keys.push_back(missing[i].first);
      chunk.push_back(missing[i].second);
    }
    cache.add(chunk_keys, encoder.encode(chunk));
    bar.step(end - begin);
  }
  Matrix vectors(texts.size(), encoder.dim());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::span<const float> row = cache.row(keys[i]);
    std::copy(row.begin(), row.end(), vectors.row(i).begin());
  }
  found.texts = texts.size();
  found.encoded = missing.size();
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (counts != nullptr) *counts = found;
  return vectors;
}

ItemVectors embed_catalogue(const Dataset& dataset, const TextEncoder& encoder,
                            const std::string& cache, EmbedCounts* counts) {
  return {embed_texts(encoder, item_texts(dataset), cache, counts), encoder.name(),
          encoder.fingerprint()};
}

ItemVectors embed_catalogue(const Dataset& dataset, const EmbedRequest& request,
                            EmbedCounts* counts) {
  std::vector<std::string> others;
  std::vector<std::string> fingerprints{items_fingerprint(dataset)};
  for (const Dataset& other : request.fit_on) {
    const std::vector<std::string> texts = item_texts(other);
    others.insert(others.end(), texts.begin(), texts.end());
    fingerprints.push_back(items_fingerprint(other));
  }
  std::vector<std::string> corpus = item_texts(dataset);
  corpus.insert(corpus.end(), others.begin(), others.end());
  const auto encoder = make_encoder(request.encoder, request.options, corpus);
  const std::string cache = needs_no_weights(request.encoder) ? std::string() : request.cache;
  ItemVectors vectors = embed_catalogue(dataset, *encoder, cache, counts);
  if (!request.whitening) return vectors;
  return whiten(vectors, embed_texts(*encoder, others, cache), *request.whitening,
                std::move(fingerprints));
}

ItemVectors whiten(const ItemVectors& vectors, MatrixView others, double exponent,
                   std::vector<std::string> fitted_on) {
  Matrix all(vectors.items() + others.rows(), vectors.dim());
  const std::size_t own = vectors.items() * vectors.dim();
  std::copy_n(vectors.values.data(), own, all.data());
  std::copy_n(others.data(), others.rows() * vectors.dim(), all.data() + own);
  std::sort(fitted_on.begin(), fitted_on.end());
  return {Whitening(all, exponent).apply(vectors.values), vectors.encoder,
          sha256(fmt::format("{} whiten {} {}", vectors.fingerprint, exponent,
                             fmt::join(fitted_on, " ")))};
}

std::vector<std::string> item_texts(const Dataset& dataset) {
  std::vector<std::string> texts;
  texts.reserve(dataset.item_count());
  for (const Item& item : dataset.items()) texts.push_back(item.text);
  return texts;
}

double anisotropy(MatrixView vectors) {
  std::vector<double> sum(vectors.cols(), 0.0);
  double rows = 0;
  for (std::size_t r = 0; r < vectors.rows(); ++r) {
    double square = 0;
    for (const float value : vectors.row(r)) square += static_cast<double>(value) * value;
    if (square == 0) continue;
    rows += 1;
    for (std::size_t c = 0; c < vectors.cols(); ++c) sum[c] += vectors(r, c) / std::sqrt(square);
  }
  if (rows < 2) return 0;
  double total = 0;
  for (const double value : sum) total += value * value;
  return (total - rows) / (rows * (rows - 1));  // the sum squared holds each row with itself once
}

}  // namespace kindling
