#include "kindling/kernels/layer_norm.h"

#include <cmath>

namespace kindling::kernels {

void add_layer_norm_reference(const LayerNorm& norm, const float* bias, const float* residual,
                              std::size_t rows, std::size_t cols, float* x) {
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = x + r * cols;
    double mean = 0;
    double variance = 0;
    for (std::size_t c = 0; c < cols; ++c) {
      if (bias != nullptr) row[c] += bias[c];
      if (residual != nullptr) row[c] += residual[r * cols + c];
      mean += row[c];
    }
    mean /= static_cast<double>(cols);
    for (std::size_t c = 0; c < cols; ++c) variance += (row[c] - mean) * (row[c] - mean);
    const double scale =
        1 / std::sqrt(variance / static_cast<double>(cols) + static_cast<double>(norm.epsilon));
    for (std::size_t c = 0; c < cols; ++c) {
      row[c] = static_cast<float>((row[c] - mean) * scale * norm.gain[c] + norm.shift[c]);
    }
  }
}

void add_layer_norm(const LayerNorm& norm, const float* bias, const float* residual,
                    std::size_t rows, std::size_t cols, float* x) {
  const float share = 1.0F / static_cast<float>(cols);
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = x + r * cols;
    if (bias != nullptr && residual == nullptr) {
#pragma omp simd
      for (std::size_t c = 0; c < cols; ++c) row[c] += bias[c];
    }
    float sum = 0.0F;
    if (bias != nullptr && residual != nullptr) {
      const float* other = residual + r * cols;
#pragma omp simd reduction(+ : sum)
      for (std::size_t c = 0; c < cols; ++c) {
        row[c] = row[c] + bias[c] + other[c];
        sum += row[c];
      }
    } else if (residual != nullptr) {
      const float* other = residual + r * cols;
#pragma omp simd reduction(+ : sum)
      for (std::size_t c = 0; c < cols; ++c) {
        row[c] += other[c];
        sum += row[c];
      }
    } else {
#pragma omp simd reduction(+ : sum)
      for (std::size_t c = 0; c < cols; ++c) sum += row[c];
    }
    const float mean = sum * share;
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::size_t c = 0; c < cols; ++c) squares += (row[c] - mean) * (row[c] - mean);
    const float scale = 1.0F / std::sqrt(squares * share + norm.epsilon);
#pragma omp simd
    for (std::size_t c = 0; c < cols; ++c) {
      row[c] = (row[c] - mean) * scale * norm.gain[c] + norm.shift[c];
    }
  }
}

}  // namespace kindling::kernels
