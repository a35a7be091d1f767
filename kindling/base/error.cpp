#include "kindling/base/error.h"

#include <utility>

#include <fmt/format.h>

namespace kindling {

namespace {

std::string full_text(const std::string& message, const std::string& place,
                      const std::string& hint) {
  std::string text = place.empty() ? message : place + ": " + message;
  if (!hint.empty()) text += "\n  hint: " + hint;
  return text;
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kBadInput:
      return "bad input";
    case Kind::kBadOption:
      return "bad option";
    case Kind::kNotFound:
      return "not found";
    case Kind::kUnsupported:
      return "unsupported";
    case Kind::kDiverged:
      return "diverged";
    case Kind::kCorrupt:
      return "corrupt file";
    case Kind::kIo:
      return "input/output";
    case Kind::kInternal:
      return "internal";
  }
  return "internal";
}

int exit_code(Kind kind) { return kind == Kind::kIo || kind == Kind::kInternal ? 1 : 2; }

Error::Error(Kind kind, std::string message, std::string place, std::string hint)
    : std::runtime_error(full_text(message, place, hint)),
      kind_(kind),
      message_(std::move(message)),
      place_(std::move(place)),
      hint_(std::move(hint)) {}

std::string at_line(std::string_view path, std::int64_t line) {
  return fmt::format("{}:{}", path, line);
}

void check(bool truth, std::string_view message) {
  if (!truth) throw Error(Kind::kInternal, std::string(message));
}

std::string quote(std::string_view value, std::size_t limit) {
  std::string out = "'";
  const std::string_view head = value.substr(0, limit);
  for (const char byte : head) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += byte;
    }
  }
  // A cut inside a multi-byte character would make the message invalid UTF-8.
  if (head.size() < value.size()) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80U) != 0) out.pop_back();
    out += "…";
  }
  return out + "'";
}

}  // namespace kindling
