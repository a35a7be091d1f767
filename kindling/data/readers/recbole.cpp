// RecBole's atomic files: tab separated, a header of name:type, sequences separated by spaces.
//
//   user_id:token	item_id:token	rating:float	timestamp:float        (NAME.inter)
//   item_id:token	title:token_seq	categories:token_seq               (NAME.item)
//
// A time column may hold seconds, milliseconds or dates. Benchmark files NAME.train.inter,
// NAME.valid.inter and NAME.test.inter of a folder are read in that order.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/item_table.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string user = "user_id";
  std::string item = "item_id";
  std::string time = "timestamp";
  std::string rating = "rating";

  template <class Visitor>
  void fields(Visitor& field) {
    field("user", user, kAny, "field of the user");
    field("item", item, kAny, "field of the item");
    field("time", time, kAny, "field of the time, when there is one");
    field("rating", rating, kAny, "field of the rating, when there is one");
    common.fields(field);
  }
};

struct Columns {
  std::optional<std::size_t> user, item, time, rating;
  std::size_t count = 0;
};

// The field names of a header; every column must say its type.
Columns columns_of(const TableReader& rows, const Options& options) {
  Columns columns;
  columns.count = rows.fields().size();
  for (std::size_t c = 0; c < columns.count; ++c) {
    const auto parts = split(rows.fields()[c], ':');
    const bool typed = parts.size() == 2 && (parts[1] == "token" || parts[1] == "token_seq" ||
                                             parts[1] == "float" || parts[1] == "float_seq");
    if (!typed) {
      throw Error(Kind::kBadInput, "header field " + quote(rows.fields()[c]) + " has no known type",
                  rows.place(),
                  "expected name:token, name:token_seq, name:float or name:float_seq");
    }
    if (parts[0] == options.user) columns.user = c;
    if (parts[0] == options.item) columns.item = c;
    if (parts[0] == options.time) columns.time = c;
    if (parts[0] == options.rating) columns.rating = c;
  }
  if (!columns.user || !columns.item) {
    throw Error(Kind::kBadInput,
                fmt::format("the header has no field {}",
                            quote(columns.user ? options.item : options.user)),
                rows.place(), "name the fields: --user NAME --item NAME");
  }
  return columns;
}

void add_row(const TableReader& rows, const Columns& columns, const Options& options,
             DatasetBuilder& builder, ImportReport& report) {
  rows.require(columns.count);
  const auto fields = rows.fields();
  const std::int64_t time = columns.time ? require_time(fields[*columns.time]) : 0;
  const float rating = columns.rating ? require_rating(fields[*columns.rating]) : 1.0F;
  const UserId user = builder.user(fields[*columns.user]);
  const ItemId item = builder.item(fields[*columns.item]);
  if (columns.rating && rating < options.common.min_rating) {
    ++report.left_out["rating below min_rating"];
    return;
  }
  builder.add(user, item, time, rating);
}

struct Files {
  std::vector<std::string> inter;
  std::optional<std::string> item;
};

Files find_files(const std::vector<std::string>& paths) {
  Files files;
  std::vector<std::string> all;
  for (const auto& path : paths) {
    if (!is_folder(path)) {
      all.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      all.push_back(entry.path().string());
    }
  }
  const auto rank = [](const std::string& path) {
    if (path.ends_with(".train.inter")) return 1;
    if (path.ends_with(".valid.inter")) return 2;
    if (path.ends_with(".test.inter")) return 3;
    return 0;
  };
  std::sort(all.begin(), all.end());
  for (const auto& path : all) {
    if (path.ends_with(".inter")) files.inter.push_back(path);
    if (path.ends_with(".item")) files.item = path;
  }
  // A whole NAME.inter makes the benchmark parts superfluous.
  const bool whole = std::any_of(files.inter.begin(), files.inter.end(),
                                 [&](const std::string& path) { return rank(path) == 0; });
  if (whole) std::erase_if(files.inter, [&](const std::string& path) { return rank(path) > 0; });
  std::stable_sort(files.inter.begin(), files.inter.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (files.inter.empty()) {
    throw Error(Kind::kNotFound, "no .inter file", paths.empty() ? std::string() : paths[0],
                "give NAME.inter, or the folder that holds it");
  }
  return files;
}

}  // namespace

std::vector<OptionInfo> describe_recbole() { return describe_options(Options{}); }

Dataset read_recbole(const std::vector<std::string>& paths, const ReaderValues& values,
                     ImportReport& report) {
  const auto options = options_from<Options>(values);
  const Files files = find_files(paths);
  std::optional<DatasetBuilder> builder;
  bool has_times = false;
  for (const auto& path : files.inter) {
    TableReader rows(path, "\t", false);
    if (!rows.next()) throw Error(Kind::kBadInput, "is empty, expected a header", path);
    const Columns columns = columns_of(rows, options);
    require_ratings_for(options.common, columns.rating.has_value(), rows.place());
    if (!builder) {
      has_times = columns.time.has_value();
      builder.emplace(has_times);
    }
    if (columns.time.has_value() != has_times) {
      throw Error(Kind::kBadInput, "some files have times and some have none", path);
    }
    while (rows.next()) {
      read_row(rows, options.common, report,
               [&] { add_row(rows, columns, options, *builder, report); });
    }
  }
  if (builder->event_count() == 0) {
    throw Error(Kind::kBadInput, "holds no interactions", files.inter.front());
  }
  if (files.item)
    read_item_table(*files.item, {"tab", options.item}, options.common, *builder, report);
  Dataset data = std::move(*builder).build(stem_of(paths[0]));
  data.origin = origin_of("recbole", paths, options);
  return data;
}

}  // namespace kindling
