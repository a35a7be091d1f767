#include "kindling/data/readers/columns.h"

#include <algorithm>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling {

std::vector<std::string> lower_names(std::span<const std::string_view> fields) {
  std::vector<std::string> names;
  for (const std::string_view field : fields) {
    std::string name(trim(field));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    names.push_back(std::move(name));
  }
  return names;
}

std::optional<std::size_t> known_column(const std::vector<std::string>& names, ColumnNames known) {
  for (const std::string_view name : known) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  }
  return std::nullopt;
}

// The column that an option means, by number or by its name in the header.
std::optional<std::size_t> column(const char* option, const std::string& wanted, bool header,
                                  const std::vector<std::string>& names, const TableReader& rows,
                                  ColumnNames known) {
  if (wanted == "none") return std::nullopt;
  if (wanted.empty()) return header ? known_column(names, known) : std::nullopt;
  const std::vector<std::string_view> single{wanted};
  const auto found = std::find(names.begin(), names.end(), lower_names(single).front());
  if (header && found != names.end()) return static_cast<std::size_t>(found - names.begin());
  if (const auto number = to_int(wanted)) {
    if (*number >= 1 && static_cast<std::size_t>(*number) <= names.size()) {
      return static_cast<std::size_t>(*number - 1);
    }
    throw Error(
        Kind::kBadOption,
        fmt::format("option {} is column {}, the file has {}", option, *number, names.size()),
        rows.place());
  }
  throw Error(Kind::kBadOption, fmt::format("option {}: no column {}", option, quote(wanted)),
              rows.place(),
              header ? "the columns are: " + join(names, ", ")
                     : "the file has no header: give the column's number");
}

}  // namespace kindling
