#include "kindling/kernels/tile_gemm.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/float_lanes.h"
#include "kindling/kernels/large_pages.h"

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
constexpr std::size_t kDepth = 128;            // of a panel that stays in the nearest cache
constexpr std::size_t kFewBlocks = 8;
constexpr std::size_t kTaskWork = 1 << 21;  // multiplications worth waking a thread for

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

// A matrix whose rows stand one behind the other, or where `index` says.
struct Source {
  const float* values;
  const std::int64_t* index;
  std::size_t width;

  const float* row(std::size_t i) const {
    return values + (index == nullptr ? i : static_cast<std::size_t>(index[i])) * width;
  }
  // Rows that the index names stand anywhere: fetched before they are read.
  void fetch(std::size_t begin, std::size_t end, std::size_t first, std::size_t count) const {
    constexpr std::size_t kLine = 16;  // floats
    for (std::size_t i = begin; i < end && index != nullptr; ++i) {
      for (std::size_t d = 0; d < count; d += kLine) __builtin_prefetch(row(i) + first + d);
    }
  }
};

// The part of op(b) that a panel holds: rows [depth, depth + k), columns [first, first + width).
struct Part {
  std::size_t depth, k, first, width;
};

void pack_plain(const Source& b, const Part& part, float* panel) {
  constexpr std::size_t kAhead = 8;
  const std::size_t whole = (part.width + kFloatLanes - 1) / kFloatLanes * kFloatLanes;
  const std::size_t end = part.depth + part.k;
  for (std::size_t d = part.depth; d < end; ++d, panel += kPanel) {
    b.fetch(std::min(d + kAhead, end), std::min(d + kAhead + 1, end), part.first, part.width);
    const float* from = b.row(d) + part.first;
    std::size_t j = 0;
    for (; j + kFloatLanes <= part.width; j += kFloatLanes) {
      store_lanes(panel + j, load_lanes(from + j));
    }
    for (; j < whole; ++j) panel[j] = j < part.width ? from[j] : 0.0F;
  }
}

void pack_transposed(const Source& b, const Part& part, float* panel) {
  for (std::size_t j = 0; j < part.width; j += kFloatLanes) {
    const std::size_t count = std::min(kFloatLanes, part.width - j);
    const std::size_t end = part.first + part.width;
    b.fetch(std::min(part.first + j + kFloatLanes, end),
            std::min(part.first + j + 2 * kFloatLanes, end), part.depth, part.k);
    const float* rows[kFloatLanes];
    for (std::size_t l = 0; l < kFloatLanes; ++l) {
      rows[l] = b.row(part.first + j + std::min(l, count - 1)) + part.depth;
    }
    std::size_t d = 0;
    for (; d + kFloatLanes <= part.k; d += kFloatLanes) {
      FloatLanes square[kFloatLanes];
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        square[l] = l < count ? load_lanes(rows[l] + d) : FloatLanes{};
      }
      transpose_lanes(square);
#pragma GCC unroll 16
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        store_lanes(panel + (d + l) * kPanel + j, square[l]);
      }
    }
    for (; d < part.k; ++d) {
      for (std::size_t l = 0; l < kFloatLanes; ++l) {
        panel[d * kPanel + j + l] = l < count ? rows[l][d] : 0.0F;
      }
    }
  }
}

// Zeros stand behind the last column, up to the next whole vector.
void pack_panel(Op op, const Source& b, const Part& part, float* panel) {
  op == Op::kPlain ? pack_plain(b, part, panel) : pack_transposed(b, part, panel);
}

// Room of the calling thread that lasts.
float* panel_room(std::size_t count) {
  static thread_local std::vector<float, LargePages<float>> room;
  if (room.size() < count) room.resize(count);
  return room.data();
}

struct Product {
  Op op_a;
  std::size_t m, n, k;
  Source a;
  bool add;
  float* c;

  // Is `a` read from a block of rows that is made first?
  bool copies() const { return op_a == Op::kTransposed || a.index != nullptr; }
};

// Columns [first, first + rows) of a transposed `a` side by side: reading them a whole row apart
// would hit few of the cache's sets.
void copy_columns(const Product& p, std::size_t first, std::size_t rows, float* block) {
  for (std::size_t d = 0; d < p.k; ++d) {
    const float* from = p.a.row(d) + first;
    if (rows == kBlockRows) {
      std::memcpy(block + d * kBlockRows, from, kBlockRows * sizeof(float));
    } else {
      std::copy_n(from, rows, block + d * kBlockRows);
    }
  }
}

// Rows [first, first + rows) of an `a` that is a table, one behind the other.
void copy_rows(const Product& p, std::size_t first, std::size_t rows, float* block) {
  constexpr std::size_t kAhead = kBlockRows;
  for (std::size_t r = first; r < first + rows; ++r, block += p.k) {
    const std::size_t later = std::min(r + kAhead, p.m);
    p.a.fetch(later, std::min(later + 1, p.m), 0, p.k);
    std::memcpy(block, p.a.row(r), p.k * sizeof(float));
  }
}

// `rows` rows from the tile's on against its panel, of which `width` columns exist.
void multiply_rows(const Product& p, Tile tile, std::size_t rows, std::size_t width) {
  const std::size_t vectors = (width + kFloatLanes - 1) / kFloatLanes;
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

// Rows [first, first + rows) against one panel; `block` is the copy that was made of them, if
// one was.
void multiply_block(const Product& p, std::size_t first, std::size_t rows, std::size_t column,
                    const float* panel, const float* block) {
  Tile tile{block, p.k, 1, p.k, panel, p.c + first * p.n + column, p.n, p.add};
  if (!p.copies()) tile.a = p.a.row(first);
  if (p.op_a == Op::kTransposed) {
    tile.row_step = 1;
    tile.depth_step = kBlockRows;
  }
  multiply_rows(p, tile, rows, std::min(kPanel, p.n - column));
}

// A deep product with few rows: each thread takes some of them and packs op(b) for itself, in
// pieces that are still in its cache when they are multiplied.
void multiply_deep(const Product& p, Op op_b, const Source& b, std::size_t parts) {
  parallel_for(parts, 1, [&](std::size_t begin, std::size_t end) {
    const std::size_t tiles = (p.m + kRows - 1) / kRows;
    const std::size_t first = tiles * begin / parts * kRows;
    const std::size_t last = std::min(p.m, tiles * end / parts * kRows);
    if (first >= last) return;
    float* panel = panel_room(kDepth * kPanel);
    for (std::size_t depth = 0; depth < p.k; depth += kDepth) {
      const std::size_t k = std::min(kDepth, p.k - depth);
      for (std::size_t column = 0; column < p.n; column += kPanel) {
        const std::size_t width = std::min(kPanel, p.n - column);
        pack_panel(op_b, b, {depth, k, column, width}, panel);
        const Tile tile{p.a.row(first) + depth, p.k, 1, k, panel, p.c + first * p.n + column, p.n,
                        p.add || depth > 0};
        multiply_rows(p, tile, last - first, width);
      }
    }
  });
}

}  // namespace

void tile_gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, const float* a,
               const float* b, float beta, float* c, const TableRows& index) {
  check(beta == 0.0F || beta == 1.0F, "beta is neither 0 nor 1");
  check(op_a == Op::kPlain || index.a == nullptr, "rows of a table are not transposed");
  if (m == 0 || n == 0) return;
  const Source left{a, index.a, op_a == Op::kPlain ? k : m};
  const Product product{op_a, m, n, k, left, beta == 1.0F, c};
  const Source source{b, index.b, op_b == Op::kPlain ? n : k};
  const std::size_t panels = (n + kPanel - 1) / kPanel;
  const std::size_t blocks = (m + kBlockRows - 1) / kBlockRows;
  const auto pack = [&](std::size_t panel, float* room) {
    const std::size_t first = panel * kPanel;
    pack_panel(op_b, source, {0, k, first, std::min(kPanel, n - first)}, room);
  };
  // Pieces that are worth a thread's attention: `unit` multiplications each.
  const auto grain = [](std::size_t unit) { return kTaskWork / (unit + 1) + 1; };
  if (!product.copies() && panels >= blocks) {
    // Each panel is multiplied while it is in the cache of the thread that packed it.
    parallel_for(panels, grain(k * kPanel * m), [&](std::size_t begin, std::size_t end) {
      float* room = panel_room(k * kPanel);
      for (std::size_t panel = begin; panel < end; ++panel) {
        pack(panel, room);
        multiply_block(product, 0, m, panel * kPanel, room, nullptr);
      }
    });
    return;
  }
  if (!product.copies() && k > kDepth && blocks <= kFewBlocks) {
    const std::size_t parts = m * n * k < 2 * kTaskWork ? 1 : static_cast<std::size_t>(threads());
    return multiply_deep(product, op_b, source, parts);
  }
  float* const all =
      panel_room(panels * k * kPanel);  // the caller's, not that of the thread that asks
  // Rows of one block against some panels.
  const auto run = [&](std::size_t block, std::size_t panel, std::size_t last) {
    static thread_local std::vector<float> copy;
    const std::size_t first = block * kBlockRows;
    const std::size_t rows = std::min(kBlockRows, m - first);
    if (product.copies()) {
      if (copy.size() < k * kBlockRows) copy.resize(k * kBlockRows);
      (op_a == Op::kTransposed ? copy_columns : copy_rows)(product, first, rows, copy.data());
    }
    for (; panel < last; ++panel) {
      multiply_block(product, first, rows, panel * kPanel, all + panel * k * kPanel, copy.data());
    }
  };
  if (panels >= blocks) {  // a panel is packed by the thread that multiplies it
    parallel_for(panels, grain(k * kPanel * m), [&](std::size_t begin, std::size_t end) {
      for (std::size_t panel = begin; panel < end; ++panel) pack(panel, all + panel * k * kPanel);
      for (std::size_t block = 0; block < blocks; ++block) run(block, begin, end);
    });
    return;
  }
  parallel_for(panels, grain(k * kPanel * 8), [&](std::size_t begin, std::size_t end) {
    for (std::size_t panel = begin; panel < end; ++panel) pack(panel, all + panel * k * kPanel);
  });
  // Few blocks: a panel more or less evens out what the threads have to do.
  const std::size_t parts = product.copies() ? 1 : panels;
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
