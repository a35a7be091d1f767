#include "kindling/base/options.h"

#include <algorithm>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling {

namespace {

[[noreturn]] void fail_value(std::string_view name, std::string_view text,
                             const std::string& expected) {
  throw Error(Kind::kBadOption,
              fmt::format("option {} cannot be {}; expected {}", name, quote(text), expected));
}

std::string expected_number(const char* type, const Allowed& allowed) {
  const std::string range = allowed.describe();
  return range.empty() ? type : fmt::format("{}, {}", type, range);
}

bool in_range(double value, const Allowed& allowed) {
  const bool above = allowed.low_open ? value > allowed.low : value >= allowed.low;
  const bool below = allowed.high_open ? value < allowed.high : value <= allowed.high;
  return above && below;
}

}  // namespace

std::string Allowed::describe() const {
  if (!names.empty()) return "one of " + join(names, ", ");
  const bool has_low = low > -std::numeric_limits<double>::infinity();
  const bool has_high = high < std::numeric_limits<double>::infinity();
  if (has_low && has_high) {
    return fmt::format("{}{} to {}{}", low_open ? "above " : "", low, high_open ? "below " : "",
                       high);
  }
  if (has_low) return fmt::format("{} {}", low_open ? ">" : ">=", low);
  if (has_high) return fmt::format("{} {}", high_open ? "<" : "<=", high);
  return {};
}

Allowed between(double low, double high) {
  Allowed allowed;
  allowed.low = low;
  allowed.high = high;
  return allowed;
}

Allowed one_of(std::initializer_list<const char*> names) {
  Allowed allowed;
  allowed.names.assign(names.begin(), names.end());
  return allowed;
}

namespace options_detail {

void parse(std::string_view name, std::string_view text, const Allowed&, bool& value) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") {
    value = true;
  } else if (text == "false" || text == "0" || text == "no" || text == "off") {
    value = false;
  } else {
    fail_value(name, text, "true or false");
  }
}

void parse(std::string_view name, std::string_view text, const Allowed& allowed,
           std::int64_t& value) {
  const auto parsed = to_int(text);
  if (!parsed || !in_range(static_cast<double>(*parsed), allowed)) {
    fail_value(name, text, expected_number("an integer", allowed));
  }
  value = *parsed;
}

void parse(std::string_view name, std::string_view text, const Allowed& allowed, double& value) {
  const auto parsed = to_double(text);
  if (!parsed || !in_range(*parsed, allowed)) {
    fail_value(name, text, expected_number("a number", allowed));
  }
  value = *parsed;
}

void parse(std::string_view name, std::string_view text, const Allowed& allowed,
           std::string& value) {
  if (!allowed.names.empty() &&
      std::find(allowed.names.begin(), allowed.names.end(), text) == allowed.names.end()) {
    fail_value(name, text, allowed.describe());
  }
  value = text;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void fail_unknown(std::string_view name, const std::vector<OptionInfo>& known) {
  std::vector<std::string> names;
  names.reserve(known.size());
  for (const auto& info : known) names.push_back(info.name);
  const auto near = nearest_name(name, names);
  throw Error(Kind::kBadOption, fmt::format("unknown option {}", quote(name)), {},
              near ? fmt::format("did you mean {}?", *near)
                   : fmt::format("the options are: {}", join(names, ", ")));
}

}  // namespace options_detail

void check_value(const OptionInfo& option, const Json& value) {
  if (value.is_structured() || value.is_null()) fail_value(option.name, value.dump(), option.type);
  const std::string text = options_detail::text_of(value);
  const auto parse_as = [&](auto parsed) {
    options_detail::parse(option.name, text, option.allowed, parsed);
  };
  if (option.value.is_boolean()) {
    parse_as(false);
  } else if (option.value.is_number_integer()) {
    parse_as(std::int64_t{0});
  } else if (option.value.is_number()) {
    parse_as(0.0);
  } else {
    parse_as(std::string());
  }
}

}  // namespace kindling
