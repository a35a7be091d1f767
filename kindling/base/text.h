// Small string tools. Bytes are UTF-8; validity is checked where a file comes in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kindling {

std::string_view trim(std::string_view text);
// Pieces between separators; "a,,b" gives three. Views into `text`.
std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
bool is_valid_utf8(std::string_view text);
// Whole text as a number; nothing otherwise (no spaces, no trailing bytes, no NaN or infinity).
std::optional<std::int64_t> to_int(std::string_view text);
std::optional<double> to_double(std::string_view text);
// The name in `names` nearest to `wrong` by edit distance, when near enough to be a typing mistake.
std::optional<std::string> nearest_name(std::string_view wrong,
                                        const std::vector<std::string>& names);

}  // namespace kindling
