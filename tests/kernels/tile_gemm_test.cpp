// The product of small matrices against its reference, at sizes around its tiles and panels.
#include "kindling/kernels/tile_gemm.h"

#include <cmath>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/base/random.h"

namespace kindling::kernels {
namespace {

std::vector<float> normals(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.normal());
  return values;
}

struct Size {
  std::size_t m, n, k;
};

TEST(TileGemm, AgreesWithTheReferenceInEveryOrientation) {
  for (const Size& size : {Size{1, 1, 1}, Size{6, 64, 16}, Size{25, 67, 33}, Size{5, 150, 17},
                           Size{130, 100, 12}, Size{64, 16, 50}}) {
    const std::vector<float> a = normals(size.m * size.k, 1);
    const std::vector<float> b = normals(size.n * size.k, 2);
    for (const Op op_a : {Op::kPlain, Op::kTransposed}) {
      for (const Op op_b : {Op::kPlain, Op::kTransposed}) {
        for (const float beta : {0.0F, 1.0F}) {
          std::vector<float> c = normals(size.m * size.n, 3);
          if (beta == 0.0F) c.assign(c.size(), NAN);
          std::vector<float> wanted = c;

          tile_gemm(op_a, op_b, size.m, size.n, size.k, a.data(), b.data(), beta, c.data());
          tile_gemm_reference(op_a, op_b, size.m, size.n, size.k, a.data(), b.data(), beta,
                              wanted.data());

          for (std::size_t i = 0; i < c.size(); ++i) ASSERT_NEAR(c[i], wanted[i], 2e-5);
        }
      }
    }
  }
}

TEST(TileGemm, AddsUpDeepProductsPieceByPiece) {
  const Size size{41, 100, 300};
  const std::vector<float> a = normals(size.m * size.k, 1);
  const std::vector<float> b = normals(size.n * size.k, 2);
  for (const float beta : {0.0F, 1.0F}) {
    std::vector<float> c = normals(size.m * size.n, 3);
    std::vector<float> wanted = c;

    tile_gemm(Op::kPlain, Op::kPlain, size.m, size.n, size.k, a.data(), b.data(), beta, c.data());
    tile_gemm_reference(Op::kPlain, Op::kPlain, size.m, size.n, size.k, a.data(), b.data(), beta,
                        wanted.data());

    for (std::size_t i = 0; i < c.size(); ++i) ASSERT_NEAR(c[i], wanted[i], 1e-4);
  }
}

// Numbers of `count` rows of a table [items, d], and the rows themselves.
std::pair<std::vector<std::int64_t>, std::vector<float>> drawn_rows(const std::vector<float>& table,
                                                                    std::size_t d,
                                                                    std::size_t count, Rng& rng) {
  std::vector<std::int64_t> index(count);
  std::vector<float> rows;
  for (std::int64_t& i : index) {
    i = static_cast<std::int64_t>(rng.below(table.size() / d));
    const auto first = table.begin() + i * static_cast<std::int64_t>(d);
    rows.insert(rows.end(), first, first + static_cast<std::int64_t>(d));
  }
  return {index, rows};
}

TEST(TileGemm, TakesRowsOfATable) {
  const std::size_t m = 50;
  const std::size_t items = 300;
  const std::size_t d = 37;
  const std::vector<float> table = normals(items * d, 1);
  Rng rng(5);
  for (const std::size_t count : {20UL, 200UL}) {
    const auto [index, rows] = drawn_rows(table, d, count, rng);
    for (const bool wide : {false, true}) {
      const Op op = wide ? Op::kTransposed : Op::kPlain;
      const std::size_t n = wide ? count : d;
      const std::size_t k = wide ? d : count;
      const std::vector<float> a = normals(m * k, 2);
      std::vector<float> c(m * n);
      std::vector<float> wanted = c;

      tile_gemm(Op::kPlain, op, m, n, k, a.data(), table.data(), 0.0F, c.data(),
                {.b = index.data()});
      tile_gemm(Op::kPlain, op, m, n, k, a.data(), rows.data(), 0.0F, wanted.data());

      EXPECT_EQ(c, wanted);
    }
  }
}

TEST(TileGemm, TakesRowsOfATableOnTheLeft) {
  const std::size_t items = 300;
  const std::size_t d = 37;
  const std::vector<float> table = normals(items * d, 1);
  Rng rng(5);
  for (const std::size_t count : {1UL, 20UL, 200UL}) {
    const auto [index, rows] = drawn_rows(table, d, count, rng);
    const std::vector<float> b = normals(70 * d, 2);
    std::vector<float> c(count * 70);
    std::vector<float> wanted = c;

    tile_gemm(Op::kPlain, Op::kTransposed, count, 70, d, table.data(), b.data(), 0.0F, c.data(),
              {.a = index.data()});
    tile_gemm(Op::kPlain, Op::kTransposed, count, 70, d, rows.data(), b.data(), 0.0F,
              wanted.data());

    EXPECT_EQ(c, wanted);
    EXPECT_THROW(tile_gemm(Op::kTransposed, Op::kPlain, 1, 1, 1, table.data(), b.data(), 0.0F,
                           c.data(), {.a = index.data()}),
                 Error);
  }
}

TEST(TileGemm, GivesTheSameBitsWithMoreThreads) {
  for (const Size& size : {Size{64, 700, 100}, Size{64, 100, 700}, Size{700, 100, 64}}) {
    const std::vector<float> a = normals(size.m * size.k, 1);
    const std::vector<float> b = normals(size.n * size.k, 2);
    std::vector<float> one(size.m * size.n);
    std::vector<float> three = one;
    const int before = threads();
    set_threads(1);
    tile_gemm(Op::kTransposed, Op::kTransposed, size.m, size.n, size.k, a.data(), b.data(), 0.0F,
              one.data());
    set_threads(3);
    tile_gemm(Op::kTransposed, Op::kTransposed, size.m, size.n, size.k, a.data(), b.data(), 0.0F,
              three.data());
    set_threads(before);
    EXPECT_EQ(one, three);
    set_threads(1);
    tile_gemm(Op::kPlain, Op::kPlain, size.m, size.n, size.k, a.data(), b.data(), 0.0F, one.data());
    set_threads(3);
    tile_gemm(Op::kPlain, Op::kPlain, size.m, size.n, size.k, a.data(), b.data(), 0.0F,
              three.data());
    set_threads(before);
    EXPECT_EQ(one, three);
  }
}

TEST(TileGemm, KeepsWhatItAddsToWhenThereIsNothingToAdd) {
  std::vector<float> c{1.0F, 2.0F};
  tile_gemm(Op::kPlain, Op::kPlain, 1, 2, 0, nullptr, nullptr, 1.0F, c.data());
  EXPECT_EQ(c, (std::vector<float>{1.0F, 2.0F}));
  EXPECT_THROW(tile_gemm(Op::kPlain, Op::kPlain, 1, 2, 0, nullptr, nullptr, 0.5F, c.data()), Error);
}

}  // namespace
}  // namespace kindling::kernels
