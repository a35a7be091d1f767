#include "kindling/kernels/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kindling/kernels/vector_math.h"

namespace kindling::kernels {

namespace {

// A tile of sums that stays in registers, kRows x kVectors: 12 registers, of 32 with AVX-512 and of
// 16 without.
#if defined(__AVX512F__)
constexpr std::size_t kRegister = 16;
#elif defined(__AVX__)
constexpr std::size_t kRegister = 8;
#else
constexpr std::size_t kRegister = 4;
#endif
constexpr std::size_t kRows = 6;  // queries worked on together
constexpr std::size_t kVectors = 2;
using Register [[gnu::vector_size(kRegister * sizeof(float))]] = float;

// Multiples of what max_of() and exp_and_sum() take at once.
std::size_t padded(std::size_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// One block of multiply_rows. Vectors are copied one by one: GCC 12 copies an array of them through
// memory, several times slower.
template <std::size_t kCount>
void multiply_block(const float* a, std::size_t depth, const float* b, std::size_t columns,
                    float* c) {
  Register sums[kRows][kCount] = {};
  for (std::size_t d = 0; d < depth; ++d) {
    Register row[kCount];
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kCount; ++v) {
      std::memcpy(&row[v], b + d * columns + v * kRegister, sizeof(Register));
    }
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kRows; ++r) {
      const float factor = a[r * depth + d];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kCount; ++v) sums[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kCount; ++v) {
      std::memcpy(c + r * columns + v * kRegister, &sums[r][v], sizeof(Register));
    }
  }
}

// c[kRows, columns] = a[kRows, depth] b[depth, columns]; columns is a multiple of kLanes.
void multiply_rows(const float* a, std::size_t depth, const float* b, std::size_t columns,
                   float* c) {
  constexpr std::size_t kBlock = kVectors * kRegister;
  std::size_t column = 0;
  for (; column + kBlock <= columns; column += kBlock) {
    multiply_block<kVectors>(a, depth, b + column, columns, c + column);
  }
  if (column < columns) multiply_block<1>(a, depth, b + column, columns, c + column);
}

// Turns scores into weights, without dividing; returns the sum of the weights. Columns from
// `length` on become 0.
float exponentiate(float* scores, std::size_t length, std::size_t columns) {
  std::fill(scores + length, scores + columns, -std::numeric_limits<float>::infinity());
  return static_cast<float>(exp_and_sum(scores, columns, max_of(scores, columns)));
}

}  // namespace

void attention_reference(const AttentionShape& shape, const float* qkv, const float* query_bias,
                         float* out) {
  const std::size_t all = shape.heads * shape.width;
  std::vector<double> weights(shape.length);
  for (std::size_t h = 0; h < shape.heads; ++h) {
    for (std::size_t i = 0; i < shape.length; ++i) {
      const float* q = qkv + i * 3 * all + h * shape.width;
      double top = -std::numeric_limits<double>::infinity();
      for (std::size_t j = 0; j < shape.length; ++j) {
        const float* k = qkv + j * 3 * all + all + h * shape.width;
        weights[j] = 0;
        for (std::size_t d = 0; d < shape.width; ++d) {
          weights[j] += (static_cast<double>(q[d]) + query_bias[h * shape.width + d]) * k[d];
        }
        top = std::max(top, weights[j]);
      }
      double sum = 0;
      for (double& weight : weights) sum += weight = std::exp(weight - top);
      for (std::size_t d = 0; d < shape.width; ++d) {
        double value = 0;
        for (std::size_t j = 0; j < shape.length; ++j) {
          value += weights[j] * qkv[j * 3 * all + 2 * all + h * shape.width + d];
        }
        out[i * all + h * shape.width + d] = static_cast<float>(value / sum);
      }
    }
  }
}

void attention(const AttentionShape& shape, const float* qkv, const float* query_bias,
               std::vector<float>& scratch, float* out) {
  const std::size_t n = shape.length;
  const std::size_t width = shape.width;
  const std::size_t all = shape.heads * width;
  const std::size_t columns = padded(n);
  const std::size_t wide = padded(width);
  // Grows only; everything that is read is written first, the padding by the fills below.
  const std::size_t needed = width * columns + columns * wide + kRows * (width + columns + wide);
  if (scratch.size() < needed) scratch.resize(needed);
  float* keys = scratch.data();              // [width, columns]: keys, transposed
  float* values = keys + width * columns;    // [columns, wide]
  float* queries = values + columns * wide;  // [kRows, width]
  float* scores = queries + kRows * width;   // [kRows, columns]
  float* result = scores + kRows * columns;  // [kRows, wide]
  std::fill(keys, queries, 0.0F);
  for (std::size_t h = 0; h < shape.heads; ++h) {
    const float* head = qkv + h * width;
    for (std::size_t j = 0; j < n; ++j) {
      const float* row = head + j * 3 * all;
      for (std::size_t d = 0; d < width; ++d) keys[d * columns + j] = row[all + d];
      std::copy(row + 2 * all, row + 2 * all + width, values + j * wide);
    }
    for (std::size_t i = 0; i < n; i += kRows) {
      const std::size_t count = std::min(kRows, n - i);
      for (std::size_t r = 0; r < kRows; ++r) {
        const float* q = head + std::min(i + r, n - 1) * 3 * all;  // the last query fills up
        for (std::size_t d = 0; d < width; ++d) {
          queries[r * width + d] = q[d] + query_bias[h * width + d];
        }
      }
      multiply_rows(queries, width, keys, columns, scores);
      std::array<float, kRows> sums{};
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r] = exponentiate(scores + r * columns, n, columns);
      }
      multiply_rows(scores, columns, values, wide, result);
      for (std::size_t r = 0; r < count; ++r) {
        float* target = out + (i + r) * all + h * width;
        const float factor = 1.0F / sums[r];
        for (std::size_t d = 0; d < width; ++d) target[d] = result[r * wide + d] * factor;
      }
    }
  }
}

}  // namespace kindling::kernels
