// Theme click logs in the manner of Taobao's Cloud Theme data: who clicked what in which theme.
//
//   user,item,theme,time
//
// Assumed columns: user, item, theme and (if there) time, in this order without a header, or in any
// order under a header with these or the usual names (user_id, item_id, theme_id, timestamp, …); or
// as the options say. The themes of an item become its categories ("theme 12"), in the order of
// first appearance: s2Meta's scenarios. A log without a theme column (the purchase log) is read
// the same way. A second file is a table of item texts.
#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "kindling/data/readers/columns.h"
#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/item_table.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string separator = "auto";
  std::string user;
  std::string item;
  std::string theme;
  std::string time;

  template <class Visitor>
  void fields(Visitor& field) {
    field("separator", separator, kAny, "stands between columns; auto: comma or tab");
    field("user", user, kAny, "column of the user, by name or number from 1");
    field("item", item, kAny, "column of the item");
    field("theme", theme, kAny, "column of the theme (the scenario); none: a log without themes");
    field("time", time, kAny, "column of the time; none: the file's order is the order of events");
    common.fields(field);
  }
};

struct Columns {
  std::optional<std::size_t> user, item, theme, time;
  std::size_t count = 0;
};

constexpr auto kUsers = std::to_array<std::string_view>({"user", "user_id", "userid"});
constexpr auto kItems = std::to_array<std::string_view>({"item", "item_id", "itemid"});
constexpr auto kThemes =
    std::to_array<std::string_view>({"theme", "theme_id", "themeid", "scenario", "scenario_id"});
constexpr auto kTimes =
    std::to_array<std::string_view>({"time", "timestamp", "reach_time", "date", "unix_time"});

// Without a header the columns stand in the documented order.
Columns columns_of(const TableReader& rows, const Options& options, bool header,
                   const std::vector<std::string>& names) {
  const auto find = [&](const char* option, const std::string& wanted, ColumnNames known,
                        std::size_t place) -> std::optional<std::size_t> {
    if (!header && wanted.empty()) {
      return place < names.size() ? std::optional(place) : std::nullopt;
    }
    return column(option, wanted, header, names, rows, known);
  };
  Columns columns;
  columns.count = names.size();
  columns.user = find("user", options.user, kUsers, 0);
  columns.item = find("item", options.item, kItems, 1);
  columns.theme = find("theme", options.theme, kThemes, 2);
  columns.time = find("time", options.time, kTimes, 3);
  if (!columns.user || !columns.item) {
    throw Error(Kind::kBadInput,
                "no column holds the user or the item; the first row is " + quote(rows.line()),
                rows.place(), "name the columns: --user NAME --item NAME (or numbers from 1)");
  }
  return columns;
}

class Themes {
 public:
  void add(ItemId item, std::string_view theme) {
    check_utf8(theme, "theme");
    auto& list = themes_[item];
    std::string name = "theme " + std::string(theme);
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(std::move(name));
  }
  // A theme's number is no text: only the categories change.
  void attach(DatasetBuilder& builder) const {
    for (const auto& [item, list] : themes_) {
      Item known = builder.items()[item];
      known.categories = list;
      builder.set_item(item, std::move(known));
    }
  }

 private:
  std::map<ItemId, std::vector<std::string>> themes_;
};

}  // namespace

std::vector<OptionInfo> describe_taobao() { return describe_options(Options{}); }

Dataset read_taobao(const std::vector<std::string>& paths, const ReaderValues& values,
                    ImportReport& report) {
  const auto options = options_from<Options>(values);
  if (paths.empty() || paths.size() > 2) {
    throw Error(Kind::kBadOption, "the taobao format takes a log, and optionally an item table");
  }
  std::string separator = options.separator;
  if (separator == "auto") {
    LineReader first(paths[0]);
    if (!first.next()) throw Error(Kind::kBadInput, "is empty, expected a click log", paths[0]);
    separator = guess_separator(first.line()).value_or(",");
  } else {
    separator = parse_separator(separator);
  }
  TableReader rows(paths[0], separator, false);
  if (!rows.next()) throw Error(Kind::kBadInput, "is empty, expected a click log", paths[0]);
  const auto names = lower_names(rows.fields());
  const bool header = known_column(names, kUsers) || known_column(names, kItems);
  const Columns columns = columns_of(rows, options, header, names);
  DatasetBuilder builder(columns.time.has_value());
  Themes themes;
  bool more = !header || rows.next();
  while (more) {
    read_row(rows, options.common, report, [&] {
      rows.require(columns.count);
      const auto fields = rows.fields();
      const std::int64_t time = columns.time ? require_time(fields[*columns.time]) : 0;
      const UserId user = builder.user(fields[*columns.user]);
      const ItemId item = builder.item(fields[*columns.item]);
      if (columns.theme) themes.add(item, fields[*columns.theme]);
      builder.add(user, item, time);
    });
    more = rows.next();
  }
  if (builder.event_count() == 0) throw Error(Kind::kBadInput, "holds no interactions", paths[0]);
  if (paths.size() == 2) read_item_table(paths[1], {}, options.common, builder, report);
  themes.attach(builder);
  Dataset data = std::move(builder).build(stem_of(paths[0]));
  data.origin = origin_of("taobao", paths, options);
  return data;
}

}  // namespace kindling
