#include "kindling/data/readers/python_literal.h"

#include <array>

#include <fmt/format.h>

namespace kindling {

namespace {

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// One escape of a Python string, `at` on the character behind the backslash; returns how many
// bytes it took. \xNN is Latin-1, so \u00NN in JSON.
std::size_t append_escape(std::string_view line, std::size_t at, std::string& json) {
  const char c = line[at];
  switch (c) {
    case '\'':
      json += '\'';
      return 1;
    case '"':
      json += "\\\"";
      return 1;
    case 'x':
      json += "\\u00";
      json += line.substr(at + 1, 2);
      return 1 + line.substr(at + 1, 2).size();
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'u':
      json += '\\';
      json += c;
      return 1;
    default:  // Python keeps an unknown escape as it is
      json += "\\\\";
      json += c;
      return 1;
  }
}

// A string, `at` on its opening quote; returns the index behind the closing one.
std::size_t append_string(std::string_view line, std::size_t at, std::string& json) {
  const char mark = line[at++];
  json += '"';
  while (at < line.size() && line[at] != mark) {
    const char c = line[at];
    if (c == '\\' && at + 1 < line.size()) {
      at += 1 + append_escape(line, at + 1, json);
      continue;
    }
    const auto code = static_cast<unsigned char>(c);
    if (c == '"') {
      json += "\\\"";
    } else if (code < 0x20) {
      json += fmt::format("\\u{:04x}", code);
    } else {
      json += c;
    }
    ++at;
  }
  if (at < line.size()) json += '"';  // a string without an end stays one: the parser says so
  return at + 1;
}

}  // namespace

void python_to_json(std::string_view line, std::string& json) {
  json.clear();
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at];
    if (c == '\'' || c == '"') {
      at = append_string(line, at, json);
    } else if (is_word(c)) {
      std::size_t end = at;
      while (end < line.size() && is_word(line[end])) ++end;
      const std::string_view word = line.substr(at, end - at);
      const bool unicode_mark =
          word == "u" && end < line.size() && (line[end] == '\'' || line[end] == '"');
      if (word == "True") {
        json += "true";
      } else if (word == "False") {
        json += "false";
      } else if (word == "None") {
        json += "null";
      } else if (!unicode_mark) {
        json += word;
      }
      at = end;
    } else {
      json += c;
      ++at;
    }
  }
}

}  // namespace kindling
