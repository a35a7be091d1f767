// An array aligned for vector loads, zeroed when made. Moves, never copies.
//
//   AlignedArray<float> panel(96 * depth);
//   panel.data()[0] = 1.0F;
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindling::kernels {

template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t count) : storage_(count + kBytes / sizeof(T)) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    shift_ = (kBytes - address % kBytes) % kBytes / sizeof(T);
  }
  AlignedArray(AlignedArray&&) noexcept = default;
  AlignedArray& operator=(AlignedArray&&) noexcept = default;
  AlignedArray(const AlignedArray&) = delete;
  AlignedArray& operator=(const AlignedArray&) = delete;

  T* data() { return storage_.data() + shift_; }
  const T* data() const { return storage_.data() + shift_; }
  std::size_t bytes() const { return storage_.size() * sizeof(T); }

 private:
  static constexpr std::size_t kBytes = 64;
  std::vector<T> storage_;
  std::size_t shift_ = 0;
};

}  // namespace kindling::kernels
