// Tools that readers share: rows of delimited files, checked fields, what happens to a bad row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/options.h"
#include "kindling/data/item_text.h"
#include "kindling/data/readers/reader.h"

namespace kindling {

// Options of every reader.
struct CommonOptions {
  TextOptions text;
  std::string bad_rows = "error";
  double min_rating = -1e30;

  template <class Visitor>
  void fields(Visitor& field) {
    text.fields(field);
    field("bad_rows", bad_rows, one_of({"error", "skip"}),
          "what an unreadable row does: stop the import, or be skipped and counted");
    field("min_rating", min_rating, kAny,
          "interactions with a lower rating are left out; default: all ratings are positives [Z1]");
  }
};

// Error{kBadInput}: ratings are to be at least min_rating, and the file has none.
void require_ratings_for(const CommonOptions& options, bool has_ratings, const std::string& place);

template <class Options>
Options options_from(const ReaderValues& values) {
  Options options;
  for (const auto& [name, value] : values) set_option(options, name, value);
  return options;
}

// Rows of a delimited file. Blank lines are passed over. A field in double quotes may hold the
// separator, doubled quotes and line breaks when `quotes` is on.
class TableReader {
 public:
  // `separator` is one or more bytes ("," "\t" "::").
  TableReader(const std::string& path, std::string separator, bool quotes);

  bool next();
  // Valid until the next call.
  std::span<const std::string_view> fields() const { return fields_; }
  std::string_view line() const { return lines_.line(); }
  const std::string& path() const { return lines_.path(); }
  std::string place() const { return lines_.place(); }
  // Error{kBadInput} unless the row has `count` fields.
  void require(std::size_t count) const;

 private:
  void split_plain(std::string_view line);
  void split_quoted();

  LineReader lines_;
  std::string separator_;
  bool quotes_;
  std::string row_;  // a quoted row, unquoted; views into it
  std::vector<std::string_view> fields_;
};

// "," from "comma", "," …; "\t" from "tab", "\\t". Errors: Error{kBadOption} for an empty one.
std::string parse_separator(const std::string& text);
// Tab, comma, semicolon, "::" or "|", whichever the line has most of; nothing when it has none.
std::optional<std::string> guess_separator(std::string_view line);

// Seconds since 1970 from: seconds, milliseconds, microseconds or nanoseconds (told apart by size:
// a number of 1e11 or more is not seconds before the year 5138), a decimal number of seconds,
// "2015-06-23", "2015-06-23 10:20:30" (or T, optional fraction and Z), "11/12/2019 2:14:46 PM". All
// UTC.
std::optional<std::int64_t> parse_time(std::string_view text);
// The same, or Error{kBadInput} without a place.
std::int64_t require_time(std::string_view text);
float require_rating(std::string_view text);
// A whole number of seconds, milliseconds, microseconds or nanoseconds as seconds.
std::int64_t seconds_from(std::int64_t value);
// Days since 1970-01-01; nothing for a date that does not exist.
std::optional<std::int64_t> days_from_date(std::int64_t year, std::int64_t month, std::int64_t day);

void check_utf8(std::string_view text, std::string_view what);

// Runs `body` for one row. An Error{kBadInput} gets the row's place; under bad_rows=skip it is
// counted instead and false returned. `rows` has path() and place().
template <class Rows, class Body>
bool read_row(const Rows& rows, const CommonOptions& options, ImportReport& report,
              const Body& body) {
  try {
    ++report.rows;
    body();
    return true;
  } catch (const Error& error) {
    if (error.kind() != Kind::kBadInput) throw;
    Error placed(error.kind(), error.message(), rows.place(), error.hint());
    if (options.bad_rows != "skip") throw placed;
    ++report.skipped[rows.path()];
    constexpr std::size_t kExamples = 5;
    if (report.examples.size() < kExamples) {
      report.examples.push_back(placed.place() + ": " + placed.message());
    }
    return false;
  }
}

// `name` in `folder` when `path` is a folder that has it.
std::optional<std::string> file_in(const std::string& path,
                                   std::initializer_list<const char*> names);
bool is_folder(const std::string& path);
// Error{kBadInput} when no interaction and no item was read.
void require_content(const DatasetBuilder& builder, const std::vector<std::string>& paths);
// The last part of a path without its endings: "data/Games.json.gz" -> "Games".
std::string stem_of(const std::string& path);
// Format, files and options, for Dataset::origin.
template <class Options>
Json origin_of(const char* format, const std::vector<std::string>& paths, const Options& options) {
  Json names = Json::array();
  for (const auto& path : paths) names.push_back(path);
  return {{"format", format}, {"files", names}, {"options", options_to_json(options)}};
}

}  // namespace kindling
