// A dataset's item texts -> ItemVectors, through a cache on disk.
//
//   const auto encoder = make_encoder("models/minilm", {});
//   const ItemVectors vectors = embed_catalogue(shop, *encoder, "data/shop/vectors/.cache");
//
// The cache is a folder for each encoder fingerprint, in it files of at most kCacheChunk texts:
// tensors "keys" [n, 32] U8 (SHA-256 of the text) and "vectors" [n, dim] F32, each written
// atomically. A run that was interrupted encodes only what is missing; equal texts are encoded
// once; a damaged cache file is reported and encoded again.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kindling/data/dataset.h"
#include "kindling/data/item_vectors.h"
#include "kindling/text/encoder.h"

namespace kindling {

inline constexpr std::size_t kCacheChunk = 1024;

struct EmbedCounts {
  std::size_t texts = 0;
  std::size_t empty = 0;
  std::size_t distinct = 0;
  std::size_t encoded = 0;  // the rest came from the cache
  double seconds = 0;       // spent encoding
};

// One row for each text. An empty `cache` keeps nothing on disk.
Matrix embed_texts(const TextEncoder& encoder, std::span<const std::string> texts,
                   const std::string& cache, EmbedCounts* counts = nullptr);

ItemVectors embed_catalogue(const Dataset& dataset, const TextEncoder& encoder,
                            const std::string& cache, EmbedCounts* counts = nullptr);

// Everything that `kindling embed --encoder` can be asked for.
struct EmbedRequest {
  std::string encoder;  // "lsa", "hash" or a model directory
  EncoderOptions options;
  std::vector<Dataset> fit_on;      // further datasets that lsa and the whitening are fitted on
  std::optional<double> whitening;  // exponent
  std::string cache;                // used for model directories only: the others are cheap
};

ItemVectors embed_catalogue(const Dataset& dataset, const EmbedRequest& request,
                            EmbedCounts* counts = nullptr);

// Whitened by what `vectors` and `others` are together; `fitted_on` are their fingerprints, in any
// order.
ItemVectors whiten(const ItemVectors& vectors, MatrixView others, double exponent,
                   std::vector<std::string> fitted_on);

std::vector<std::string> item_texts(const Dataset& dataset);

// Mean cosine over all pairs of different rows, in [-1, 1]; near 0 for vectors that use the whole
// space, near 1 when all point the same way. Rows of length 0 are left out; 0 for fewer than two.
double anisotropy(MatrixView vectors);

}  // namespace kindling
