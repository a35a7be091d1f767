// Columns of a delimited file, by name or by number from 1.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kindling/data/readers/rows.h"

namespace kindling {

// Names that a column usually has.
using ColumnNames = std::span<const std::string_view>;

// The first row's fields, trimmed and in lower case.
std::vector<std::string> lower_names(std::span<const std::string_view> fields);

// The column that has one of the known names; the first of `known` wins.
std::optional<std::size_t> known_column(const std::vector<std::string>& names, ColumnNames known);

// The column that the value `wanted` of `option` means: a name of the header, a number from 1,
// "none", or (empty) one of the known names. Errors: Error{kBadOption} when there is no such
// column.
std::optional<std::size_t> column(const char* option, const std::string& wanted, bool header,
                                  const std::vector<std::string>& names, const TableReader& rows,
                                  ColumnNames known);

}  // namespace kindling
