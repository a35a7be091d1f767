// One walk over the options of a component, from which everything else follows: reading from JSON
// and
// --set, range checks, refusal of unknown names, the saved record, the description for users.
//
//   struct Options {
//     std::int64_t dim = 300;
//     std::string network = "gru";
//     template <class Visitor> void fields(Visitor& field) {
//       field("dim", dim, kPositive, "width of item and user vectors");
//       field("network", network, one_of({"gru", "tcn", "hrnn"}), "user network [Z15, Z16, Z17]");
//     }
//   };
//   Options options;
//   set_option(options, "dim", "64");          // Error{kBadOption} names the option, value and
//   range Json record = options_to_json(options);
//
// Field types: bool, std::int64_t, double, std::string.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/base/json.h"

namespace kindling {

// What a value may be. For numbers an interval, for strings a list (empty: anything).
struct Allowed {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
  std::vector<std::string> names;

  // "> 0", "0 to 1", "one of gru, tcn, hrnn"; empty for anything.
  std::string describe() const;
};

inline const Allowed kAny{};
inline const Allowed kPositive{.low = 0, .low_open = true, .names = {}};
inline const Allowed kNotNegative{.low = 0, .names = {}};
inline const Allowed kUnit{.low = 0, .high = 1, .names = {}};
inline const Allowed kRate{.low = 0, .high = 1, .high_open = true, .names = {}};  // dropout: [0, 1)
Allowed between(double low, double high);
Allowed one_of(std::initializer_list<const char*> names);

// One option as users see it.
struct OptionInfo {
  std::string name;
  std::string type;  // "true/false", "integer", "number", "text"
  Json value;        // the default when taken from a fresh Options
  Allowed allowed;
  std::string description;
};

namespace options_detail {
void parse(std::string_view name, std::string_view text, const Allowed& allowed, bool& value);
void parse(std::string_view name, std::string_view text, const Allowed& allowed,
           std::int64_t& value);
void parse(std::string_view name, std::string_view text, const Allowed& allowed, double& value);
void parse(std::string_view name, std::string_view text, const Allowed& allowed,
           std::string& value);
// The text that parse() reads back: JSON strings lose their quotes.
std::string text_of(const Json& value);
[[noreturn]] void fail_unknown(std::string_view name, const std::vector<OptionInfo>& known);

template <class T>
constexpr const char* type_name() {
  if constexpr (std::is_same_v<T, bool>) return "true/false";
  if constexpr (std::is_same_v<T, std::int64_t>) return "integer";
  if constexpr (std::is_same_v<T, double>) return "number";
  return "text";
}
}  // namespace options_detail

template <class Options>
std::vector<OptionInfo> describe_options(Options options) {
  std::vector<OptionInfo> all;
  const auto visit = [&](const char* name, auto& value, const Allowed& allowed,
                         const char* description) {
    using T = std::remove_reference_t<decltype(value)>;
    all.push_back({name, options_detail::type_name<T>(), Json(value), allowed, description});
  };
  options.fields(visit);
  return all;
}

// For an option that is known by its description only.
// Errors: Error{kBadOption} as set_option() has it, also for null, an array or an object.
void check_value(const OptionInfo& option, const Json& value);

// Errors: Error{kBadOption} for an unknown name (with the nearest known one) or a value out of
// range.
template <class Options>
void set_option(Options& options, std::string_view name, std::string_view text) {
  bool found = false;
  const auto visit = [&](const char* known, auto& value, const Allowed& allowed, const char*) {
    if (name != known) return;
    options_detail::parse(name, text, allowed, value);
    found = true;
  };
  options.fields(visit);
  if (!found) options_detail::fail_unknown(name, describe_options(options));
}

template <class Options>
Json options_to_json(Options options) {
  Json record = Json::object();
  const auto visit = [&](const char* name, auto& value, const Allowed&, const char*) {
    record[name] = value;
  };
  options.fields(visit);
  return record;
}

// Every member of the object is set by name; the others keep their values.
template <class Options>
void options_from_json(Options& options, const Json& object) {
  if (!object.is_object()) throw Error(Kind::kBadOption, "options must be a JSON object");
  for (const auto& [name, value] : object.items()) {
    set_option(options, name, options_detail::text_of(value));
  }
}

}  // namespace kindling
