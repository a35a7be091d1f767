#include "kindling/data/readers/rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling {

namespace fs = std::filesystem;

TableReader::TableReader(const std::string& path, std::string separator, bool quotes)
    : lines_(path), separator_(std::move(separator)), quotes_(quotes) {
  check(!separator_.empty(), "empty separator");
}

bool TableReader::next() {
  do {
    if (!lines_.next()) return false;
  } while (lines_.line().empty());
  const std::string_view line = lines_.line();
  if (std::memchr(line.data(), '\0', line.size()) != nullptr) {
    // Thrown past read_row's skipping: such a file is not text at all.
    throw Error(Kind::kBadInput, "line holds a NUL byte", place(), "is this a text file?");
  }
  if (quotes_ && std::memchr(line.data(), '"', line.size()) != nullptr) {
    split_quoted();
  } else {
    split_plain(line);
  }
  return true;
}

void TableReader::split_plain(std::string_view line) {
  fields_.clear();
  if (separator_.size() == 1) {
    const char* at = line.data();
    const char* const end = at + line.size();
    for (;;) {
      const auto* const stop = static_cast<const char*>(
          std::memchr(at, separator_[0], static_cast<std::size_t>(end - at)));
      if (stop == nullptr) break;
      fields_.emplace_back(at, static_cast<std::size_t>(stop - at));
      at = stop + 1;
    }
    fields_.emplace_back(at, static_cast<std::size_t>(end - at));
    return;
  }
  for (;;) {
    const std::size_t stop = line.find(separator_);
    fields_.push_back(line.substr(0, stop));
    if (stop == std::string_view::npos) return;
    line.remove_prefix(stop + separator_.size());
  }
}

// RFC 4180: a field that starts with a quote runs to the next single quote mark, over separators
// and line ends.
void TableReader::split_quoted() {
  constexpr std::size_t kLongestRow = std::size_t{16} << 20U;
  const std::string start = place();
  std::vector<std::pair<std::size_t, std::size_t>> parts;  // into row_, which may move
  row_.clear();
  std::string_view line = lines_.line();
  std::size_t at = 0;
  for (bool more = true; more;) {
    const std::size_t begin = row_.size();
    if (at < line.size() && line[at] == '"') {
      ++at;
      for (;;) {
        const std::size_t mark = line.find('"', at);
        row_ += line.substr(at, mark - at);
        if (mark != std::string_view::npos && mark + 1 < line.size() && line[mark + 1] == '"') {
          row_ += '"';
          at = mark + 2;
        } else if (mark != std::string_view::npos) {
          at = mark + 1;
          break;
        } else if (row_.size() > kLongestRow || !lines_.next()) {
          throw Error(Kind::kBadInput, "a quoted field does not end", start,
                      "is a quotation mark missing? pass --quotes no if quotes are plain text");
        } else {
          row_ += '\n';
          line = lines_.line();
          at = 0;
        }
      }
    }
    const std::size_t stop = line.find(separator_, at);
    row_ += line.substr(at, stop - at);
    parts.emplace_back(begin, row_.size() - begin);
    more = stop != std::string_view::npos;
    at = more ? stop + separator_.size() : line.size();
  }
  fields_.clear();
  for (const auto& [begin, length] : parts) {
    fields_.push_back(std::string_view(row_).substr(begin, length));
  }
}

void TableReader::require(std::size_t count) const {
  if (fields_.size() == count) return;
  throw Error(Kind::kBadInput, fmt::format("expected {} columns, found {}", count, fields_.size()),
              {}, "check the separator; --bad-rows skip passes over such rows");
}

std::string parse_separator(const std::string& text) {
  if (text == "tab" || text == "\\t") return "\t";
  if (text == "comma") return ",";
  if (text == "semicolon") return ";";
  if (text == "space") return " ";
  if (text.empty()) throw Error(Kind::kBadOption, "option separator is empty");
  return text;
}

std::optional<std::string> guess_separator(std::string_view line) {
  std::optional<std::string> best;
  std::size_t most = 0;
  for (const std::string_view candidate : {"\t", "::", ",", ";", "|"}) {
    std::size_t count = 0;
    for (std::size_t at = line.find(candidate); at != std::string_view::npos;
         at = line.find(candidate, at + candidate.size())) {
      ++count;
    }
    if (count > most) {
      most = count;
      best = candidate;
    }
  }
  return best;
}

std::optional<std::int64_t> days_from_date(std::int64_t year, std::int64_t month,
                                           std::int64_t day) {
  constexpr std::array<std::int64_t, 12> kLengths = {31, 28, 31, 30, 31, 30,
                                                     31, 31, 30, 31, 30, 31};
  if (year < 1900 || year > 9999 || month < 1 || month > 12) return std::nullopt;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const std::int64_t last =
      kLengths[static_cast<std::size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
  if (day < 1 || day > last) return std::nullopt;
  // Years that begin in March put the leap day last (Howard Hinnant's days_from_civil).
  const std::int64_t y = month <= 2 ? year - 1 : year;
  const std::int64_t era = y / 400;
  const std::int64_t year_of_era = y - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

namespace {

constexpr std::int64_t kDaySeconds = 86400;

// "10:20:30", "10:20", with an optional ".123" and "Z", or " PM".
std::optional<std::int64_t> seconds_of_day(std::string_view text) {
  int half = -1;  // 0 AM, 1 PM
  if (text.ends_with(" AM") || text.ends_with(" PM")) {
    half = text[text.size() - 2] == 'P' ? 1 : 0;
    text.remove_suffix(3);
  } else if (text.ends_with("Z")) {
    text.remove_suffix(1);
  }
  const auto parts = split(text.substr(0, text.find('.')), ':');
  if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
  const auto hour = to_int(parts[0]);
  const auto minute = to_int(parts[1]);
  const auto second = parts.size() == 3 ? to_int(parts[2]) : std::optional<std::int64_t>(0);
  if (!hour || !minute || !second) return std::nullopt;
  if (*minute < 0 || *minute > 59 || *second < 0 || *second > 60) return std::nullopt;
  std::int64_t h = *hour;
  if (half >= 0) {
    if (h < 1 || h > 12) return std::nullopt;
    h %= 12;
    if (half == 1) h += 12;
  }
  if (h < 0 || h > 23) return std::nullopt;
  return h * 3600 + *minute * 60 + *second;
}

std::optional<std::int64_t> date_time(std::string_view text) {
  const std::size_t middle = text.find_first_of("T ");
  const std::string_view date = text.substr(0, middle);
  const bool american = date.find('/') != std::string_view::npos;
  const auto parts = split(date, american ? '/' : '-');
  if (parts.size() != 3) return std::nullopt;
  const auto a = to_int(parts[0]);
  const auto b = to_int(parts[1]);
  const auto c = to_int(parts[2]);
  if (!a || !b || !c) return std::nullopt;
  const auto days = american ? days_from_date(*c, *a, *b) : days_from_date(*a, *b, *c);
  if (!days) return std::nullopt;
  if (middle == std::string_view::npos) return *days * kDaySeconds;
  const auto seconds = seconds_of_day(text.substr(middle + 1));
  if (!seconds) return std::nullopt;
  return *days * kDaySeconds + *seconds;
}

}  // namespace

std::int64_t seconds_from(std::int64_t value) {
  constexpr std::int64_t kMilliseconds = 100'000'000'000;
  constexpr std::int64_t kMicroseconds = 100'000'000'000'000;
  constexpr std::int64_t kNanoseconds = 100'000'000'000'000'000;
  if (value >= kNanoseconds || value <= -kNanoseconds) return value / 1'000'000'000;
  if (value >= kMicroseconds || value <= -kMicroseconds) return value / 1'000'000;
  if (value >= kMilliseconds || value <= -kMilliseconds) return value / 1000;
  return value;
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  if (const auto whole = to_int(text)) return seconds_from(*whole);
  if (const auto number = to_double(text)) {
    constexpr double kLargest = 9e18;
    if (std::abs(*number) > kLargest) return std::nullopt;
    return seconds_from(static_cast<std::int64_t>(std::floor(*number)));
  }
  return date_time(text);
}

std::int64_t require_time(std::string_view text) {
  if (const auto time = parse_time(text)) return *time;
  throw Error(Kind::kBadInput, "expected a time, found " + quote(text), {},
              "times are seconds (or milli-, micro-, nanoseconds) since 1970, 2015-06-23, or "
              "2015-06-23 10:20:30");
}

float require_rating(std::string_view text) {
  const auto rating = to_double(text);
  if (rating && std::isfinite(static_cast<float>(*rating))) return static_cast<float>(*rating);
  throw Error(Kind::kBadInput, "expected a rating (a number), found " + quote(text), {},
              "are the columns in another order?");
}

void require_ratings_for(const CommonOptions& options, bool has_ratings, const std::string& place) {
  if (has_ratings || options.min_rating <= CommonOptions{}.min_rating) return;
  throw Error(
      Kind::kBadInput,
      fmt::format("no column holds ratings, which are to be {} or more", options.min_rating), place,
      "name the column: --rating NAME, or leave --min-rating out");
}

void check_utf8(std::string_view text, std::string_view what) {
  if (is_valid_utf8(text)) return;
  throw Error(Kind::kBadInput, fmt::format("{} is not UTF-8: {}", what, quote(text)), {},
              "convert the file, for example: iconv -f latin1 -t utf8");
}

std::optional<std::string> file_in(const std::string& path,
                                   std::initializer_list<const char*> names) {
  std::error_code status;
  for (const char* name : names) {
    const fs::path candidate = fs::path(path) / name;
    if (fs::is_regular_file(candidate, status)) return candidate.string();
  }
  return std::nullopt;
}

bool is_folder(const std::string& path) {
  std::error_code status;
  return fs::is_directory(path, status);
}

void require_content(const DatasetBuilder& builder, const std::vector<std::string>& paths) {
  if (builder.event_count() > 0 || builder.item_count() > 0) return;
  throw Error(Kind::kBadInput, "holds no interactions and no items",
              paths.empty() ? std::string() : paths.front());
}

std::string stem_of(const std::string& path) {
  fs::path clean = fs::path(path).lexically_normal();
  if (!clean.has_filename()) clean = clean.parent_path();
  const std::string name = clean.filename().string();
  return name.substr(0, name.find('.', 1));
}

}  // namespace kindling
