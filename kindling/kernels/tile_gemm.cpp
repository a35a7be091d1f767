#include "kindling/kernels/tile_gemm.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/float_lanes.h"

namespace kindling::kernels {

namespace {

// A tile of kRows x kVectors sums: 24 of 32 registers with AVX-512, 12 of 16 without.
constexpr std::size_t kRows = 6;
#if defined(__AVX512F__)
constexpr std::size_t kVectors = 4;
#else
constexpr std::size_t kVectors = 2;
#endif
constexpr std::size_t kPanel = kVectors * kFloatLanes;
constexpr std::size_t kBlockRows = 4 * kRows;  // of one task
constexpr std::size_t kTaskWork = 1 << 20;     // multiplications worth waking a thread for

// Where a tile reads and writes. Element (r, d) of op(a) is a[r * row_step + d * depth_step]; a
// panel holds [depth, kPanel] values of op(b).
struct Tile {
  const float* a;
  std::size_t row_step;
  std::size_t depth_step;
  std::size_t depth;
  const float* panel;
  float* c;
  std::size_t stride;
  bool add;
};

// Not inlined: as in packed_items.cpp, a function of its own keeps the sums in registers.
template <std::size_t kCount, std::size_t kWide>
[[gnu::noinline]] void multiply_tile(const Tile& tile) {
  FloatLanes sums[kCount * kWide];
#pragma GCC unroll 24
  for (FloatLanes& sum : sums) sum = FloatLanes{};
  if (tile.add) {
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kWide; ++v) {
        sums[r * kWide + v] = load_lanes(tile.c + r * tile.stride + v * kFloatLanes);
      }
    }
  }
  const float* a = tile.a;
  const float* panel = tile.panel;
  const std::size_t row_step = tile.row_step;
#pragma GCC unroll 1
  for (std::size_t d = 0; d < tile.depth; ++d) {
    FloatLanes row[kWide];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kWide; ++v) row[v] = load_lanes(panel + v * kFloatLanes);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kCount; ++r) {
      const float factor = a[r * row_step];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kWide; ++v) sums[r * kWide + v] += factor * row[v];
    }
    a += tile.depth_step;
    panel += kPanel;
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kWide; ++v) {
      store_lanes(tile.c + r * tile.stride + v * kFloatLanes, sums[r * kWide + v]);
    }
  }
}

using TileFunction = void (*)(const Tile&);

template <std::size_t kWide>
constexpr TileFunction kTiles[kRows] = {multiply_tile<1, kWide>, multiply_tile<2, kWide>,
                                        multiply_tile<3, kWide>, multiply_tile<4, kWide>,
                                        multiply_tile<5, kWide>, multiply_tile<6, kWide>};

TileFunction tile_function(std::size_t rows, std::size_t vectors) {
  switch (vectors) {
    case 1:
      return kTiles<1>[rows - 1];
    case 2:
      return kTiles<2>[rows - 1];
    case 3:
      return kTiles<std::min<std::size_t>(3, kVectors)>[rows - 1];
    default:
      return kTiles<kVectors>[rows - 1];
  }
}

// A tile of which only the first `width` columns exist: through a block that takes all of them.
void multiply_narrow(Tile tile, std::size_t rows, std::size_t vectors, std::size_t width) {
  float block[kRows * kPanel] = {};
  float* c = tile.c;
  const std::size_t stride = tile.stride;
  for (std::size_t r = 0; r < rows && tile.add; ++r) {
    std::copy(c + r * stride, c + r * stride + width, block + r * kPanel);
  }
  tile.c = block;
  tile.stride = kPanel;
  tile_function(rows, vectors)(tile);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy(block + r * kPanel, block + r * kPanel + width, c + r * stride);
  }
}

// One panel of op(b): columns [first, first + width), zeros up to the next whole vector.
void pack_panel(Op op, const float* b, std::size_t n, std::size_t k, std::size_t first,
                std::size_t width, float* panel) {
  const std::size_t whole = (width + kFloatLanes - 1) / kFloatLanes * kFloatLanes;
  if (op == Op::kPlain) {
    for (std::size_t d = 0; d < k; ++d) {
      float* row = panel + d * kPanel;
      const float* from = b + d * n + first;
      std::size_t j = 0;
      for (; j + kFloatLanes <= width; j += kFloatLanes) store_lanes(row + j, load_lanes(from + j));
      for (; j < whole; ++j) row[j] = j < width ? from[j] : 0.0F;
    }
    return;
  }
  for (std::size_t j = 0; j < whole; j += kFloatLanes) {
    const std::size_t count = std::min(kFloatLanes, width - j);
    std::size_t d = 0;
    for (; d + kFloatLanes <= k; d += kFloatLanes) {
      FloatLanes square[kFloatLanes];
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        square[l] = l < count ? load_lanes(b + (first + j + l) * k + d) : FloatLanes{};
      }
      transpose_lanes(square);
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        store_lanes(panel + (d + l) * kPanel + j, square[l]);
      }
    }
    for (; d < k; ++d) {
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        panel[d * kPanel + j + l] = l < count ? b[(first + j + l) * k + d] : 0.0F;
      }
    }
  }
}

struct Product {
  Op op_a;
  std::size_t m, n, k;
  const float* a;
  bool add;
  float* c;
};

// Columns [first, first + rows) of a transposed `a` side by side: reading them a whole row apart
// would hit few of the cache's sets.
void copy_columns(const Product& p, std::size_t first, std::size_t rows, float* block) {
  for (std::size_t d = 0; d < p.k; ++d) {
    const float* from = p.a + d * p.m + first;
    if (rows == kBlockRows) {
      std::memcpy(block + d * kBlockRows, from, kBlockRows * sizeof(float));
    } else {
      std::copy_n(from, rows, block + d * kBlockRows);
    }
  }
}

// Rows [first, first + rows) against one panel; `block` is what copy_columns made of them, if it
// did.
void multiply_block(const Product& p, std::size_t first, std::size_t rows, std::size_t column,
                    const float* panel, const float* block) {
  const std::size_t width = std::min(kPanel, p.n - column);
  const std::size_t vectors = (width + kFloatLanes - 1) / kFloatLanes;
  Tile tile{p.a + first * p.k, p.k, 1, p.k, panel, p.c + first * p.n + column, p.n, p.add};
  if (p.op_a == Op::kTransposed) {
    tile.a = block;
    tile.row_step = 1;
    tile.depth_step = kBlockRows;
  }
  for (std::size_t r = 0; r < rows; r += kRows) {
    const std::size_t count = std::min(kRows, rows - r);
    if (width == vectors * kFloatLanes) {
      tile_function(count, vectors)(tile);
    } else {
      multiply_narrow(tile, count, vectors, width);
    }
    tile.a += kRows * tile.row_step;
    tile.c += kRows * p.n;
  }
}

}  // namespace

void tile_gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, const float* a,
               const float* b, float beta, float* c) {
  check(beta == 0.0F || beta == 1.0F, "beta is neither 0 nor 1");
  if (m == 0 || n == 0) return;
  const Product product{op_a, m, n, k, a, beta == 1.0F, c};
  const std::size_t panels = (n + kPanel - 1) / kPanel;
  const std::size_t blocks = (m + kBlockRows - 1) / kBlockRows;
  static thread_local std::vector<float> packed;
  if (packed.size() < panels * k * kPanel) packed.resize(panels * k * kPanel);
  float* const all = packed.data();  // the caller's, not that of the thread that asks
  const auto pack = [&](std::size_t panel) {
    const std::size_t first = panel * kPanel;
    pack_panel(op_b, b, n, k, first, std::min(kPanel, n - first), all + panel * k * kPanel);
  };
  // Rows of one block against some panels.
  const auto run = [&](std::size_t block, std::size_t panel, std::size_t last) {
    static thread_local std::vector<float> columns;
    const std::size_t first = block * kBlockRows;
    const std::size_t rows = std::min(kBlockRows, m - first);
    if (op_a == Op::kTransposed) {
      if (columns.size() < k * kBlockRows) columns.resize(k * kBlockRows);
      copy_columns(product, first, rows, columns.data());
    }
    for (; panel < last; ++panel) {
      multiply_block(product, first, rows, panel * kPanel, all + panel * k * kPanel,
                     columns.data());
    }
  };
  // Pieces that are worth a thread's attention: `unit` multiplications each.
  const auto grain = [](std::size_t unit) { return kTaskWork / (unit + 1) + 1; };
  if (panels >= blocks) {  // a panel is packed by the thread that multiplies it
    parallel_for(panels, grain(k * kPanel * m), [&](std::size_t begin, std::size_t end) {
      for (std::size_t panel = begin; panel < end; ++panel) pack(panel);
      for (std::size_t block = 0; block < blocks; ++block) run(block, begin, end);
    });
    return;
  }
  parallel_for(panels, grain(k * kPanel * 8), [&](std::size_t begin, std::size_t end) {
    for (std::size_t panel = begin; panel < end; ++panel) pack(panel);
  });
  // Few blocks: a panel more or less evens out what the threads have to do.
  const std::size_t parts = op_a == Op::kPlain ? panels : 1;
  parallel_for(blocks * parts, grain(k * kPanel * kBlockRows),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t i = begin; i < end; ++i) {
                   const std::size_t part = i % parts;
                   run(i / parts, part, parts == 1 ? panels : part + 1);
                 }
               });
}

void tile_gemm_reference(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k,
                         const float* a, const float* b, float beta, float* c) {
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = beta == 0.0F ? 0.0 : static_cast<double>(beta) * c[i * n + j];
      for (std::size_t d = 0; d < k; ++d) {
        const float left = op_a == Op::kPlain ? a[i * k + d] : a[d * m + i];
        const float right = op_b == Op::kPlain ? b[d * n + j] : b[j * k + d];
        sum += static_cast<double>(left) * right;
      }
      c[i * n + j] = static_cast<float>(sum);
    }
  }
}

}  // namespace kindling::kernels
