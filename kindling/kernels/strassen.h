// The weights of a linear layer, packed for a product that leaves out one multiplication of eight.
//
//   const StrassenMatrix layer(weight.data(), 1536, 384);  // [out, in], as PyTorch stores it
//   layer.multiply(x, rows, scratch, y);                   // y [rows, out] = x [rows, in] Wᵀ
//
// Winograd's form of Strassen's algorithm, one level deep: seven products of matrices of half the
// size instead of eight. Halves of x are its even and its odd rows, so rows go two by two, and a
// pair's values depend on these two rows only. The sums of weights are made once, when packing;
// they take 7/4 of the weights' memory. Sizes that are odd go through one plain product.
//
// The error is about four times that of plain sums in float: below 1e-5 of a value's standard
// deviation when 384 random numbers add up.
//
// Source: Strassen, "Gaussian elimination is not optimal", Numerische Mathematik 13, 1969;
// Winograd's form in Higham, "Accuracy and Stability of Numerical Algorithms", section 23.1.
// Threads: multiply() is const and runs on the caller's thread only; keep one scratch for each.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "kindling/kernels/aligned_array.h"
#include "kindling/kernels/packed_matrix.h"

namespace kindling::kernels {

class StrassenMatrix {
 public:
  StrassenMatrix() = default;
  StrassenMatrix(const float* weight, std::size_t out, std::size_t in);

  std::size_t out() const { return out_; }
  std::size_t in() const { return in_; }

  // x [rows, in] -> y [rows, out], overwritten; they must not overlap. `rows` must be even.
  // `scratch` is resized as needed.
  void multiply(const float* x, std::size_t rows, std::vector<float>& scratch, float* y) const;

 private:
  void multiply_pairs(const float* x, std::size_t pairs, float* sums, float* y) const;

  std::size_t out_ = 0;
  std::size_t in_ = 0;
  PackedMatrix plain_;                    // of odd sizes
  AlignedArray<float> packed_;            // of all products
  std::array<PackedMatrix, 7> products_;  // [out / 2, in / 2] each
};

}  // namespace kindling::kernels
