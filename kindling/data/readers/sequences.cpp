// "user <tab> item item item …", oldest first: the form of order-only data.
//
//   A1YJEY40YUW4SE	B004756YJA B004ZT0SSG 7806397051
//
// A second file or the folder's items.tsv describes the items.
#include <cstring>

#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/item_table.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string user_separator = "tab";
  std::string item_separator = "space";

  template <class Visitor>
  void fields(Visitor& field) {
    field("user_separator", user_separator, kAny, "stands between the user and the items");
    field("item_separator", item_separator, kAny, "stands between two items (one byte)");
    common.fields(field);
  }
};

// Views of one line's parts, found without a copy.
void read_line(std::string_view line, std::string_view user_separator, char item_separator,
               DatasetBuilder& builder) {
  const std::size_t middle = line.find(user_separator);
  if (middle == std::string_view::npos) {
    throw Error(Kind::kBadInput, "no items behind " + quote(line), {},
                "expected: user, a tab, items with spaces in between (--user-separator, "
                "--item-separator)");
  }
  const UserId user = builder.user(line.substr(0, middle));
  line.remove_prefix(middle + user_separator.size());
  std::int64_t position = 0;
  const char* at = line.data();
  const char* const end = at + line.size();
  while (at < end) {
    const auto* stop = static_cast<const char*>(
        std::memchr(at, item_separator, static_cast<std::size_t>(end - at)));
    if (stop == nullptr) stop = end;
    if (stop > at) {
      const ItemId item = builder.item({at, static_cast<std::size_t>(stop - at)});
      builder.add(user, item, position++);
    }
    at = stop + 1;
  }
}

}  // namespace

std::vector<OptionInfo> describe_sequences() { return describe_options(Options{}); }

Dataset read_sequences(const std::vector<std::string>& paths, const ReaderValues& values,
                       ImportReport& report) {
  const auto options = options_from<Options>(values);
  if (paths.empty() || paths.size() > 2) {
    throw Error(Kind::kBadOption, "the sequences format takes a folder, or one or two files");
  }
  std::string events = paths[0];
  std::optional<std::string> items;
  if (paths.size() == 2) items = paths[1];
  if (is_folder(paths[0])) {
    const auto found = file_in(paths[0], {"sequences.tsv", "sequences.tsv.gz"});
    if (!found) throw Error(Kind::kNotFound, "the folder has no sequences.tsv", paths[0]);
    events = *found;
    if (!items) items = file_in(paths[0], {"items.tsv", "items.tsv.gz", "items.csv"});
  }
  const std::string user_separator = parse_separator(options.user_separator);
  const std::string item_separator = parse_separator(options.item_separator);
  if (item_separator.size() != 1) {
    throw Error(Kind::kBadOption, "option item_separator must be one byte");
  }
  DatasetBuilder builder(false);
  for (LineReader lines(events); lines.next();) {
    if (lines.line().empty()) continue;
    read_row(lines, options.common, report,
             [&] { read_line(lines.line(), user_separator, item_separator[0], builder); });
  }
  if (builder.event_count() == 0) throw Error(Kind::kBadInput, "holds no interactions", events);
  if (items) read_item_table(*items, {}, options.common, builder, report);
  Dataset data = std::move(builder).build(stem_of(paths[0]));
  data.origin = origin_of("sequences", paths, options);
  return data;
}

}  // namespace kindling
