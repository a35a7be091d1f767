// Text -> ids of a BERT vocabulary, exactly as Hugging Face's `tokenizers` gives them.
//
//   const WordPiece tokenizer = read_wordpiece("all-MiniLM-L6-v2");
//   tokenizer.encode("Unaffable!", 256);    // {101, 14477, 20961, 3468, 999, 102}
//
// Words come from normalize.h; each is cut greedily into the longest pieces of the vocabulary, a
// word with no cut or more than max_word characters is the unknown token. Special tokens that stand
// in a text ("[SEP]") are taken as such before anything else, as the reference does.
//
// Threads: const methods may be called from any thread.
// Source:  Devlin et al. 2019; huggingface/tokenizers, models/wordpiece.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kindling/text/normalize.h"

namespace kindling {

using TokenId = std::int32_t;

struct WordPieceOptions {
  NormalizeOptions normalize;
  std::string unknown = "[UNK]";
  std::string begin = "[CLS]";
  std::string end = "[SEP]";
  std::string continuing = "##";
  std::size_t max_word = 100;  // characters after normalisation
  // Found in the raw text before anything else.
  std::vector<std::string> special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
};

class WordPiece {
 public:
  // Token i of the vocabulary has id i. Errors: Error{kBadInput} at `place` when the unknown, begin
  // or end token is missing or a token appears twice.
  WordPiece(std::vector<std::string> vocabulary, WordPieceOptions options,
            const std::string& place);

  // begin + pieces + end, at most `limit` in all; limit >= 2.
  std::vector<TokenId> encode(std::string_view text, std::size_t limit) const;
  // Without begin and end, at most `limit`.
  std::vector<TokenId> pieces(std::string_view text, std::size_t limit) const;

  std::size_t size() const { return size_; }
  std::optional<TokenId> find(std::string_view token) const;
  const WordPieceOptions& options() const { return options_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Table = std::unordered_map<std::string, TokenId, Hash, std::equal_to<>>;

  void cut_text(std::string_view text, std::size_t limit, std::vector<TokenId>& ids) const;
  void cut_word(std::u32string_view word, std::vector<TokenId>& ids) const;

  WordPieceOptions options_;
  Table tokens_;             // whole tokens
  Table continuing_;         // those after the first piece, without their prefix
  std::size_t longest_ = 0;  // bytes of the longest token
  std::size_t size_ = 0;
  TokenId unknown_ = 0;
  TokenId begin_ = 0;
  TokenId end_ = 0;
};

// From tokenizer.json, or vocab.txt, with the switches of tokenizer_config.json. `lower_case` makes
// the text lower-case whatever they say (sentence-transformers' do_lower_case).
// Errors: Error{kNotFound} without either file, Error{kUnsupported} naming a tokenizer of another
//         kind, Error{kBadInput} for damaged files.
WordPiece read_wordpiece(const std::string& directory, bool lower_case = false);

}  // namespace kindling
