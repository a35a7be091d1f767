// BERT as an encoder of sentences: token vectors through the layers, pooled to one vector a text.
//
// Sequences stand packed one behind the other, sorted by length and cut into chunks of a few
// hundred tokens; each chunk goes through all layers on one thread while its activations are in the
// cache. The products go through rows in pairs, so a text of odd length gets one row more; nothing
// else is padded, and a text's vector does not depend on its neighbours.
//
//   x [T, D] -> (attention -> + LN -> feed-forward -> + LN) x L -> pooling -> [texts, D]
//
// Rewritten at load, exact up to rounding: q, k and v are one product; 1/sqrt(width of a head) is
// in q's weights; the key bias cancels in the softmax and is dropped; the value bias passes through
// the attention and joins the bias of its output.
//
// Source: Devlin et al., "BERT", NAACL 2019; Reimers & Gurevych, "Sentence-BERT", EMNLP 2019.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kindling/text/encoder.h"
#include "kindling/text/model_dir.h"
#include "kindling/text/wordpiece.h"

namespace kindling {

class BertEncoder final : public TextEncoder {
 public:
  // Loads and checks everything; a second call of encode() reads no file.
  explicit BertEncoder(ModelDir model);
  ~BertEncoder() override;

  Matrix encode(std::span<const std::string> texts) const override;
  std::size_t dim() const override { return model_.bert.width * model_.pooling.size(); }
  std::string name() const override { return model_.name; }
  std::string fingerprint() const override { return fingerprint_; }

  // The ids that encode() feeds to the network.
  std::vector<TokenId> tokenize(const std::string& text) const;
  // Vectors of token sequences, each not empty and within the model's positions.
  Matrix encode_tokens(std::span<const std::vector<TokenId>> sequences) const;

 private:
  struct Weights;
  struct Scratch;
  // The texts `order` points to, their tokens packed.
  void encode_chunk(std::span<const std::vector<TokenId>> sequences,
                    std::span<const std::size_t> order, Scratch& scratch, Matrix& out) const;
  void embed(const std::vector<TokenId>& tokens, float* out) const;
  void run_layer(std::size_t layer, Scratch& scratch) const;
  void pool(const float* states, std::size_t length, std::span<float> out) const;

  ModelDir model_;
  WordPiece tokenizer_;
  std::unique_ptr<const Weights> weights_;
  std::string fingerprint_;
};

}  // namespace kindling
