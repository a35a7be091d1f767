#include "kindling/data/readers/amazon_json.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <simdjson.h>

#include "kindling/base/error.h"
#include "kindling/data/readers/python_literal.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

namespace json = simdjson::ondemand;

[[noreturn]] void fail_type(std::string_view key, std::string_view expected, json::value value) {
  std::string_view found = "something else";
  json::json_type type{};
  if (value.type().get(type) == simdjson::SUCCESS) {
    switch (type) {
      case json::json_type::array:
        found = "a list";
        break;
      case json::json_type::object:
        found = "an object";
        break;
      case json::json_type::number:
        found = "a number";
        break;
      case json::json_type::string:
        found = "a string";
        break;
      case json::json_type::boolean:
        found = "true or false";
        break;
      case json::json_type::null:
        found = "null";
        break;
    }
  }
  throw Error(Kind::kBadInput, fmt::format("\"{}\" is {}, expected {}", key, found, expected), {},
              "this reader knows the 2014, 2018 and 2023 editions");
}

std::string_view string_of(std::string_view key, json::value value) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) fail_type(key, "a string", value);
  return text;
}

double number_of(std::string_view key, json::value value) {
  double number = 0.0;
  if (value.get_double().get(number) != simdjson::SUCCESS) fail_type(key, "a number", value);
  return number;
}

std::int64_t integer_of(std::string_view key, json::value value) {
  std::int64_t number = 0;
  if (value.get_int64().get(number) != simdjson::SUCCESS) fail_type(key, "an integer", value);
  return number;
}

[[noreturn]] void fail_missing(std::string_view keys) {
  throw Error(Kind::kBadInput, fmt::format("has no {}", keys), {},
              "expected a line of Amazon's reviews or metadata (2014, 2018 or 2023)");
}

// The strings of a list, of a list of lists (2014's category paths: what further paths add comes
// behind), or of one string; numbers and nulls are passed over.
void append_strings(json::value value, std::vector<std::string>& out) {
  json::json_type type{};
  if (value.type().get(type) != simdjson::SUCCESS) return;
  if (type == json::json_type::string) {
    std::string text(value.get_string().value());
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  } else if (type == json::json_type::array) {
    for (auto element : value.get_array()) append_strings(element.value(), out);
  }
}

// Titles that the 2018 crawl filled with page scripts instead of a title.
bool is_script(std::string_view title) {
  return title.find("var aPageStart") != std::string_view::npos ||
         title.find("getTime()") != std::string_view::npos;
}

}  // namespace

struct AmazonJson::State {
  json::parser parser;
  std::string padded;  // the line and the room behind it that simdjson reads
  std::string literal;

  // Calls use(key, value) for each member of the line's object.
  template <class Use>
  void members(std::string_view line, const Use& use) {
    const std::size_t size = line.size() + simdjson::SIMDJSON_PADDING;
    if (padded.size() < size) padded.resize(size * 2);
    std::memcpy(padded.data(), line.data(), line.size());
    std::memset(padded.data() + line.size(), ' ', simdjson::SIMDJSON_PADDING);
    try {
      json::document document = parser.iterate(padded.data(), line.size(), padded.size()).value();
      for (auto field : document.get_object()) {
        const std::string_view key = field.unescaped_key();
        use(key, field.value().value());
      }
      if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
        throw Error(Kind::kBadInput, "more text behind the JSON object", {},
                    "expected one object a line");
      }
    } catch (const simdjson::simdjson_error& error) {
      throw Error(Kind::kBadInput,
                  fmt::format("is no JSON object ({}): {}", error.what(), quote(line)), {},
                  "expected one JSON object a line; is the file truncated?");
    }
  }
};

AmazonJson::AmazonJson() : state_(std::make_unique<State>()) {}
AmazonJson::~AmazonJson() = default;

AmazonReview AmazonJson::review(std::string_view line) {
  AmazonReview review;
  bool has_rating = false;
  bool has_time = false;
  bool has_parent = false;
  state_->members(line, [&](std::string_view key, json::value value) {
    if (key == "reviewerID" || key == "user_id") {
      review.user = string_of(key, value);
    } else if (key == "parent_asin") {
      review.item = string_of(key, value);
      has_parent = true;
    } else if (key == "asin") {
      // 2023 names variants by asin and the product by parent_asin: the product counts.
      if (!has_parent) review.item = string_of(key, value);
    } else if (key == "overall" || key == "rating") {
      const double rating = number_of(key, value);
      review.rating = static_cast<float>(rating);
      if (!std::isfinite(review.rating)) {
        throw Error(Kind::kBadInput, fmt::format("the {} is {}", key, rating), {},
                    "expected a rating of a few stars");
      }
      has_rating = true;
    } else if (key == "unixReviewTime" || key == "timestamp") {
      review.time = seconds_from(integer_of(key, value));
      has_time = true;
    } else if (key == "verified" || key == "verified_purchase") {
      bool verified = false;
      if (value.get_bool().get(verified) != simdjson::SUCCESS) {
        fail_type(key, "true or false", value);
      }
      review.verified = verified;
    }
  });
  if (review.user.empty()) fail_missing("\"reviewerID\" or \"user_id\"");
  if (review.item.empty()) fail_missing("\"asin\" or \"parent_asin\"");
  if (!has_rating) fail_missing("\"overall\" or \"rating\"");
  if (!has_time) fail_missing("\"unixReviewTime\" or \"timestamp\"");
  return review;
}

RawItem AmazonJson::item(std::string_view line, std::string& id) {
  if (line.starts_with("{'") || line.starts_with("{u'")) {
    python_to_json(line, state_->literal);
    line = state_->literal;
  }
  RawItem raw;
  bool has_parent = false;
  id.clear();
  state_->members(line, [&](std::string_view key, json::value value) {
    if (key == "parent_asin") {
      id = string_of(key, value);
      has_parent = true;
    } else if (key == "asin") {
      if (!has_parent) id = string_of(key, value);
    } else if (key == "title") {
      if (!value.is_null()) raw.title = string_of(key, value);
      if (is_script(raw.title)) raw.title.clear();
    } else if (key == "description") {
      std::vector<std::string> parts;
      append_strings(value, parts);
      for (const auto& part : parts) {
        if (!raw.description.empty()) raw.description += ' ';
        raw.description += part;
      }
    } else if (key == "category" || key == "categories") {
      append_strings(value, raw.categories);
    } else if (key == "brand" || (key == "store" && raw.brand.empty())) {
      if (!value.is_null()) raw.brand = string_of(key, value);
    }
  });
  if (id.empty()) fail_missing("\"asin\" or \"parent_asin\"");
  return raw;
}

}  // namespace kindling
