#include "kindling/kernels/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kindling/kernels/float_lanes.h"

namespace kindling::kernels {

namespace {

// A tile of sums that stays in registers, kRows x kVectors: 12 registers, of 32 with AVX-512 and of
// 16 without.
constexpr std::size_t kRows = 6;  // queries worked on together
constexpr std::size_t kVectors = 2;

std::size_t padded(std::size_t count) {
  return (count + kFloatLanes - 1) / kFloatLanes * kFloatLanes;
}

// One block of multiply_rows. Vectors are copied one by one: GCC 12 copies an array of them through
// memory, several times slower.
template <std::size_t kCount>
void multiply_block(const float* a, std::size_t a_stride, std::size_t depth, const float* b,
                    std::size_t b_stride, float* c, std::size_t c_stride) {
  FloatLanes sums[kRows][kCount] = {};
  for (std::size_t d = 0; d < depth; ++d) {
    FloatLanes row[kCount];
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kCount; ++v)
      row[v] = load_lanes(b + d * b_stride + v * kFloatLanes);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kRows; ++r) {
      const float factor = a[r * a_stride + d];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kCount; ++v) sums[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kCount; ++v) {
      store_lanes(c + r * c_stride + v * kFloatLanes, sums[r][v]);
    }
  }
}

// c[kRows, columns] = a[kRows, depth] b[depth, columns]; columns is a multiple of kFloatLanes.
void multiply_rows(const float* a, std::size_t a_stride, std::size_t depth, const float* b,
                   std::size_t b_stride, std::size_t columns, float* c) {
  constexpr std::size_t kBlock = kVectors * kFloatLanes;
  std::size_t column = 0;
  for (; column + kBlock <= columns; column += kBlock) {
    multiply_block<kVectors>(a, a_stride, depth, b + column, b_stride, c + column, columns);
  }
  if (column < columns) {
    multiply_block<1>(a, a_stride, depth, b + column, b_stride, c + column, columns);
  }
}

// Turns scores into weights, without dividing; returns the sum of the weights. Columns from
// `length` on become 0.
float exponentiate(float* scores, std::size_t length, std::size_t columns) {
  std::fill(scores + length, scores + columns, -std::numeric_limits<float>::infinity());
  FloatLanes top = load_lanes(scores);
  for (std::size_t c = kFloatLanes; c < columns; c += kFloatLanes) {
    const FloatLanes more = load_lanes(scores + c);
    top = top < more ? more : top;
  }
  const float shift = max_of_lanes(top);
  FloatLanes sums{};
  for (std::size_t c = 0; c < columns; c += kFloatLanes) {
    const FloatLanes weights = exp2_lanes((load_lanes(scores + c) - shift) * kLog2E);
    store_lanes(scores + c, weights);
    sums += weights;
  }
  return tree_sum(sums);
}

// keys [width, columns] <- the first `width` values of n rows, transposed a square of lanes at a
// time; columns from n on repeat the last row.
void transpose(const float* rows, std::size_t stride, std::size_t n, std::size_t width,
               std::size_t columns, float* keys) {
  for (std::size_t j = 0; j < columns; j += kFloatLanes) {
    std::size_t d = 0;
    for (; d + kFloatLanes <= width; d += kFloatLanes) {
      FloatLanes square[kFloatLanes];
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        square[l] = load_lanes(rows + std::min(j + l, n - 1) * stride + d);
      }
      transpose_lanes(square);
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        store_lanes(keys + (d + l) * columns + j, square[l]);
      }
    }
    for (; d < width; ++d) {
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        keys[d * columns + j + l] = rows[std::min(j + l, n - 1) * stride + d];
      }
    }
  }
}

// Queries, keys and values of the next head, of the rows that are worked on: they stand too far
// apart for the processor to see them coming.
void fetch_rows(const float* rows, std::size_t stride, std::size_t count, std::size_t width) {
  constexpr std::size_t kLine = 16;  // floats
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t part = 0; part < 3; ++part) {
      const float* row = rows + r * stride + part * stride / 3;
      for (std::size_t d = 0; d < width; d += kLine) __builtin_prefetch(row + d);
    }
  }
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
  // Grows only; everything that is read is written first.
  const std::size_t needed = width * columns + n * wide + kRows * (width + columns + wide);
  if (scratch.size() < needed) scratch.resize(needed);
  float* keys = scratch.data();                   // [width, columns]: keys, transposed
  float* padded_values = keys + width * columns;  // [n, wide], if the lanes do not divide width
  float* queries = padded_values + n * wide;      // [kRows, width]
  float* scores = queries + kRows * width;        // [kRows, columns]
  float* result = scores + kRows * columns;       // [kRows, wide]
  for (std::size_t h = 0; h < shape.heads; ++h) {
    const float* head = qkv + h * width;
    transpose(head + all, 3 * all, n, width, columns, keys);
    const float* values = head + 2 * all;
    std::size_t value_stride = 3 * all;
    if (wide != width) {
      for (std::size_t j = 0; j < n; ++j) {
        const float* row = values + j * value_stride;
        std::fill(std::copy(row, row + width, padded_values + j * wide),
                  padded_values + (j + 1) * wide, 0.0F);
      }
      values = padded_values;
      value_stride = wide;
    }
    for (std::size_t i = 0; i < n; i += kRows) {
      const std::size_t count = std::min(kRows, n - i);
      if (h + 1 < shape.heads) fetch_rows(head + width + i * 3 * all, 3 * all, count, width);
      for (std::size_t r = 0; r < kRows; ++r) {
        const float* q = head + std::min(i + r, n - 1) * 3 * all;  // the last query fills up
        for (std::size_t d = 0; d < width; ++d) {
          queries[r * width + d] = q[d] + query_bias[h * width + d];
        }
      }
      multiply_rows(queries, width, width, keys, columns, columns, scores);
      std::array<float, kRows> sums{};
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r] = exponentiate(scores + r * columns, n, columns);
      }
      multiply_rows(scores, columns, n, values, value_stride, wide, result);
      for (std::size_t r = 0; r < count; ++r) {
        float* target = out + (i + r) * all + h * width;
        const float factor = 1.0F / sums[r];
        for (std::size_t d = 0; d < width; ++d) target[d] = result[r * wide + d] * factor;
      }
    }
  }
}

}  // namespace kindling::kernels
