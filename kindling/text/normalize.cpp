#include "kindling/text/normalize.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include "kindling/base/error.h"

namespace kindling {

namespace {

constexpr std::uint8_t kCategoryVersion = 8;

// Whether the reference's table of categories knows the character.
bool has_category(char32_t c) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] != 0 && (age[0] < kCategoryVersion || (age[0] == kCategoryVersion && age[1] == 0));
}

// General category at Unicode 8, U_UNASSIGNED for anything younger.
int category(char32_t c) {
  switch (c) {  // changed between versions 8 and 15
    case 0x166D:
      return U_OTHER_PUNCTUATION;
    case 0x1734:
      return U_NON_SPACING_MARK;
    case 0x1885:
    case 0x1886:
      return U_OTHER_LETTER;
    case 0xA9BD:
      return U_COMBINING_SPACING_MARK;
    case 0x111C9:
      return U_OTHER_PUNCTUATION;
    default:
      return has_category(c) ? u_charType(static_cast<UChar32>(c)) : int{U_UNASSIGNED};
  }
}

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D);
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return is_ascii_punctuation(c);
  switch (category(c)) {
    case U_DASH_PUNCTUATION:
    case U_START_PUNCTUATION:
    case U_END_PUNCTUATION:
    case U_CONNECTOR_PUNCTUATION:
    case U_OTHER_PUNCTUATION:
    case U_INITIAL_PUNCTUATION:
    case U_FINAL_PUNCTUATION:
      return true;
    default:
      return false;
  }
}

// NUL, U+FFFD and the categories Cc, Cf, Co; tab and line ends are spaces instead.
bool is_removed(char32_t c) {
  if (c == 0 || c == 0xFFFD) return true;
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  const int kind = category(c);
  return kind == U_CONTROL_CHAR || kind == U_FORMAT_CHAR || kind == U_PRIVATE_USE_CHAR;
}

bool is_chinese(char32_t c) {
  constexpr std::array<std::array<char32_t, 2>, 8> kRanges = {
      {{0x3400, 0x4DBF},
       {0x4E00, 0x9FFF},
       {0xF900, 0xFAFF},
       {0x20000, 0x2A6DF},
       {0x2A700, 0x2B73F},
       {0x2B740, 0x2B81F},
       {0x2B920, 0x2CEAF},  // as the reference
       {0x2F800, 0x2FA1F}}};
  return c >= kRanges.front()[0] &&
         std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return c >= range[0] && c <= range[1]; });
}

// Canonical decomposition; characters younger than Unicode 9 stand as they are and reorder nothing.
std::u32string decompose(const std::u32string& text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0xC0; })) return text;
  UErrorCode status = U_ZERO_ERROR;
  static const icu::UnicodeSet known = [] {
    UErrorCode failure = U_ZERO_ERROR;
    icu::UnicodeSet set(u"[:age=9.0:]", failure);
    set.freeze();
    return set;
  }();
  const icu::FilteredNormalizer2 filtered(*icu::Normalizer2::getNFDInstance(status), known);
  const icu::Normalizer2& nfd = filtered;
  const icu::UnicodeString source = icu::UnicodeString::fromUTF32(
      reinterpret_cast<const UChar32*>(text.data()), static_cast<std::int32_t>(text.size()));
  const icu::UnicodeString result = nfd.normalize(source, status);
  check(U_SUCCESS(status), "ICU did not decompose a text");
  std::u32string decomposed;
  decomposed.reserve(static_cast<std::size_t>(result.length()));
  for (std::int32_t i = 0; i < result.length();) {
    const UChar32 c = result.char32At(i);
    decomposed += static_cast<char32_t>(c);
    i += U16_LENGTH(c);
  }
  return decomposed;
}

// Lower case of letters that came with Unicode 16, which older ICU do not have.
char32_t lower_unicode16(char32_t c) {
  switch (c) {
    case 0x1C89:
    case 0xA7CC:
    case 0xA7DA:
      return c + 1;
    case 0xA7CB:
      return 0x0264;
    case 0xA7DC:
      return 0x019B;
    default:
      return c >= 0x10D50 && c <= 0x10D65 ? c + 0x20 : c;
  }
}

// Each character alone: a final sigma is not special, and only the dotted capital I grows.
void append_lower(char32_t c, std::u32string& out) {
  if (c < 0x80) {
    out += c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
  } else if (c == 0x130) {
    out += U"i\u0307";
  } else {
    out += lower_unicode16(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
  }
}

}  // namespace

std::u32string to_utf32(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(bytes, i, text.size(), c);
    out += static_cast<char32_t>(c);
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    std::array<std::uint8_t, U8_MAX_LENGTH> bytes{};
    std::int32_t size = 0;
    U8_APPEND_UNSAFE(bytes.data(), size, static_cast<UChar32>(c));
    out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
  }
  return out;
}

std::u32string normalize(std::string_view text, const NormalizeOptions& options) {
  std::u32string now;
  now.reserve(text.size());
  for (char32_t c : to_utf32(text)) {
    if (options.clean_text) {
      if (is_removed(c)) continue;
      if (is_white_space(c)) c = U' ';
    }
    if (options.space_chinese && is_chinese(c)) {
      now += {U' ', c, U' '};
    } else {
      now += c;
    }
  }
  if (options.strip_accents.value_or(options.lower_case)) {
    now = decompose(now);
    std::erase_if(now, [](char32_t c) { return c >= 0x80 && category(c) == U_NON_SPACING_MARK; });
  }
  if (!options.lower_case) return now;
  std::u32string lower;
  lower.reserve(now.size());
  for (const char32_t c : now) append_lower(c, lower);
  return lower;
}

std::vector<std::u32string_view> split_words(std::u32string_view text) {
  std::vector<std::u32string_view> words;
  std::size_t begin = 0;
  const auto close = [&](std::size_t end) {
    if (end > begin) words.push_back(text.substr(begin, end - begin));
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (is_white_space(c)) {
      close(i);
      begin = i + 1;
    } else if (is_punctuation(c)) {
      close(i);
      words.push_back(text.substr(i, 1));
      begin = i + 1;
    }
  }
  close(text.size());
  return words;
}

}  // namespace kindling
