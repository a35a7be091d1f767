// Tensors in a file that can only hold numbers: the one format for weights and vectors here.
//
//   const SafetensorsFile file("model.safetensors");            // maps and checks everything
//   const Matrix words = file.matrix("embeddings.word_embeddings.weight");
//   write_safetensors("out.safetensors", {tensor_view("vectors", words)}, {{"encoder", "lsa"}});
//
// Layout: u64 header length, JSON header {"name": {"dtype", "shape", "data_offsets"}}, then the
// values, little-endian, row-major, without gaps or overlap. Files come from strangers, so nothing
// in the header is believed before it is checked; a tensor costs no memory until it is asked for.
//
// Threads: const methods may be called from any thread.
// Errors:  Error{kBadInput} naming file and tensor for every file that breaks the format (see
//          kMax… below for the limits) and for NaN or infinity where numbers are wanted.
// Source:  the format description of huggingface/safetensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kindling/base/file.h"
#include "kindling/base/matrix.h"

namespace kindling {

enum class DType { kBool, kU8, kI8, kU16, kI16, kF16, kBF16, kU32, kI32, kF32, kU64, kI64, kF64 };

std::size_t dtype_bytes(DType dtype);
std::string_view dtype_name(DType dtype);  // "F32": the word in the file

inline constexpr std::size_t kMaxSafetensorsHeader = 100'000'000;
inline constexpr std::size_t kMaxSafetensorsTensors = 100'000;
inline constexpr std::size_t kMaxSafetensorsRank = 16;

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::size_t> shape;  // empty: one value
  std::size_t elements = 0;        // product of the shape
  std::size_t begin = 0;           // bytes from the start of the values
  std::size_t end = 0;
};

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  // In the order of their bytes in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Null when there is no such tensor.
  const TensorInfo* find(std::string_view name) const;
  const TensorInfo& at(std::string_view name) const;
  // Valid while this object lives; aligned to nothing in particular.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;

  // Floating-point tensors of any width as float. Errors also for integer tensors.
  std::vector<float> floats(const TensorInfo& tensor) const;
  // The same without the check for NaN and infinity, for callers with a better message.
  std::vector<float> floats_unchecked(const TensorInfo& tensor) const;
  // A tensor of two dimensions.
  Matrix matrix(std::string_view name) const;

 private:
  void read_header();

  MappedFile file_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
  std::size_t data_begin_ = 0;
};

// What the writer takes; the bytes belong to the caller.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;
};

TensorView tensor_view(std::string name, MatrixView matrix);
TensorView tensor_view(std::string name, std::span<const float> values);

// Replaces the file atomically. The header is padded so that the values begin at a multiple of 64.
void write_safetensors(const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace kindling
