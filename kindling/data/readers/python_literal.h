// The metadata of Amazon's 2014 edition are Python dictionaries, not JSON:
//   {'asin': '0001048791', 'title': "Crucible", 'categories': [['Books']], 'x': None}
#pragma once

#include <string>
#include <string_view>

namespace kindling {

// Rewrites one such line as JSON: quotes, escapes, True, False, None. What is no Python literal
// comes out as something that is no JSON either, so the JSON parser reports it.
void python_to_json(std::string_view line, std::string& json);

}  // namespace kindling
