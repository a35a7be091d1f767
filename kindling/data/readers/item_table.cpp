#include "kindling/data/readers/item_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling {

namespace {

enum class Role {
  kIgnored,
  kItem,
  kTitle,
  kDescription,
  kText,
  kCategories,
  kTokens,
  kBrand,
  kAttributes
};

const std::map<std::string_view, Role>& known_columns() {
  static const std::map<std::string_view, Role> columns = {
      {"item", Role::kItem},
      {"item_id", Role::kItem},
      {"itemid", Role::kItem},
      {"asin", Role::kItem},
      {"parent_asin", Role::kItem},
      {"movieid", Role::kItem},
      {"id", Role::kItem},
      {"title", Role::kTitle},
      {"name", Role::kTitle},
      {"item_name", Role::kTitle},
      {"movie_title", Role::kTitle},
      {"description", Role::kDescription},
      {"abstract", Role::kDescription},
      {"keywords", Role::kDescription},
      {"text", Role::kText},
      {"categories", Role::kCategories},
      {"category", Role::kCategories},
      {"genres", Role::kCategories},
      {"genre", Role::kCategories},
      {"class", Role::kCategories},
      {"brand", Role::kBrand},
      {"attributes", Role::kAttributes},
  };
  return columns;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::vector<Role> roles_of(const TableReader& rows, const ItemTableOptions& table,
                           ImportReport& report) {
  std::vector<Role> roles;
  std::string ignored;
  for (const std::string_view column : rows.fields()) {
    const std::string name = lower(trim(column.substr(0, column.find(':'))));
    const auto found = known_columns().find(name);
    Role role = found == known_columns().end() ? Role::kIgnored : found->second;
    if (!table.item.empty()) {
      if (role == Role::kItem) role = Role::kIgnored;
      if (name == lower(table.item)) role = Role::kItem;
    } else if (role == Role::kItem &&
               std::find(roles.begin(), roles.end(), Role::kItem) != roles.end()) {
      role = Role::kIgnored;
    }
    if (role == Role::kCategories && column.ends_with(":token_seq")) role = Role::kTokens;
    if (role == Role::kIgnored) ignored += (ignored.empty() ? "" : ", ") + name;
    roles.push_back(role);
  }
  if (std::find(roles.begin(), roles.end(), Role::kItem) == roles.end()) {
    throw Error(Kind::kBadInput, "no column holds the item id; the header is " + quote(rows.line()),
                rows.place(),
                "name it with --item COLUMN; the usual names are item, item_id, asin");
  }
  if (!ignored.empty()) {
    report.notes.push_back(fmt::format("{}: columns not used: {}", rows.path(), ignored));
  }
  return roles;
}

bool is_number_mark(std::string_view part) {
  return part.size() > 1 && part.front() == '#' && to_int(part.substr(1)).has_value();
}

// A list as Python prints it, or parts between "|"; RecBole's token_seq has commas or spaces.
std::vector<std::string> parts_of(std::string_view text, bool token_seq) {
  if (auto list = parse_string_list(text)) return std::move(*list);
  char separator = '|';
  if (token_seq && text.find('|') == std::string_view::npos) {
    separator = text.find(',') == std::string_view::npos ? ' ' : ',';
  }
  std::vector<std::string> parts;
  for (const std::string_view part : split(text, separator)) {
    const std::string_view clean = trim(part);
    if (!clean.empty()) parts.emplace_back(clean);
  }
  return parts;
}

// "Brand|Category|Sub|Leaf" with an optional brand. A first part that also stands second in other
// rows is a category ("Fragrance" in "Prada|Fragrance"), else a brand. Parts like "#2" are numbers
// of category roots and carry no words.
class Attributes {
 public:
  void add(ItemId item, RawItem raw, std::string_view text) {
    const auto parts = split(text, '|');
    if (parts.size() > 1) ++second_[std::string(trim(parts[1]))];
    rows_.push_back({item, std::move(raw), std::string(text)});
  }
  void finish(const CommonOptions& options, DatasetBuilder& builder) {
    constexpr int kOften = 5;
    for (Row& row : rows_) {
      const auto parts = split(row.text, '|');
      std::size_t begin = 0;
      const bool rooted = parts.size() > 1 && is_number_mark(trim(parts[1]));
      const auto found = second_.find(std::string(trim(parts[0])));
      if (rooted || found == second_.end() || found->second < kOften) {
        if (!is_number_mark(trim(parts[0]))) row.raw.brand = trim(parts[0]);
        begin = 1;
      }
      for (std::size_t i = begin; i < parts.size(); ++i) {
        const std::string_view part = trim(parts[i]);
        if (!part.empty() && !is_number_mark(part)) row.raw.categories.emplace_back(part);
      }
      builder.set_item(row.item, make_item(row.raw, options.text));
    }
  }

 private:
  struct Row {
    ItemId item;
    RawItem raw;
    std::string text;
  };
  std::vector<Row> rows_;
  std::unordered_map<std::string, int> second_;
};

void read_item(const TableReader& rows, const std::vector<Role>& roles,
               const CommonOptions& options, Attributes& attributes, DatasetBuilder& builder) {
  rows.require(roles.size());
  RawItem raw;
  std::string_view id;
  std::string_view text;
  std::optional<std::string_view> path;
  for (std::size_t c = 0; c < roles.size(); ++c) {
    const std::string_view field = rows.fields()[c];
    if (roles[c] != Role::kItem && roles[c] != Role::kIgnored) check_utf8(field, "text");
    switch (roles[c]) {
      case Role::kIgnored:
        break;
      case Role::kItem:
        id = field;
        break;
      case Role::kTitle:
        raw.title = field;
        break;
      case Role::kDescription:
        raw.description = field;
        break;
      case Role::kText:
        text = field;
        break;
      case Role::kCategories:
      case Role::kTokens:
        raw.categories = parts_of(field, roles[c] == Role::kTokens);
        break;
      case Role::kBrand:
        raw.brand = field;
        break;
      case Role::kAttributes:
        path = field;
        break;
    }
  }
  const ItemId item = builder.item(id);
  if (path) {
    attributes.add(item, std::move(raw), *path);
    return;
  }
  Item known = make_item(raw, options.text);
  if (!text.empty()) known.text = clean_text(text);
  builder.set_item(item, std::move(known));
}

}  // namespace

void read_item_table(const std::string& path, const ItemTableOptions& table,
                     const CommonOptions& options, DatasetBuilder& builder, ImportReport& report) {
  std::string separator = table.separator;
  if (separator == "auto") {
    LineReader first(path);
    if (!first.next()) throw Error(Kind::kBadInput, "is empty, expected a header and items", path);
    separator = guess_separator(first.line()).value_or(",");
  } else {
    separator = parse_separator(separator);
  }
  TableReader rows(path, separator, separator != "\t");
  if (!rows.next()) throw Error(Kind::kBadInput, "is empty, expected a header and items", path);
  const std::vector<Role> roles = roles_of(rows, table, report);
  Attributes attributes;
  while (rows.next()) {
    read_row(rows, options, report, [&] { read_item(rows, roles, options, attributes, builder); });
  }
  attributes.finish(options, builder);
}

}  // namespace kindling
