// Any delimited file: one interaction a row, columns by name or number.
//
//   kindling import csv events.csv --user customer --item sku --time 4 --separator ';' --out shop
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/data/readers/columns.h"
#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/item_table.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string separator = "auto";
  std::string header = "auto";
  std::string quotes = "auto";
  std::string user;
  std::string item;
  std::string time;
  std::string rating;
  std::string items_file;

  template <class Visitor>
  void fields(Visitor& field) {
    field("separator", separator, kAny,
          "stands between columns: auto, comma, tab, semicolon, space, or any text");
    field("header", header, one_of({"auto", "yes", "no"}),
          "whether the first row names the columns; auto: yes when it has a known name");
    field("quotes", quotes, one_of({"auto", "yes", "no"}),
          "whether \"…\" encloses a field; auto: yes unless columns are separated by tabs");
    field("user", user, kAny, "column of the user, by name or number from 1");
    field("item", item, kAny, "column of the item");
    field("time", time, kAny, "column of the time; none: the file's order is the order of events");
    field("rating", rating, kAny, "column of the rating; none: every row counts 1");
    field("items_file", items_file, kAny,
          "table of item texts; alone, without interactions, it makes a catalogue of new items");
    common.fields(field);
  }
};

struct Columns {
  std::size_t user = 0;
  std::size_t item = 0;
  std::optional<std::size_t> time;
  std::optional<std::size_t> rating;
  std::size_t count = 0;
};

constexpr auto kUserNames = std::to_array<std::string_view>(
    {"user", "user_id", "userid", "reviewerid", "customer", "customer_id", "visitorid"});
constexpr auto kItemNames = std::to_array<std::string_view>(
    {"item", "item_id", "itemid", "asin", "parent_asin", "movieid", "product", "product_id"});
constexpr auto kTimeNames = std::to_array<std::string_view>(
    {"time", "timestamp", "unix_time", "unixreviewtime", "date", "datetime"});
constexpr auto kRatingNames =
    std::to_array<std::string_view>({"rating", "overall", "value", "score", "weight"});

bool has_header(const Options& options, const std::vector<std::string>& names) {
  if (options.header != "auto") return options.header == "yes";
  return known_column(names, kItemNames) || known_column(names, kUserNames);
}

Columns columns_of(const Options& options, const TableReader& rows, bool header,
                   const std::vector<std::string>& names) {
  const auto user = column("user", options.user, header, names, rows, kUserNames);
  const auto item = column("item", options.item, header, names, rows, kItemNames);
  if (!user || !item) {
    throw Error(Kind::kBadInput,
                fmt::format("no column holds the {}; the first row is {}", user ? "item" : "user",
                            quote(rows.line())),
                rows.place(), "name the columns: --user NAME --item NAME (or numbers from 1)");
  }
  Columns columns;
  columns.user = *user;
  columns.item = *item;
  columns.time = column("time", options.time, header, names, rows, kTimeNames);
  columns.rating = column("rating", options.rating, header, names, rows, kRatingNames);
  columns.count = names.size();
  return columns;
}

void add_row(const TableReader& rows, const Columns& columns, const Options& options,
             DatasetBuilder& builder, ImportReport& report) {
  rows.require(columns.count);
  const auto fields = rows.fields();
  const std::int64_t time = columns.time ? require_time(fields[*columns.time]) : 0;
  const float rating = columns.rating ? require_rating(fields[*columns.rating]) : 1.0F;
  const UserId user = builder.user(fields[columns.user]);
  const ItemId item = builder.item(fields[columns.item]);
  if (columns.rating && rating < options.common.min_rating) {
    ++report.left_out["rating below min_rating"];
    return;
  }
  builder.add(user, item, time, rating);
}

DatasetBuilder read_events(const std::string& path, const Options& options, ImportReport& report) {
  std::string separator = options.separator;
  if (separator == "auto") {
    LineReader first(path);
    if (!first.next()) throw Error(Kind::kBadInput, "is empty, expected interactions", path);
    const auto guess = guess_separator(first.line());
    if (!guess) {
      throw Error(Kind::kBadInput, "the first row has one column: " + quote(first.line()),
                  first.place(), "name the separator: --separator ';'");
    }
    separator = *guess;
  } else {
    separator = parse_separator(separator);
  }
  const bool quotes = options.quotes == "auto" ? separator != "\t" : options.quotes == "yes";
  TableReader rows(path, separator, quotes);
  if (!rows.next()) throw Error(Kind::kBadInput, "is empty, expected interactions", path);
  const auto names = lower_names(rows.fields());
  const bool header = has_header(options, names);
  const Columns columns = columns_of(options, rows, header, names);
  require_ratings_for(options.common, columns.rating.has_value(), rows.place());
  DatasetBuilder builder(columns.time.has_value());
  bool more = !header || rows.next();
  while (more) {
    read_row(rows, options.common, report,
             [&] { add_row(rows, columns, options, builder, report); });
    more = rows.next();
  }
  if (builder.event_count() == 0) throw Error(Kind::kBadInput, "holds no interactions", path);
  return builder;
}

}  // namespace

std::vector<OptionInfo> describe_csv() { return describe_options(Options{}); }

Dataset read_csv(const std::vector<std::string>& paths, const ReaderValues& values,
                 ImportReport& report) {
  const auto options = options_from<Options>(values);
  if (paths.size() > 2 || (paths.empty() && options.items_file.empty())) {
    throw Error(Kind::kBadOption,
                "the csv format takes a folder, one or two files, or --items-file alone");
  }
  std::optional<std::string> events;
  std::optional<std::string> items;
  if (!paths.empty()) events = paths[0];
  if (paths.size() == 2) items = paths[1];
  if (!options.items_file.empty()) items = options.items_file;
  if (events && is_folder(*events)) {
    const std::string folder = *events;
    events = file_in(folder, {"interactions.tsv", "interactions.csv", "interactions.tsv.gz",
                              "interactions.csv.gz"});
    if (!events) {
      throw Error(Kind::kNotFound, "the folder has no interactions.tsv or interactions.csv",
                  folder);
    }
    if (!items) items = file_in(folder, {"items.tsv", "items.csv", "items.tsv.gz", "items.csv.gz"});
  }
  DatasetBuilder builder = events ? read_events(*events, options, report) : DatasetBuilder(false);
  if (items) read_item_table(*items, {"auto", {}}, options.common, builder, report);
  require_content(builder, paths);
  Dataset data = std::move(builder).build(stem_of(paths.empty() ? *items : paths[0]));
  data.origin = origin_of("csv", paths, options);
  return data;
}

}  // namespace kindling
