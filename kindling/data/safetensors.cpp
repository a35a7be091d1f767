#include "kindling/data/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/json.h"
#include "kindling/data/half.h"
#include "kindling/data/safetensors_header.h"

namespace kindling {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

namespace {

struct DTypeRow {
  std::string_view name;
  std::size_t bytes;
};
// In the order of DType.
constexpr std::array<DTypeRow, 13> kDTypes = {{{"BOOL", 1},
                                               {"U8", 1},
                                               {"I8", 1},
                                               {"U16", 2},
                                               {"I16", 2},
                                               {"F16", 2},
                                               {"BF16", 2},
                                               {"U32", 4},
                                               {"I32", 4},
                                               {"F32", 4},
                                               {"U64", 8},
                                               {"I64", 8},
                                               {"F64", 8}}};

constexpr std::size_t kAlignment = 64;

// memcpy, because the values need not be aligned in the file.
template <class Stored, class Convert>
void widen(std::span<const std::byte> bytes, std::vector<float>& values, const Convert& convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored);
  }
}

std::string make_header(const std::vector<TensorView>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const TensorView& tensor : tensors) {
    std::size_t bytes = dtype_bytes(tensor.dtype);
    for (const std::size_t size : tensor.shape) bytes *= size;
    check(bytes == tensor.data.size(), "a tensor's bytes do not match its shape");
    check(!header.contains(tensor.name), "two tensors of one name");
    header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  while ((text.size() + 8) % kAlignment != 0) text += ' ';  // the format allows trailing spaces
  return text;
}

}  // namespace

std::size_t dtype_bytes(DType dtype) { return kDTypes.at(static_cast<std::size_t>(dtype)).bytes; }
std::string_view dtype_name(DType dtype) {
  return kDTypes.at(static_cast<std::size_t>(dtype)).name;
}

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) { read_header(); }

void SafetensorsFile::read_header() {
  const auto fail = [&](const std::string& message) {
    throw Error(Kind::kBadInput, message, path(), "the file is damaged or not a safetensors file");
  };
  const std::span<const std::byte> all = file_.bytes();
  std::uint64_t length = 0;
  if (all.size() < sizeof(length)) {
    fail(fmt::format("{} bytes are too few for a safetensors file", all.size()));
  }
  std::memcpy(&length, all.data(), sizeof(length));
  if (length > kMaxSafetensorsHeader) {
    fail(fmt::format("the header claims {} bytes, at most {} are allowed", length,
                     kMaxSafetensorsHeader));
  }
  if (length > all.size() - sizeof(length)) {
    fail(fmt::format("the header claims {} bytes, the file has {}", length, all.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + sizeof(length), length);
  if (text.empty() || text.front() != '{') fail("the header does not begin with '{'");

  SafetensorsHeader header = parse_safetensors_header(text, path());
  metadata_ = std::move(header.metadata);
  tensors_ = std::move(header.tensors);
  data_begin_ = sizeof(length) + length;
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const std::size_t available = all.size() - data_begin_;
  std::size_t expected = 0;
  for (const TensorInfo& tensor : tensors_) {
    if (tensor.begin != expected) {
      fail(fmt::format("tensor {}: begins at byte {}, expected {} ({})", quote(tensor.name),
                       tensor.begin, expected, tensor.begin < expected ? "overlap" : "gap"));
    }
    if (tensor.end > available) {
      fail(fmt::format("tensor {}: ends at byte {}, the file holds {}", quote(tensor.name),
                       tensor.end, available));
    }
    expected = tensor.end;
    index_.emplace(tensor.name, index_.size());
  }
  if (expected != available) {
    fail(fmt::format("{} bytes follow the last tensor", available - expected));
  }
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& SafetensorsFile::at(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) {
    throw Error(Kind::kBadInput, "tensor " + quote(name) + " is missing", path());
  }
  return *tensor;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(data_begin_ + tensor.begin, tensor.end - tensor.begin);
}

std::vector<float> SafetensorsFile::floats_unchecked(const TensorInfo& tensor) const {
  std::vector<float> values(tensor.elements);
  const std::span<const std::byte> stored = bytes(tensor);
  switch (tensor.dtype) {
    case DType::kF32:
      if (!stored.empty()) std::memcpy(values.data(), stored.data(), stored.size());
      break;
    case DType::kF64:
      widen<double>(stored, values, [](double value) { return static_cast<float>(value); });
      break;
    case DType::kF16:
      widen<std::uint16_t>(stored, values, half_to_float);
      break;
    case DType::kBF16:
      widen<std::uint16_t>(stored, values, bfloat16_to_float);
      break;
    default:
      throw Error(Kind::kBadInput,
                  fmt::format("tensor {}: is {}, expected floating-point numbers",
                              quote(tensor.name), dtype_name(tensor.dtype)),
                  path());
  }
  return values;
}

std::vector<float> SafetensorsFile::floats(const TensorInfo& tensor) const {
  std::vector<float> values = floats_unchecked(tensor);
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad != values.end()) {
    throw Error(
        Kind::kBadInput,
        fmt::format("tensor {}: value {} is {}", quote(tensor.name), bad - values.begin(), *bad),
        path(), "the weights are damaged; get the file again");
  }
  return values;
}

Matrix SafetensorsFile::matrix(std::string_view name) const {
  const TensorInfo& tensor = at(name);
  if (tensor.shape.size() != 2) {
    throw Error(
        Kind::kBadInput,
        fmt::format("tensor {}: has {} dimensions, expected 2", quote(name), tensor.shape.size()),
        path());
  }
  const std::vector<float> values = floats(tensor);
  Matrix matrix(tensor.shape[0], tensor.shape[1]);
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

TensorView tensor_view(std::string name, MatrixView matrix) {
  return {std::move(name),
          DType::kF32,
          {matrix.rows(), matrix.cols()},
          std::as_bytes(std::span(matrix.data(), matrix.rows() * matrix.cols()))};
}

TensorView tensor_view(std::string name, std::span<const float> values) {
  return {std::move(name), DType::kF32, {values.size()}, std::as_bytes(values)};
}

void write_safetensors(const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = make_header(tensors, metadata);
  write_file(path, [&](const Sink& sink) {
    const std::uint64_t length = header.size();
    sink({reinterpret_cast<const char*>(&length), sizeof(length)});
    sink(header);
    for (const TensorView& tensor : tensors) {
      sink({reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()});
    }
  });
}

}  // namespace kindling
