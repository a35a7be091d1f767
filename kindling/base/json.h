// The one include of nlohmann/json, and the readers that turn its errors into ours.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace kindling {

// Keys keep the order in which they were written: reports and manifests stay readable.
using Json = nlohmann::ordered_json;

// Parses one document. Errors: Error{kBadInput} naming `place`, the byte and the cause; depth over
// 64, duplicate keys and invalid UTF-8 are refused.
Json parse_json(std::string_view text, std::string_view place);

// Reads and parses a file of at most `limit` bytes.
Json read_json(const std::string& path, std::size_t limit = std::size_t{64} << 20U);

// Member `key` of an object, converted to T. Errors: Error{kBadInput} when missing or of another
// type.
template <class T>
T json_get(const Json& object, const std::string& key, std::string_view place);

// The same with a value for a missing key.
template <class T>
T json_get_or(const Json& object, const std::string& key, T fallback, std::string_view place);

namespace json_detail {
[[noreturn]] void fail_missing(const std::string& key, std::string_view place);
[[noreturn]] void fail_type(const std::string& key, std::string_view place, const Json& value);
}  // namespace json_detail

template <class T>
T json_get(const Json& object, const std::string& key, std::string_view place) {
  if (!object.is_object() || !object.contains(key)) json_detail::fail_missing(key, place);
  const Json& value = object.at(key);
  // nlohmann converts 1.5 to int and true to 1 without a word; a file that says so is wrong.
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) json_detail::fail_type(key, place, value);
  } else if constexpr (std::is_integral_v<T>) {
    if (!value.is_number_integer()) json_detail::fail_type(key, place, value);
    if constexpr (std::is_unsigned_v<T>) {
      if (!value.is_number_unsigned()) json_detail::fail_type(key, place, value);
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!value.is_number()) json_detail::fail_type(key, place, value);
  }
  try {
    return value.get<T>();
  } catch (const nlohmann::json::exception&) {
    json_detail::fail_type(key, place, value);
  }
}

template <class T>
T json_get_or(const Json& object, const std::string& key, T fallback, std::string_view place) {
  if (!object.is_object() || !object.contains(key)) return fallback;
  return json_get<T>(object, key, place);
}

}  // namespace kindling
