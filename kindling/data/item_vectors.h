// One vector for each item of a dataset: text embeddings, or anything else the user brings.
//
// Files: <dataset>/vectors/<name>.safetensors holding tensor "vectors" [items, dim] F32 and the
// metadata {encoder, encoder_fingerprint, items_fingerprint}.
#pragma once

#include <string>

#include "kindling/base/matrix.h"

namespace kindling {

struct ItemVectors {
  Matrix values;            // [items, dim], row = ItemId; always finite
  std::string encoder;      // "lsa", "hash", a model directory's name, or "file"
  std::string fingerprint;  // of the encoder (weights, tokenizer, options): equal only for
                            // comparable spaces

  std::size_t items() const { return values.rows(); }
  std::size_t dim() const { return values.cols(); }
};

}  // namespace kindling
