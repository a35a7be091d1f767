#include "kindling/data/item_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "kindling/base/error.h"
#include "kindling/base/text.h"

namespace kindling {

namespace {

struct Entity {
  std::string_view name;
  std::uint32_t code;
};

// The entities that product texts use: HTML 4's markup, punctuation and Latin-1 letters. Sorted.
constexpr std::array kEntities = std::to_array<Entity>({
    {"AElig", 0xC6},   {"Aacute", 0xC1},  {"Acirc", 0xC2},    {"Agrave", 0xC0},  {"Aring", 0xC5},
    {"Atilde", 0xC3},  {"Auml", 0xC4},    {"Ccedil", 0xC7},   {"Eacute", 0xC9},  {"Ecirc", 0xCA},
    {"Egrave", 0xC8},  {"Euml", 0xCB},    {"Iacute", 0xCD},   {"Icirc", 0xCE},   {"Iuml", 0xCF},
    {"Ntilde", 0xD1},  {"Oacute", 0xD3},  {"Ocirc", 0xD4},    {"Oslash", 0xD8},  {"Ouml", 0xD6},
    {"Uacute", 0xDA},  {"Uuml", 0xDC},    {"aacute", 0xE1},   {"acirc", 0xE2},   {"aelig", 0xE6},
    {"agrave", 0xE0},  {"amp", '&'},      {"apos", '\''},     {"aring", 0xE5},   {"atilde", 0xE3},
    {"auml", 0xE4},    {"bdquo", 0x201E}, {"bull", 0x2022},   {"ccedil", 0xE7},  {"cent", 0xA2},
    {"copy", 0xA9},    {"deg", 0xB0},     {"divide", 0xF7},   {"eacute", 0xE9},  {"ecirc", 0xEA},
    {"egrave", 0xE8},  {"euml", 0xEB},    {"euro", 0x20AC},   {"frac12", 0xBD},  {"frac14", 0xBC},
    {"frac34", 0xBE},  {"gt", '>'},       {"hellip", 0x2026}, {"iacute", 0xED},  {"icirc", 0xEE},
    {"iexcl", 0xA1},   {"igrave", 0xEC},  {"iquest", 0xBF},   {"iuml", 0xEF},    {"laquo", 0xAB},
    {"ldquo", 0x201C}, {"lsquo", 0x2018}, {"lt", '<'},        {"mdash", 0x2014}, {"micro", 0xB5},
    {"middot", 0xB7},  {"nbsp", ' '},     {"ndash", 0x2013},  {"ntilde", 0xF1},  {"oacute", 0xF3},
    {"ocirc", 0xF4},   {"ograve", 0xF2},  {"oslash", 0xF8},   {"otilde", 0xF5},  {"ouml", 0xF6},
    {"plusmn", 0xB1},  {"pound", 0xA3},   {"quot", '"'},      {"raquo", 0xBB},   {"rdquo", 0x201D},
    {"reg", 0xAE},     {"rsquo", 0x2019}, {"sup2", 0xB2},     {"sup3", 0xB3},    {"szlig", 0xDF},
    {"times", 0xD7},   {"trade", 0x2122}, {"uacute", 0xFA},   {"ucirc", 0xFB},   {"ugrave", 0xF9},
    {"uuml", 0xFC},    {"yen", 0xA5},
});

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

// "&#8217;" or "&#x2019;": `body` is what stands between "&#" and ";".
std::optional<std::uint32_t> numeric_entity(std::string_view body) {
  const bool hex = !body.empty() && lower(body.front()) == 'x';
  if (hex) body.remove_prefix(1);
  if (body.empty() || body.size() > 7) return std::nullopt;
  std::uint32_t code = 0;
  for (const char raw : body) {
    const char c = lower(raw);
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (hex && c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    code = code * (hex ? 16 : 10) + digit;
  }
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code == 0 || code > 0x10FFFF || surrogate) return std::nullopt;
  return code == 0xA0 ? ' ' : code;
}

// The length of the entity at the start of `text` and its character, if there is one.
std::optional<std::pair<std::size_t, std::uint32_t>> entity_at(std::string_view text) {
  constexpr std::size_t kLongest = 10;
  const std::size_t end = text.substr(0, kLongest + 1).find(';');
  if (end == std::string_view::npos || end < 3) return std::nullopt;
  const std::string_view body = text.substr(1, end - 1);
  if (body.front() == '#') {
    const auto code = numeric_entity(body.substr(1));
    if (!code) return std::nullopt;
    return std::pair{end + 1, *code};
  }
  const auto* const found = std::lower_bound(
      kEntities.begin(), kEntities.end(), body,
      [](const Entity& entity, std::string_view name) { return entity.name < name; });
  if (found == kEntities.end() || found->name != body) return std::nullopt;
  return std::pair{end + 1, found->code};
}

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  return text.size() == word.size() || !is_letter(text[word.size()]);
}

// The length of the tag, comment, or script and style block at the start of `text`; 0 when there
// is none.
std::size_t tag_length(std::string_view text) {
  if (text.size() < 3) return 0;
  if (text.starts_with("<!--")) {
    const std::size_t end = text.find("-->", 4);
    return end == std::string_view::npos ? text.size() : end + 3;
  }
  const bool closing = text[1] == '/';
  const char first = closing ? text[2] : text[1];
  if (!is_letter(first) && text[1] != '!') return 0;
  const std::size_t end = text.find('>');
  // A '<' in between means that this one was a "less than".
  if (end == std::string_view::npos || text.substr(1, end).find('<') != std::string_view::npos) {
    return 0;
  }
  for (const std::string_view block : {"script", "style"}) {
    if (closing || !starts_with_word(text.substr(1), block)) continue;
    for (std::size_t at = text.find("</", end); at != std::string_view::npos;
         at = text.find("</", at + 2)) {
      if (!starts_with_word(text.substr(at + 2), block)) continue;
      const std::size_t close = text.find('>', at);
      return close == std::string_view::npos ? text.size() : close + 1;
    }
    return text.size();
  }
  return end + 1;
}

// White space (also no-break space) and control characters collapse into one space.
void append_collapsed(std::string& out, std::string_view piece) {
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const auto code = static_cast<unsigned char>(piece[i]);
    const bool no_break =
        code == 0xC2 && i + 1 < piece.size() && static_cast<unsigned char>(piece[i + 1]) == 0xA0;
    if (no_break) ++i;
    if (no_break || code <= 0x20 || code == 0x7f) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += piece[i];
    }
  }
}

void append_field(std::string& text, const std::string& field) {
  if (field.empty()) return;
  if (!text.empty()) {
    const char last = text.back();
    text += last == '.' || last == '!' || last == '?' ? " " : ". ";
  }
  text += field;
}

}  // namespace

std::string clean_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t plain = 0;
  const auto flush = [&](std::size_t end) {
    append_collapsed(out, text.substr(plain, end - plain));
  };
  for (std::size_t i = text.find_first_of("<&"); i != std::string_view::npos;
       i = text.find_first_of("<&", i)) {
    if (text[i] == '<') {
      const std::size_t length = tag_length(text.substr(i));
      if (length == 0) {
        ++i;
        continue;
      }
      flush(i);
      append_collapsed(out, " ");
      plain = i += length;
    } else if (const auto entity = entity_at(text.substr(i))) {
      flush(i);
      std::string character;
      append_utf8(character, entity->second);
      append_collapsed(out, character);
      plain = i += entity->first;
    } else {
      ++i;
    }
  }
  flush(text.size());
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::optional<std::vector<std::string>> parse_string_list(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return std::nullopt;
  std::vector<std::string> strings;
  std::size_t i = 1;
  const std::size_t end = text.size() - 1;
  const auto skip_space = [&] {
    while (i < end && (text[i] == ' ' || text[i] == '\t')) ++i;
  };
  skip_space();
  while (i < end) {
    const char quote_mark = text[i];
    if (quote_mark != '\'' && quote_mark != '"') return std::nullopt;
    std::string piece;
    for (++i; i < end && text[i] != quote_mark; ++i) {
      if (text[i] == '\\' && i + 1 < end) {
        ++i;
        piece += text[i] == 'n' || text[i] == 't' || text[i] == 'r' ? ' ' : text[i];
      } else {
        piece += text[i];
      }
    }
    if (i >= end) return std::nullopt;  // no closing quote
    strings.push_back(std::move(piece));
    ++i;
    skip_space();
    if (i == end) return strings;
    if (text[i] != ',') return std::nullopt;
    ++i;
    skip_space();
  }
  return strings;
}

std::string flatten_list(std::string_view text) {
  const auto strings = parse_string_list(text);
  if (!strings) return std::string(text);
  std::string joined;
  for (const auto& piece : *strings) {
    if (piece.empty()) continue;
    if (!joined.empty()) joined += ' ';
    joined += piece;
  }
  return joined;
}

std::string normalised_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char raw : text) {
    const char c = lower(raw);
    // Bytes of other scripts stay: only ASCII punctuation is noise.
    if (is_letter(c) || is_digit(c) || (static_cast<unsigned char>(c) & 0x80U) != 0) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

Item make_item(const RawItem& raw, const TextOptions& options) {
  Item item;
  item.title = clean_text(raw.title);
  item.brand = clean_text(raw.brand);
  std::string categories;
  for (const auto& category : raw.categories) {
    std::string clean = clean_text(category);
    if (clean.empty()) continue;
    if (!categories.empty()) categories += ", ";
    categories += clean;
    item.categories.push_back(std::move(clean));
  }
  std::vector<std::string> used;
  for (const std::string_view name : split(options.text_fields, ',')) {
    std::string field;
    if (name == "title") {
      field = item.title;
    } else if (name == "description") {
      field = clean_text(flatten_list(raw.description));
    } else if (name == "categories") {
      field = categories;
    } else if (name == "brand") {
      field = item.brand;
    } else {
      throw Error(Kind::kBadOption,
                  "option text_fields names " + quote(name) + ", which is no text field", {},
                  "the fields are: title, description, categories, brand");
    }
    if (std::find(used.begin(), used.end(), field) != used.end()) continue;
    append_field(item.text, field);
    used.push_back(std::move(field));
  }
  return item;
}

}  // namespace kindling
