// One JSON line of Amazon's reviews or metadata, read with simdjson.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kindling/data/item_text.h"

namespace kindling {

// Views into the parser's buffers, valid until its next call.
struct AmazonReview {
  std::string_view user;
  std::string_view item;
  float rating = 1.0F;
  std::int64_t time = 0;
  std::optional<bool> verified;  // 2014 does not say
};

// Errors: Error{kBadInput} without a place: a missing key, a value of another type, no JSON.
class AmazonJson {
 public:
  AmazonJson();
  ~AmazonJson();
  AmazonJson(const AmazonJson&) = delete;
  AmazonJson& operator=(const AmazonJson&) = delete;

  AmazonReview review(std::string_view line);
  // The item's fields; its id goes to `id`.
  RawItem item(std::string_view line, std::string& id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kindling
