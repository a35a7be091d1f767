// A matrix packed once for many products with tall, thin partners: the weights of a linear layer.
//
//   const PackedMatrix layer(weight.data(), 1536, 384);   // [out, in], as PyTorch stores it
//   layer.multiply(x, rows, y);                           // y [rows, out] = x [rows, in] Wᵀ
//
// A general BLAS packs both sides in every call, which costs a quarter of the time when there are
// only a few hundred rows. Here the weights stand in panels of a few vectors of outputs, and one
// tile of sums stays in registers for the whole depth.
//
// Each value of y is one sum over `in`, in order and in float, that starts at `from` or 0: it does
// not depend on the other rows. Threads: multiply() is const and runs on the caller's thread only.
#pragma once

#include <cstddef>

#include "kindling/kernels/aligned_array.h"

namespace kindling::kernels {

class PackedMatrix {
 public:
  PackedMatrix() = default;
  PackedMatrix(const float* weight, std::size_t out, std::size_t in);
  // Packs into `room` of size(out, in) values, which must live as long: several matrices share an
  // array.
  PackedMatrix(const float* weight, std::size_t out, std::size_t in, float* room);
  static std::size_t size(std::size_t out, std::size_t in);

  std::size_t out() const { return out_; }
  std::size_t in() const { return in_; }

  // x [rows, in] -> y [rows, out], overwritten; they must not overlap.
  void multiply(const float* x, std::size_t rows, float* y) const;
  // y = from + x Wᵀ with rows of y and of `from` y_stride apart, rows of x x_stride apart. `from`
  // may be y itself, or null for 0.
  void multiply(const float* x, std::size_t x_stride, std::size_t rows, const float* from, float* y,
                std::size_t y_stride) const;

 private:
  void pack(const float* weight, float* room) const;

  std::size_t out_ = 0;
  std::size_t in_ = 0;
  AlignedArray<float> own_;
  const float* panels_ = nullptr;  // [panels, in, outputs of a panel]; 0 behind the last output
};

// The same sums in double: the answer the other is held to.
void multiply_transposed_reference(const float* x, std::size_t rows, const float* weight,
                                   std::size_t out, std::size_t in, float* y);

}  // namespace kindling::kernels
