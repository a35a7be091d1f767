// Items from a delimited table with a header: asin, title, description, … in any order.
#pragma once

#include <string>

#include "kindling/data/dataset.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

struct ItemTableOptions {
  std::string separator = "auto";
  std::string item;  // column of the id; empty: the first of the known names, else column 1
};

// Columns are known by their names: item/asin/item_id/… the id; title/name; description/abstract/
// keywords; text (ready to use: it becomes the title-less text); categories/genres/category (split
// at "|"); brand; attributes (brand and category path split at "|", as in the 2014 folders of
// RecGURU-like data). Others are ignored and noted in the report. Items that no interaction named
// are added.
void read_item_table(const std::string& path, const ItemTableOptions& table,
                     const CommonOptions& options, DatasetBuilder& builder, ImportReport& report);

}  // namespace kindling
