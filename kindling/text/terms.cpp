#include "kindling/text/terms.h"

#include <algorithm>

#include <unicode/uchar.h>

#include "kindling/text/normalize.h"

namespace kindling {

std::vector<std::u32string> text_terms(std::string_view text) {
  std::vector<std::u32string> terms;
  const std::u32string normal = normalize(text, {});
  for (const std::u32string_view word : split_words(normal)) {
    const bool counts = std::any_of(word.begin(), word.end(), [](char32_t c) {
      return u_isalnum(static_cast<UChar32>(c)) != 0;
    });
    if (counts) terms.emplace_back(word);
  }
  return terms;
}

}  // namespace kindling
