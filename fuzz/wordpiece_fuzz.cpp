// Any bytes as a text: ids must be in range and within the limit, and only UTF-8 may come out.
#include "fuzz/reader_fuzz.h"
#include "kindling/base/text.h"
#include "kindling/text/wordpiece.h"

namespace kindling {

// C linkage holds inside of a namespace too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const WordPiece tokenizer(
      {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "\xC3\xA9", "!"}, {},
      "fuzz");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t kLimit = 64;
  const std::vector<TokenId> ids = tokenizer.encode(text, kLimit);
  if (ids.size() < 2 || ids.size() > kLimit) std::abort();
  for (const TokenId id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.size()) std::abort();
  }
  if (!is_valid_utf8(to_utf8(normalize(text, {})))) std::abort();
  return 0;
}

}  // namespace kindling
