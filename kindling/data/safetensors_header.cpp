#include "kindling/data/safetensors_header.h"

#include <array>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/json.h"

namespace kindling {

namespace {

constexpr std::string_view kMetadata = "__metadata__";

std::optional<DType> dtype_from(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(DType::kF64); ++i) {
    if (dtype_name(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

// Receives the events of the JSON parser. Levels: 1 the header, 2 one tensor or the metadata,
// 3 the numbers of a shape or of the offsets.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(const std::string& place) : place_(place) {}

  bool null() override { fail("null is not allowed"); }
  bool boolean(bool) override { fail("true/false is not allowed"); }
  bool number_float(double, const std::string&) override { fail("fractions are not allowed"); }
  bool binary(nlohmann::json::binary_t&) override { fail("binary is not allowed"); }
  bool number_integer(std::int64_t value) override {
    fail(fmt::format("negative number {}", value));
  }

  bool number_unsigned(std::uint64_t value) override {
    if (level_ != 3) fail("a number stands where none is expected");
    if (numbers_.size() >= kMaxSafetensorsRank) {
      fail(fmt::format("more than {} numbers in {}", kMaxSafetensorsRank, quote(field_)));
    }
    numbers_.push_back(value);
    return true;
  }

  bool string(std::string& value) override {
    if (level_ != 2) fail("a string stands where none is expected");
    if (name_ == kMetadata) {
      if (!header_.metadata.emplace(field_, value).second) fail("duplicate key " + quote(field_));
      return true;
    }
    if (field_ != "dtype") fail("key " + quote(field_) + " holds a string");
    const std::optional<DType> dtype = dtype_from(value);
    if (!dtype) fail("unknown dtype " + quote(value));
    tensor_.dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) override {
    if (level_ > 1) fail("nested too deeply");
    if (++level_ == 2) {
      tensor_ = {};
      seen_.clear();
    }
    return true;
  }

  bool key(std::string& value) override {
    if (level_ == 1) {
      name_ = value;
      if (!names_.insert(value).second) fail("the tensor appears twice");
      if (names_.size() > kMaxSafetensorsTensors + 1) {
        fail(fmt::format("more than {} tensors", kMaxSafetensorsTensors));
      }
      return true;
    }
    field_ = value;
    if (name_ == kMetadata) return true;
    if (value != "dtype" && value != "shape" && value != "data_offsets") {
      fail("unknown key " + quote(value));
    }
    if (!seen_.insert(value).second) fail("duplicate key " + quote(value));
    return true;
  }

  bool end_object() override {
    if (level_-- == 2 && name_ != kMetadata) {
      if (seen_.size() != 3) fail("dtype, shape or data_offsets is missing");
      finish_tensor();
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != 2 || name_ == kMetadata || field_ == "dtype") fail("unexpected list");
    level_ = 3;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    level_ = 2;
    if (field_ == "shape") {
      tensor_.shape.assign(numbers_.begin(), numbers_.end());
    } else {
      if (numbers_.size() != 2) fail("data_offsets needs two numbers");
      tensor_.begin = numbers_[0];
      tensor_.end = numbers_[1];
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& cause) override {
    name_.clear();
    fail(fmt::format("the header is not valid JSON at byte {}: {}", position, cause.what()));
  }

  SafetensorsHeader take() { return std::move(header_); }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    const std::string about = name_.empty() ? std::string("header") : "tensor " + quote(name_);
    throw Error(Kind::kBadInput, about + ": " + message, place_,
                "the file is damaged or not a safetensors file");
  }

  // The byte count that dtype and shape promise must be the one that the offsets give.
  void finish_tensor() {
    std::size_t elements = 1;
    std::size_t bytes = 0;
    for (const std::size_t size : tensor_.shape) {
      if (__builtin_mul_overflow(elements, size, &elements)) fail("the shape is too large");
    }
    if (__builtin_mul_overflow(elements, dtype_bytes(tensor_.dtype), &bytes)) {
      fail("the shape is too large");
    }
    if (tensor_.end < tensor_.begin || tensor_.end - tensor_.begin != bytes) {
      fail(fmt::format("shape [{}] of {} needs {} bytes, data_offsets are [{}, {}]",
                       fmt::join(tensor_.shape, ", "), dtype_name(tensor_.dtype), bytes,
                       tensor_.begin, tensor_.end));
    }
    tensor_.name = name_;
    tensor_.elements = elements;
    header_.tensors.push_back(std::move(tensor_));
  }

  const std::string& place_;
  SafetensorsHeader header_;
  int level_ = 0;
  std::string name_;
  std::string field_;
  TensorInfo tensor_;
  std::set<std::string> seen_;
  std::set<std::string> names_;
  std::vector<std::uint64_t> numbers_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& place) {
  HeaderEvents events(place);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  return events.take();
}

}  // namespace kindling
