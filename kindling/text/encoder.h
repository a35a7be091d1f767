// Texts -> vectors. One interface for a BERT in a directory and for the encoders that need no
// weights.
//
//   const auto encoder = make_encoder("models/all-MiniLM-L6-v2", {});
//   const Matrix vectors = encoder->encode(texts);                       // [texts, encoder->dim()]
//   const auto lsa = make_encoder("lsa", {.dim = 128}, both_domains);    // fitted on those texts
//
// Vectors of two encoders may be compared, and a model trained on one used with the other, exactly
// when their fingerprints are equal. LSA is a different space for each corpus: to carry a model
// from one domain to another, fit one LSA on the texts of both.
//
// Threads: encode() may be called from many threads and uses several itself (base/parallel.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kindling/base/matrix.h"
#include "kindling/base/options.h"

namespace kindling {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // One row for each text, always finite; an empty text has a vector too.
  virtual Matrix encode(std::span<const std::string> texts) const = 0;
  virtual std::size_t dim() const = 0;
  virtual std::string name() const = 0;
  // Of weights, tokenizer and options, or of the fit.
  virtual std::string fingerprint() const = 0;
};

struct EncoderOptions {
  std::int64_t dim = 384;
  std::int64_t seed = 1;
  std::int64_t max_tokens = 0;
  std::string pooling = "auto";
  std::string prompt = {};

  template <class Visitor>
  void fields(Visitor& field) {
    field("dim", dim, between(1, 65536), "width of lsa and hash vectors");
    field("seed", seed, kAny, "seed of lsa's random start");
    field("max_tokens", max_tokens, kNotNegative,
          "tokens of a text that a model reads; 0: as its files say");
    field("pooling", pooling, one_of({"auto", "cls", "mean", "max"}),
          "how a model's token vectors become one; auto: as its files say, CLS without them [Z6]");
    field("prompt", prompt, kAny,
          "put in front of every text; empty: the default prompt of the model's files");
  }
};

// lsa and hash: all others are model directories.
bool needs_no_weights(const std::string& encoder);

// Those of EncoderOptions that an encoder reads: it would take the others without a word.
std::vector<OptionInfo> options_of_encoder(const std::string& encoder);

// `what` is "lsa", "hash", or a Hugging Face model directory. `corpus` is what lsa is fitted on;
// the others do not need it. Errors: those of the parts; Error{kNotFound} when `what` is neither.
std::unique_ptr<TextEncoder> make_encoder(const std::string& what, const EncoderOptions& options,
                                          std::span<const std::string> corpus = {});

}  // namespace kindling
