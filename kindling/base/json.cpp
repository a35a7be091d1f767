#include "kindling/base/json.h"

#include <set>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"

namespace kindling {

Json parse_json(std::string_view text, std::string_view place) {
  constexpr int kMaxDepth = 64;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) {
      throw Error(Kind::kBadInput, fmt::format("JSON nested deeper than {} levels", kMaxDepth),
                  std::string(place));
    }
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw Error(Kind::kBadInput, "JSON key " + quote(key) + " appears twice",
                    std::string(place));
      }
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 2, column 1: …": the name is the
    // library's.
    const std::string_view said = error.what();
    const auto name_end = said.find("] ");
    throw Error(
        Kind::kBadInput,
        fmt::format("not valid JSON: {}", name_end == said.npos ? said : said.substr(name_end + 2)),
        std::string(place));
  }
}

Json read_json(const std::string& path, std::size_t limit) {
  return parse_json(read_file(path, limit), path);
}

namespace json_detail {

void fail_missing(const std::string& key, std::string_view place) {
  throw Error(Kind::kBadInput, "key " + quote(key) + " is missing", std::string(place));
}

void fail_type(const std::string& key, std::string_view place, const Json& value) {
  const std::string shown = value.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
  throw Error(
      Kind::kBadInput,
      fmt::format("key {} has a value of the wrong type or range: {}", quote(key), quote(shown)),
      std::string(place));
}

}  // namespace json_detail

}  // namespace kindling
