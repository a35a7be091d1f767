#include "kindling/kernels/packed_matrix.h"

#include <algorithm>
#include <cstring>

namespace kindling::kernels {

namespace {

// The largest tile of sums that fits into the registers beside the vectors of weights and the
// broadcast: 24 of 32 registers with AVX-512, 12 of 16 before.
#if defined(__AVX512F__)
constexpr std::size_t kLanes = 16;
constexpr std::size_t kVectors = 3;
constexpr std::size_t kRows = 8;
#elif defined(__AVX__)
constexpr std::size_t kLanes = 8;
constexpr std::size_t kVectors = 2;
constexpr std::size_t kRows = 6;
#else
constexpr std::size_t kLanes = 4;
constexpr std::size_t kVectors = 2;
constexpr std::size_t kRows = 6;
#endif
constexpr std::size_t kPanel = kLanes * kVectors;
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

// Rows that go through all panels together: their share of y is in the cache of the core when the
// next operation reads it.
constexpr std::size_t kBlockRows = 16 * kRows;

// y [kCount, kPanel] = x [kCount, in] times one panel. Not inlined: as in packed_items.cpp, a
// function of its own keeps the sums in registers.
template <std::size_t kCount>
[[gnu::noinline]] void multiply_tile(const float* x, std::size_t in, const float* panel, float* y,
                                     std::size_t stride) {
  Lanes sums[kCount * kVectors];
#pragma GCC unroll 24
  for (Lanes& sum : sums) sum = Lanes{};
#pragma GCC unroll 1
  for (std::size_t d = 0; d < in; ++d) {
    Lanes weights[kVectors];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      std::memcpy(&weights[v], panel + v * kLanes, sizeof(Lanes));
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kCount; ++r) {
      const float factor = x[r * in + d];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) sums[r * kVectors + v] += factor * weights[v];
    }
    panel += kPanel;
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      std::memcpy(y + r * stride + v * kLanes, &sums[r * kVectors + v], sizeof(Lanes));
    }
  }
}

// Fewer rows than a full tile has.
void multiply_rest(const float* x, std::size_t rows, std::size_t in, const float* panel, float* y,
                   std::size_t stride) {
  switch (rows) {
    case 7:
      return multiply_tile<7>(x, in, panel, y, stride);
    case 6:
      return multiply_tile<6>(x, in, panel, y, stride);
    case 5:
      return multiply_tile<5>(x, in, panel, y, stride);
    case 4:
      return multiply_tile<4>(x, in, panel, y, stride);
    case 3:
      return multiply_tile<3>(x, in, panel, y, stride);
    case 2:
      return multiply_tile<2>(x, in, panel, y, stride);
    case 1:
      return multiply_tile<1>(x, in, panel, y, stride);
    default:
      return;
  }
}

// `rows` rows against one panel.
void multiply_panel(const float* x, std::size_t rows, std::size_t in, const float* panel, float* y,
                    std::size_t stride) {
  std::size_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    multiply_tile<kRows>(x + r * in, in, panel, y + r * stride, stride);
  }
  multiply_rest(x + r * in, rows - r, in, panel, y + r * stride, stride);
}

// A panel of which only the first `width` outputs exist: through a block that takes all of them.
void multiply_last_panel(const float* x, std::size_t rows, std::size_t in, const float* panel,
                         std::size_t width, float* y, std::size_t stride) {
  float block[kRows * kPanel];
  for (std::size_t r = 0; r < rows; r += kRows) {
    const std::size_t count = std::min(kRows, rows - r);
    multiply_panel(x + r * in, count, in, panel, block, kPanel);
    for (std::size_t i = 0; i < count; ++i) {
      std::copy(block + i * kPanel, block + i * kPanel + width, y + (r + i) * stride);
    }
  }
}

}  // namespace

PackedMatrix::PackedMatrix(const float* weight, std::size_t out, std::size_t in)
    : out_(out), in_(in), panels_((out + kPanel - 1) / kPanel * kPanel * in) {
  for (std::size_t o = 0; o < out; ++o) {
    float* column = panels_.data() + o / kPanel * kPanel * in + o % kPanel;
    for (std::size_t d = 0; d < in; ++d) column[d * kPanel] = weight[o * in + d];
  }
}

void PackedMatrix::multiply(const float* x, std::size_t rows, float* y) const {
  for (std::size_t first = 0; first < rows; first += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, rows - first);
    const float* block = x + first * in_;
    float* target = y + first * out_;
    for (std::size_t o = 0; o < out_; o += kPanel) {
      const float* panel = panels_.data() + o * in_;
      if (o + kPanel <= out_) {
        multiply_panel(block, count, in_, panel, target + o, out_);
      } else {
        multiply_last_panel(block, count, in_, panel, out_ - o, target + o, out_);
      }
    }
  }
}

void multiply_transposed_reference(const float* x, std::size_t rows, const float* weight,
                                   std::size_t out, std::size_t in, float* y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      double sum = 0.0;
      for (std::size_t d = 0; d < in; ++d) {
        sum += static_cast<double>(x[r * in + d]) * weight[o * in + d];
      }
      y[r * out + o] = static_cast<float>(sum);
    }
  }
}

}  // namespace kindling::kernels
