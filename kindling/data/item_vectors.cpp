#include "kindling/data/item_vectors.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <span>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/data/half.h"
#include "kindling/data/npy.h"
#include "kindling/data/safetensors.h"

namespace kindling {

namespace fs = std::filesystem;

namespace {

constexpr const char* kTensor = "vectors";

void check_rows(std::size_t rows, const Dataset& dataset, const std::string& path) {
  if (rows != dataset.item_count()) {
    throw Error(Kind::kBadInput,
                fmt::format("{} rows, but the dataset {} has {} items", rows, quote(dataset.name),
                            dataset.item_count()),
                path, "one row for each item, in the order of the dataset's items");
  }
}

Matrix read_safetensors_matrix(const SafetensorsFile& file) {
  const TensorInfo* tensor = file.find(kTensor);
  if (tensor == nullptr && file.tensors().size() == 1) tensor = &file.tensors().front();
  if (tensor == nullptr) {
    throw Error(
        Kind::kBadInput,
        fmt::format("holds {} tensors and none named \"{}\"", file.tensors().size(), kTensor),
        file.path());
  }
  if (tensor->shape.size() != 2 || tensor->elements == 0) {
    throw Error(Kind::kBadInput,
                fmt::format("tensor {}: shape [{}], expected [items, values]", quote(tensor->name),
                            fmt::join(tensor->shape, ", ")),
                file.path());
  }
  const std::vector<float> values = file.floats_unchecked(*tensor);
  Matrix matrix(tensor->shape[0], tensor->shape[1]);
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

// Error{kBadInput} for a value beyond the range of sixteen bits.
std::vector<std::uint16_t> to_halves(const Matrix& values, const Dataset& dataset,
                                     const std::string& path) {
  std::vector<std::uint16_t> halves;
  halves.reserve(values.rows() * values.cols());
  for (std::size_t r = 0; r < values.rows(); ++r) {
    for (const float value : values.row(r)) {
      if (std::abs(value) > kLargestHalf) {
        throw Error(Kind::kBadInput,
                    fmt::format("row {} (item {}) holds {}, F16 ends at {}", r,
                                quote(dataset.item_ids().name(static_cast<ItemId>(r))), value,
                                kLargestHalf),
                    path, "keep these vectors as f32");
      }
      halves.push_back(float_to_half(value));
    }
  }
  return halves;
}

std::string metadata_or_empty(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? std::string() : found->second;
}

}  // namespace

std::string items_fingerprint(const Dataset& dataset) {
  Sha256 hash;
  for (std::size_t i = 0; i < dataset.item_count(); ++i) {
    // Lengths in front, so that moving a byte from id to text changes the result.
    const std::string& id = dataset.item_ids().name(static_cast<ItemId>(i));
    const std::string& text = dataset.items()[i].text;
    hash.add(fmt::format("{} {} ", id.size(), text.size())).add(id).add(text);
  }
  return hash.hex();
}

std::string vectors_path(const std::string& directory, const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  constexpr std::size_t kMaxName = 64;
  if (name.empty() || name.size() > kMaxName || name.front() == '.' ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    throw Error(Kind::kBadOption, "name of vectors " + quote(name) + " is not allowed", "--name",
                "1 to 64 letters, digits, '.', '_' or '-', not beginning with a dot");
  }
  return (fs::path(directory) / "vectors" / (name + ".safetensors")).string();
}

void save_item_vectors(const ItemVectors& vectors, const Dataset& dataset, const std::string& path,
                       VectorStorage storage) {
  check_rows(vectors.items(), dataset, path);
  check_finite(vectors.values, dataset, path);
  TensorView tensor = tensor_view(kTensor, vectors.values);
  std::vector<std::uint16_t> halves;
  if (storage == VectorStorage::kF16) {
    halves = to_halves(vectors.values, dataset, path);
    tensor.dtype = DType::kF16;
    tensor.data = std::as_bytes(std::span(halves));
  }
  make_directories(fs::path(path).parent_path());
  write_safetensors(path, {tensor},
                    {{"encoder", vectors.encoder},
                     {"encoder_fingerprint", vectors.fingerprint},
                     {"items_fingerprint", items_fingerprint(dataset)}});
}

ItemVectors load_item_vectors(const std::string& path, const Dataset& dataset) {
  const SafetensorsFile file(path);
  ItemVectors vectors;
  vectors.values = read_safetensors_matrix(file);
  check_rows(vectors.items(), dataset, path);
  if (metadata_or_empty(file, "items_fingerprint") != items_fingerprint(dataset)) {
    throw Error(Kind::kBadInput, "the vectors were made for other items or other texts", path,
                "run `kindling embed` on this dataset again");
  }
  check_finite(vectors.values, dataset, path);
  vectors.encoder = metadata_or_empty(file, "encoder");
  vectors.fingerprint = metadata_or_empty(file, "encoder_fingerprint");
  return vectors;
}

ItemVectors import_item_vectors(const std::string& path, const Dataset& dataset,
                                const std::string& space) {
  const std::string suffix = fs::path(path).extension().string();
  ItemVectors vectors;
  if (suffix == ".npy") {
    vectors.values = read_npy(path);
  } else if (suffix == ".safetensors") {
    vectors.values = read_safetensors_matrix(SafetensorsFile(path));
  } else {
    throw Error(Kind::kUnsupported, "files ending in " + quote(suffix) + " are not read", path,
                "save the matrix as .npy or .safetensors");
  }
  check_rows(vectors.items(), dataset, path);
  check_finite(vectors.values, dataset, path);
  vectors.encoder = "file";
  Sha256 hash;
  hash.add(fmt::format("file {} {} ", vectors.dim(), space));
  if (space.empty()) {
    hash.add(std::as_bytes(std::span(vectors.values.data(), vectors.items() * vectors.dim())));
  }
  vectors.fingerprint = hash.hex();
  return vectors;
}

void check_finite(const Matrix& values, const Dataset& dataset, const std::string& place) {
  for (std::size_t r = 0; r < values.rows(); ++r) {
    for (std::size_t c = 0; c < values.cols(); ++c) {
      if (std::isfinite(values(r, c))) continue;
      throw Error(Kind::kBadInput,
                  fmt::format("row {}, column {} (item {}) is {}", r, c,
                              quote(dataset.item_ids().name(static_cast<ItemId>(r))), values(r, c)),
                  place, "vectors must be finite");
    }
  }
}

double mean_norm(MatrixView values) {
  if (values.rows() == 0) return 0.0;
  double total = 0.0;
  for (std::size_t r = 0; r < values.rows(); ++r) {
    double square = 0.0;
    for (const float value : values.row(r)) square += static_cast<double>(value) * value;
    total += std::sqrt(square);
  }
  return total / static_cast<double>(values.rows());
}

}  // namespace kindling
