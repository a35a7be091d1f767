// One vector for each item of a dataset: text embeddings, or anything else the user brings.
//
//   save_item_vectors(vectors, shop, vectors_path("data/shop", "minilm"));
//   const ItemVectors vectors = load_item_vectors(vectors_path("data/shop", "minilm"), shop);
//   const ItemVectors images = import_item_vectors("clip.npy", shop);   // rows in item order
//
// Files: <dataset>/vectors/<name>.safetensors holding tensor "vectors" [items, dim] F32 or F16 [Z6]
// (F32 in memory either way) and the metadata {encoder, encoder_fingerprint, items_fingerprint}.
// The last one ties the file to the items (ids and texts, in order) that it was made for.
//
// Errors: Error{kNotFound} without such a file, Error{kBadInput} for vectors of other items, of
//         another width or with NaN (naming row and item).
#pragma once

#include <string>

#include "kindling/base/matrix.h"
#include "kindling/data/dataset.h"

namespace kindling {

struct ItemVectors {
  Matrix values;            // [items, dim], row = ItemId; always finite
  std::string encoder;      // "lsa", "hash", a model directory's name, or "file"
  std::string fingerprint;  // of the encoder (weights, tokenizer, options): equal only for
                            // comparable spaces

  std::size_t items() const { return values.rows(); }
  std::size_t dim() const { return values.cols(); }
};

// SHA-256 over item ids and texts in order: what vectors depend on.
std::string items_fingerprint(const Dataset& dataset);

// <directory>/vectors/<name>.safetensors. Errors: Error{kBadOption} when `name` is anything but
// letters, digits, '.', '_' and '-', or begins with a dot.
std::string vectors_path(const std::string& directory, const std::string& name);

// How the file keeps the values: as they are, or rounded to sixteen bits, in half the space [Z6].
enum class VectorStorage { kF32, kF16 };

// Makes the folder when needed and replaces the file atomically. Errors: Error{kBadInput} naming
// row and item of a value that F16 cannot hold.
void save_item_vectors(const ItemVectors& vectors, const Dataset& dataset, const std::string& path,
                       VectorStorage storage = VectorStorage::kF32);
ItemVectors load_item_vectors(const std::string& path, const Dataset& dataset);

// A matrix of the user's with one row for each item, in item order: .npy, or .safetensors with one
// tensor of two dimensions (or one named "vectors"). The same `space` says that files hold
// comparable vectors (one image encoder for two shops, say); without it a file is only comparable
// with itself.
ItemVectors import_item_vectors(const std::string& path, const Dataset& dataset,
                                const std::string& space = {});

// Errors: Error{kBadInput} naming `place`, row, column and item of the first NaN or infinity.
void check_finite(const Matrix& values, const Dataset& dataset, const std::string& place);

// Mean Euclidean length of the rows; 0 without rows.
double mean_norm(MatrixView values);

}  // namespace kindling
