// Cleaning of item texts: never fails, keeps UTF-8 valid, and a second cleaning of plain text
// leaves no white space to collapse.
#include <cstdlib>

#include "fuzz/reader_fuzz.h"
#include "kindling/base/text.h"
#include "kindling/data/item_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string clean = kindling::clean_text(text);
  if (kindling::is_valid_utf8(text) && !kindling::is_valid_utf8(clean)) std::abort();
  if (clean.find("  ") != std::string::npos || clean.starts_with(' ')) std::abort();
  kindling::flatten_list(text);
  kindling::normalised_text(text);
  return 0;
}
