#include "kindling/data/npy.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/text.h"
#include "kindling/data/half.h"

namespace kindling {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct NpyHeader {
  std::string descr;
  bool fortran = false;
  std::vector<std::size_t> shape;
};

// Reads the Python dictionary that numpy writes:
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  NpyHeader parse() {
    NpyHeader header;
    bool descr = false;
    bool order = false;
    bool shape = false;
    const auto once = [&](bool& seen, const char* key) {
      if (seen) fail(fmt::format("{} appears twice", key));
      seen = true;
    };
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        once(descr, "descr");
        header.descr = string();
      } else if (key == "fortran_order") {
        once(order, "fortran_order");
        header.fortran = boolean();
      } else if (key == "shape") {
        once(shape, "shape");
        header.shape = tuple();
      } else {
        fail("unknown key " + quote(key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!descr || !order || !shape) fail("descr, fortran_order or shape is missing");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(Kind::kBadInput, "header: " + message, path_,
                "the file is damaged or not a .npy file");
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(fmt::format("expected '{}' at byte {}", wanted, at_));
  }
  std::string string() {
    skip_space();
    const char mark = at_ < text_.size() ? text_[at_] : '\0';
    if (mark != '\'' && mark != '"') {
      // A list here is the descr of a structured array.
      fail(fmt::format("expected a string at byte {} (structured arrays are not read)", at_));
    }
    const std::size_t end = text_.find(mark, at_ + 1);
    if (end == std::string_view::npos) fail("a string does not end");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    }
    fail(fmt::format("expected True or False at byte {}", at_));
  }
  std::vector<std::size_t> tuple() {
    constexpr std::size_t kMaxRank = 32;
    std::vector<std::size_t> sizes;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::size_t end = at_;
      while (end < text_.size() && text_[end] >= '0' && text_[end] <= '9') ++end;
      const std::optional<std::int64_t> size = to_int(text_.substr(at_, end - at_));
      if (!size) fail(fmt::format("expected a size at byte {}", at_));
      if (sizes.size() == kMaxRank) fail("too many dimensions");
      sizes.push_back(static_cast<std::size_t>(*size));
      at_ = end;
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

struct Parts {
  std::string_view header;
  std::span<const std::byte> values;
};

Parts split_file(const MappedFile& file) {
  const auto fail = [&](const std::string& message) {
    throw Error(Kind::kBadInput, message, file.path(), "the file is damaged or not a .npy file");
  };
  const std::span<const std::byte> all = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(all.data()), all.size());
  constexpr std::size_t kVersionEnd = 8;
  if (!text.starts_with(kMagic) || all.size() < kVersionEnd)
    fail("does not begin as .npy files do");
  const auto major = static_cast<unsigned char>(text[kMagic.size()]);
  if (major < 1 || major > 3) fail(fmt::format("format version {} is unknown", major));
  const std::size_t width = major == 1 ? 2 : 4;
  if (all.size() < kVersionEnd + width) fail("ends inside the header");
  std::uint32_t length = 0;
  std::memcpy(&length, all.data() + kVersionEnd, width);
  const std::size_t start = kVersionEnd + width;
  if (length > all.size() - start) {
    fail(fmt::format("the header claims {} bytes, the file has {}", length, all.size()));
  }
  return {text.substr(start, length), all.subspan(start + length)};
}

template <class Stored, class Convert>
void fill(Matrix& matrix, bool fortran, std::span<const std::byte> bytes, const Convert& convert) {
  for (std::size_t r = 0; r < matrix.rows(); ++r) {
    for (std::size_t c = 0; c < matrix.cols(); ++c) {
      const std::size_t i = fortran ? c * matrix.rows() + r : r * matrix.cols() + c;
      Stored stored;
      std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
      matrix(r, c) = convert(stored);
    }
  }
}

}  // namespace

Matrix read_npy(const std::string& path) {
  const MappedFile file(path);
  const Parts parts = split_file(file);
  const NpyHeader header = HeaderParser(parts.header, path).parse();
  const std::size_t width = header.descr == "<f4"   ? 4
                            : header.descr == "<f8" ? 8
                            : header.descr == "<f2" ? 2
                                                    : 0;
  if (width == 0) {
    throw Error(Kind::kUnsupported, "dtype " + quote(header.descr) + " is not read", path,
                "save it with array.astype('float32')");
  }
  if (header.shape.size() != 2) {
    throw Error(
        Kind::kUnsupported,
        fmt::format("the array has {} dimensions, expected 2 (items, values)", header.shape.size()),
        path);
  }
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(header.shape[0], header.shape[1], &bytes) ||
      __builtin_mul_overflow(bytes, width, &bytes) || bytes != parts.values.size()) {
    throw Error(Kind::kBadInput,
                fmt::format("shape ({}, {}) of {} does not fit the {} bytes that follow the header",
                            header.shape[0], header.shape[1], header.descr, parts.values.size()),
                path, "the file is truncated or damaged");
  }
  // A zero dimension could hide a huge other one.
  if (bytes == 0) throw Error(Kind::kBadInput, "the array is empty", path);
  Matrix matrix(header.shape[0], header.shape[1]);
  if (width == 4) {
    fill<float>(matrix, header.fortran, parts.values, [](float value) { return value; });
  } else if (width == 8) {
    fill<double>(matrix, header.fortran, parts.values,
                 [](double value) { return static_cast<float>(value); });
  } else {
    fill<std::uint16_t>(matrix, header.fortran, parts.values, half_to_float);
  }
  return matrix;
}

}  // namespace kindling
