#include "kindling/kernels/strassen.h"

#include <algorithm>

#include "kindling/base/error.h"

namespace kindling::kernels {

namespace {

// Pairs of rows that go through all seven products together, their sums in the cache of the core.
constexpr std::size_t kBlockPairs = 64;

// What the products take from the weights. With B = Wᵀ cut into [in / 2, out / 2] quarters:
enum Product {
  kFirst,       // B11
  kSecond,      // B21
  kTopRight,    // T2 = B22 - B12 + B11
  kRight,       // T3 = B22 - B12
  kLeft,        // -T4 = B21 - T2: its product is added, too
  kDifference,  // T1 = B12 - B11
  kLast,        // B22
};

// s [4, pairs, depth]: S1 = A21 + A22, S2 = S1 - A11, S3 = A11 - A21, S4 = A12 - S2.
void sum_quarters(const float* x, std::size_t pairs, std::size_t depth, float* s) {
  const std::size_t quarter = pairs * depth;
  for (std::size_t p = 0; p < pairs; ++p) {
    const float* even = x + 4 * p * depth;  // A11, then A12
    const float* odd = even + 2 * depth;    // A21, then A22
    float* row = s + p * depth;
#pragma omp simd
    for (std::size_t d = 0; d < depth; ++d) {
      const float first = odd[d] + odd[d + depth];
      const float second = first - even[d];
      row[d] = first;
      row[d + quarter] = second;
      row[d + 2 * quarter] = even[d] - odd[d];
      row[d + 3 * quarter] = even[d + depth] - second;
    }
  }
}

// y and z [pairs, width] += more [pairs, width]; rows of y and z are `stride` apart.
void add_to_both(const float* more, std::size_t pairs, std::size_t width, float* y, float* z,
                 std::size_t stride) {
  for (std::size_t p = 0; p < pairs; ++p) {
#pragma omp simd
    for (std::size_t c = 0; c < width; ++c) {
      y[p * stride + c] += more[p * width + c];
      z[p * stride + c] += more[p * width + c];
    }
  }
}

}  // namespace

StrassenMatrix::StrassenMatrix(const float* weight, std::size_t out, std::size_t in)
    : out_(out), in_(in) {
  if (out % 2 != 0 || in % 2 != 0) {
    plain_ = PackedMatrix(weight, out, in);
    return;
  }
  const std::size_t width = out / 2;
  const std::size_t depth = in / 2;
  const std::size_t size = PackedMatrix::size(width, depth);
  packed_ = AlignedArray<float>(products_.size() * size);
  const auto pack = [&](Product which, double b11, double b12, double b21, double b22) {
    std::vector<float> sum(width * depth);
    for (std::size_t o = 0; o < width; ++o) {
      for (std::size_t d = 0; d < depth; ++d) {
        const float* top = weight + o * in + d;
        const float* low = top + width * in;
        sum[o * depth + d] =
            static_cast<float>(b11 * top[0] + b12 * low[0] + b21 * top[depth] + b22 * low[depth]);
      }
    }
    products_[which] = PackedMatrix(sum.data(), width, depth, packed_.data() + which * size);
  };
  pack(kFirst, 1, 0, 0, 0);
  pack(kSecond, 0, 0, 1, 0);
  pack(kTopRight, 1, -1, 0, 1);
  pack(kRight, 0, -1, 0, 1);
  pack(kLeft, -1, 1, 1, -1);
  pack(kDifference, -1, 1, 0, 0);
  pack(kLast, 0, 0, 0, 1);
}

void StrassenMatrix::multiply(const float* x, std::size_t rows, std::vector<float>& scratch,
                              float* y) const {
  check(rows % 2 == 0, "an odd number of rows");
  if (plain_.out() > 0) return plain_.multiply(x, rows, y);
  const std::size_t needed = kBlockPairs * (4 * (in_ / 2) + out_ / 2);
  if (scratch.size() < needed) scratch.resize(needed);
  for (std::size_t pair = 0; pair < rows / 2; pair += kBlockPairs) {
    multiply_pairs(x + 2 * pair * in_, std::min(kBlockPairs, rows / 2 - pair), scratch.data(),
                   y + 2 * pair * out_);
  }
}

void StrassenMatrix::multiply_pairs(const float* x, std::size_t pairs, float* sums,
                                    float* y) const {
  const std::size_t depth = in_ / 2;
  const std::size_t width = out_ / 2;
  const float* a11 = x;
  const float* a12 = x + depth;
  const float* a22 = a12 + in_;
  sum_quarters(x, pairs, depth, sums);
  const float* s1 = sums;
  const float* s2 = s1 + pairs * depth;
  const float* s3 = s2 + pairs * depth;
  const float* s4 = s3 + pairs * depth;
  float* product = sums + 4 * pairs * depth;

  float* c11 = y;
  float* c12 = y + width;
  float* c21 = y + out_;
  float* c22 = c21 + width;
  const auto run = [&](Product which, const float* a, std::size_t stride, const float* from,
                       float* c) {
    products_[which].multiply(a, stride, pairs, from, c, 2 * out_);
  };
  run(kFirst, a11, 2 * in_, nullptr, c12);
  run(kSecond, a12, 2 * in_, c12, c11);
  run(kTopRight, s2, depth, c12, c12);
  run(kRight, s3, depth, c12, c22);
  run(kLeft, a22, 2 * in_, c22, c21);
  products_[kDifference].multiply(s1, depth, pairs, nullptr, product, width);
  add_to_both(product, pairs, width, c12, c22, 2 * out_);
  run(kLast, s4, depth, c12, c12);
}

}  // namespace kindling::kernels
