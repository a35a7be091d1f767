// An array aligned for vector loads, on large pages when it is large, zeroed when made. Moves,
// never copies.
//
//   AlignedArray<float> panel(96 * depth);
//   panel.data()[0] = 1.0F;
#pragma once

#include <cstddef>
#include <vector>

#include "kindling/kernels/large_pages.h"

namespace kindling::kernels {

template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t count) : storage_(count) {}
  AlignedArray(AlignedArray&&) noexcept = default;
  AlignedArray& operator=(AlignedArray&&) noexcept = default;
  AlignedArray(const AlignedArray&) = delete;
  AlignedArray& operator=(const AlignedArray&) = delete;

  T* data() { return storage_.data(); }
  const T* data() const { return storage_.data(); }
  std::size_t bytes() const { return storage_.size() * sizeof(T); }

 private:
  std::vector<T, LargePages<T>> storage_;
};

}  // namespace kindling::kernels
