// The words of a text for encoders that count them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kindling {

// Lower-case, without accents; only words with a letter or digit. "Café, 2 cl!" -> cafe, 2, cl.
std::vector<std::u32string> text_terms(std::string_view text);

}  // namespace kindling
