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

// The rows of x and y in a product: what stays the same for all its tiles. `from` has y's layout.
struct Layout {
  std::size_t in;
  std::size_t x_stride;
  std::size_t y_stride;
};

// y [kCount, kPanel] = from + x [kCount, in] times one panel; no `from` is 0. Not inlined: as in
// packed_items.cpp, a function of its own keeps the sums in registers.
template <std::size_t kCount>
[[gnu::noinline]] void multiply_tile(const Layout& layout, const float* x, const float* panel,
                                     const float* from, float* y) {
  const std::size_t in = layout.in;
  const std::size_t x_stride = layout.x_stride;
  Lanes sums[kCount * kVectors];
#pragma GCC unroll 24
  for (Lanes& sum : sums) sum = Lanes{};
  if (from != nullptr) {
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        std::memcpy(&sums[r * kVectors + v], from + r * layout.y_stride + v * kLanes,
                    sizeof(Lanes));
      }
    }
  }
#pragma GCC unroll 1
  for (std::size_t d = 0; d < in; ++d) {
    Lanes weights[kVectors];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      std::memcpy(&weights[v], panel + v * kLanes, sizeof(Lanes));
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kCount; ++r) {
      const float factor = x[r * x_stride + d];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) sums[r * kVectors + v] += factor * weights[v];
    }
    panel += kPanel;
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      std::memcpy(y + r * layout.y_stride + v * kLanes, &sums[r * kVectors + v], sizeof(Lanes));
    }
  }
}

// Fewer rows than a full tile has.
void multiply_rest(const Layout& layout, const float* x, std::size_t rows, const float* panel,
                   const float* from, float* y) {
  switch (rows) {
    case 7:
      return multiply_tile<7>(layout, x, panel, from, y);
    case 6:
      return multiply_tile<6>(layout, x, panel, from, y);
    case 5:
      return multiply_tile<5>(layout, x, panel, from, y);
    case 4:
      return multiply_tile<4>(layout, x, panel, from, y);
    case 3:
      return multiply_tile<3>(layout, x, panel, from, y);
    case 2:
      return multiply_tile<2>(layout, x, panel, from, y);
    case 1:
      return multiply_tile<1>(layout, x, panel, from, y);
    default:
      return;
  }
}

// `rows` rows against one panel.
void multiply_panel(const Layout& layout, const float* x, std::size_t rows, const float* panel,
                    const float* from, float* y) {
  const std::size_t x_step = kRows * layout.x_stride;
  const std::size_t y_step = kRows * layout.y_stride;
  for (; rows >= kRows; rows -= kRows) {
    multiply_tile<kRows>(layout, x, panel, from, y);
    x += x_step;
    y += y_step;
    if (from != nullptr) from += y_step;
  }
  multiply_rest(layout, x, rows, panel, from, y);
}

// A panel of which only the first `width` outputs exist: through a block that takes all of them.
void multiply_last_panel(const Layout& layout, const float* x, std::size_t rows, const float* panel,
                         std::size_t width, const float* from, float* y) {
  float block[kRows * kPanel] = {};
  const Layout inside{layout.in, layout.x_stride, kPanel};
  for (std::size_t r = 0; r < rows; r += kRows) {
    const std::size_t count = std::min(kRows, rows - r);
    for (std::size_t i = 0; i < count && from != nullptr; ++i) {
      const float* row = from + (r + i) * layout.y_stride;
      std::copy(row, row + width, block + i * kPanel);
    }
    multiply_panel(inside, x + r * layout.x_stride, count, panel, from == nullptr ? nullptr : block,
                   block);
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = block + i * kPanel;
      std::copy(row, row + width, y + (r + i) * layout.y_stride);
    }
  }
}

}  // namespace

std::size_t PackedMatrix::size(std::size_t out, std::size_t in) {
  return (out + kPanel - 1) / kPanel * kPanel * in;
}

PackedMatrix::PackedMatrix(const float* weight, std::size_t out, std::size_t in)
    : out_(out), in_(in), own_(size(out, in)), panels_(own_.data()) {
  pack(weight, own_.data());
}

PackedMatrix::PackedMatrix(const float* weight, std::size_t out, std::size_t in, float* room)
    : out_(out), in_(in), panels_(room) {
  std::fill_n(room, size(out, in), 0.0F);
  pack(weight, room);
}

void PackedMatrix::pack(const float* weight, float* room) const {
  for (std::size_t o = 0; o < out_; ++o) {
    float* column = room + o / kPanel * kPanel * in_ + o % kPanel;
    for (std::size_t d = 0; d < in_; ++d) column[d * kPanel] = weight[o * in_ + d];
  }
}

void PackedMatrix::multiply(const float* x, std::size_t rows, float* y) const {
  multiply(x, in_, rows, nullptr, y, out_);
}

void PackedMatrix::multiply(const float* x, std::size_t x_stride, std::size_t rows,
                            const float* from, float* y, std::size_t y_stride) const {
  const Layout layout{in_, x_stride, y_stride};
  for (std::size_t first = 0; first < rows; first += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, rows - first);
    const float* block = x + first * x_stride;
    for (std::size_t o = 0; o < out_; o += kPanel) {
      const float* panel = panels_ + o * in_;
      float* target = y + first * y_stride + o;
      const float* start = from == nullptr ? nullptr : from + first * y_stride + o;
      if (o + kPanel <= out_) {
        multiply_panel(layout, block, count, panel, start, target);
      } else {
        multiply_last_panel(layout, block, count, panel, out_ - o, start, target);
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
