// One text for an item, from the fields that a source has: what encoders read.
//
//   RawItem raw{.title = "Desk lamp", .description = "<b>Bright</b> &amp; small", …};
//   Item item = make_item(raw, {});     // text "Desk lamp. Bright & small. Home, Lighting. Acme"
//
// The rule [Z5]: the fields named in `text_fields`, in that order, those that are empty left out;
// each cleaned (HTML tags and entities gone, lists written as ['a', 'b'] decoded, white space
// collapsed); joined by ". ", or by " " behind a field that ends a sentence itself. Categories are
// joined by ", ". A field that repeats an earlier one word for word is left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kindling/base/options.h"
#include "kindling/data/dataset.h"

namespace kindling {

struct TextOptions {
  std::string text_fields = "title,description,categories,brand";

  template <class Visitor>
  void fields(Visitor& field) {
    field("text_fields", text_fields, kAny,
          "fields that make an item's text, in order: title, description, categories, brand [Z5]");
  }
};

// An item as a file describes it: texts may hold HTML.
struct RawItem {
  std::string title;
  std::string description;
  std::vector<std::string> categories;  // broad to narrow
  std::string brand;
};

// Errors: Error{kBadOption} for an unknown name in text_fields.
Item make_item(const RawItem& raw, const TextOptions& options);

// Tags and entities gone, control characters and runs of white space made one space, ends trimmed.
// What only looks like a tag ("a < b", "<3") stays.
std::string clean_text(std::string_view text);

// The strings of a list as Python prints it ("['a', \"b\"]") or JSON writes it; nothing when `text`
// is no such list.
std::optional<std::vector<std::string>> parse_string_list(std::string_view text);

// A description that may be such a list, as one text.
std::string flatten_list(std::string_view text);

// Lower case ASCII letters and digits only, single spaces: texts that a buyer would call the same.
std::string normalised_text(std::string_view text);

}  // namespace kindling
