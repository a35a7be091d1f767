// Text as BERT's tokenizers see it: cleaned, optionally lower-cased and without accents, split into
// words.
//
//   const std::u32string text = normalize("Ｃafé\u200b", {});        // "ｃafe"
//   for (const std::u32string_view word : split_words(text)) …       // spaces out, punctuation
//   alone
//
// Follows BertNormalizer and BertPreTokenizer of Hugging Face's `tokenizers`, code point by code
// point. Those mix Unicode versions: categories are of version 8, decomposition of version 9,
// lower case of version 16; ICU knows one version. Characters that are younger than a table of the
// reference are therefore treated as unassigned, and the few older ones whose category changed are
// listed in normalize.cpp. tests/text/wordpiece_test.cpp holds both to 10,000 strings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kindling {

struct NormalizeOptions {
  bool clean_text = true;     // control characters out, every white space a blank
  bool space_chinese = true;  // each CJK ideograph a word of its own
  bool lower_case = true;
  std::optional<bool> strip_accents;  // unset: as lower_case
};

// Bytes that are not UTF-8 become U+FFFD, which clean_text removes.
std::u32string normalize(std::string_view text, const NormalizeOptions& options);

// Words and single punctuation marks in order; views into `text`.
std::vector<std::u32string_view> split_words(std::u32string_view text);

std::u32string to_utf32(std::string_view text);
std::string to_utf8(std::u32string_view text);

}  // namespace kindling
