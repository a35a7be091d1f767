#include "kindling/kernels/packed_items.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"

namespace kindling::kernels {

namespace {

// 46,000 squared is 2.116e9; rounding may lengthen q by sqrt(dim) / 2, and 2^31 must not be
// reached.
constexpr double kIntegerNorm = 46000.0;
constexpr double kLargestInteger = 32767.0;
constexpr std::size_t kLargestDim = 100000;
// Products of two such norms stay finite in float.
constexpr double kLargestNorm = 1e18;

// Rounded away from zero, so that a bound stays a bound.
float upper_float(double value) { return static_cast<float>(value * (1.0 + 1e-6)); }

}  // namespace

Quantised quantise(const float* x, std::size_t dim, std::int16_t* integers) {
  double square = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < dim; ++i) {
    square += double{x[i]} * double{x[i]};
    largest = std::max(largest, std::abs(double{x[i]}));
  }
  Quantised result;
  result.norm = std::sqrt(square);
  // Written so that NaN is refused too.
  if (!(result.norm < kLargestNorm)) {
    throw Error(Kind::kInternal, "a user or item vector holds NaN, infinity or enormous values", {},
                "scores would not be finite; look for NaN in the model's weights or vectors");
  }
  if (largest > 0.0) {
    result.scale = std::max(result.norm / kIntegerNorm, largest / kLargestInteger);
  }
  double error = 0.0;
  double integer_square = 0.0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double rounded =
        std::clamp(std::nearbyint(x[i] / result.scale), -kLargestInteger, kLargestInteger);
    integers[i] = static_cast<std::int16_t>(rounded);
    const double rest = x[i] - result.scale * rounded;
    error += rest * rest;
    integer_square += rounded * rounded;
  }
  if (dim % 2 == 1) integers[dim] = 0;
  result.error = std::sqrt(error);
  result.integer_norm = std::sqrt(integer_square);
  return result;
}

PackedPanels pack_items(const float* items, std::size_t count, std::size_t dim) {
  check(dim <= kLargestDim, "vectors wider than 100,000 cannot be packed");
  PackedPanels packed;
  packed.pairs = (dim + 1) / 2;
  packed.panels = (count + kTileItems - 1) / kTileItems;
  const std::size_t places = packed.panels * kTileItems;
  packed.values = AlignedArray<std::int32_t>(places * packed.pairs);
  packed.scale = AlignedArray<float>(places);
  packed.error = AlignedArray<float>(places);
  packed.norm = AlignedArray<float>(places);
  std::vector<double> norms(count);
  parallel_for(count, 64, [&](std::size_t begin, std::size_t end) {
    std::vector<std::int16_t> integers(packed.pairs * 2);
    for (std::size_t j = begin; j < end; ++j) {
      const Quantised q = quantise(items + j * dim, dim, integers.data());
      packed.scale.data()[j] = static_cast<float>(q.scale);
      packed.error.data()[j] = upper_float(q.error);
      packed.norm.data()[j] = upper_float(q.norm);
      norms[j] = q.norm;
      std::int32_t* column =
          packed.values.data() + j / kTileItems * packed.pairs * kTileItems + j % kTileItems;
      for (std::size_t pair = 0; pair < packed.pairs; ++pair) {
        column[pair * kTileItems] = join_pair(integers[2 * pair], integers[2 * pair + 1]);
      }
    }
  });
  // Places behind the last item are never sure, and the caller leaves them out.
  for (std::size_t j = count; j < places; ++j) {
    packed.error.data()[j] = std::numeric_limits<float>::infinity();
  }
  for (const double norm : norms) packed.largest_norm = std::max(packed.largest_norm, norm);
  return packed;
}

namespace {

// sums[r][v] = integer products of user r and the items of vector v. A function of its own: inlined
// beside the comparisons, GCC 12 keeps the sums on the stack and loses two thirds of the speed.
[[gnu::noinline]] void add_up(const std::int32_t* column, const std::int32_t* users,
                              std::size_t pairs, Lanes::Int* result) {
  Lanes::Int sums[kTileUsers * Lanes::kVectors];
#pragma GCC unroll 32
  for (auto& sum : sums) sum = Lanes::zero();
#pragma GCC unroll 1
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    Lanes::Int item[Lanes::kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < Lanes::kVectors; ++v) {
      item[v] = Lanes::load(column + v * Lanes::kWidth);
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTileUsers; ++r) {
      const Lanes::Int user = Lanes::broadcast(users[r]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Lanes::kVectors; ++v) {
        sums[r * Lanes::kVectors + v] =
            Lanes::add_products(sums[r * Lanes::kVectors + v], user, item[v]);
      }
    }
    column += kTileItems;
    users += kTileUsers;
  }
#pragma GCC unroll 32
  for (std::size_t i = 0; i < kTileUsers * Lanes::kVectors; ++i) result[i] = sums[i];
}

}  // namespace

void compare_tile(const PackedPanels& items, std::size_t panel, const std::int32_t* users,
                  const Mark* marks, TileResult& result) {
  Lanes::Int sums[kTileUsers * Lanes::kVectors];
  add_up(items.values.data() + panel * items.pairs * kTileItems, users, items.pairs, sums);
  constexpr std::uint64_t kAll = (std::uint64_t{1} << Lanes::kWidth) - 1;
  const std::size_t first = panel * kTileItems;
  for (std::size_t r = 0; r < kTileUsers; ++r) {
    std::uint32_t above = 0;
    std::uint64_t unsure = 0;
    std::uint64_t candidates = 0;
    for (std::size_t v = 0; v < Lanes::kVectors; ++v) {
      const std::size_t at = first + v * Lanes::kWidth;
      const Verdict verdict =
          Lanes::compare(sums[r * Lanes::kVectors + v], items.scale.data() + at,
                         items.error.data() + at, items.norm.data() + at, marks[r]);
      above += static_cast<std::uint32_t>(std::popcount(verdict.above));
      unsure |= (kAll & ~std::uint64_t{verdict.above | verdict.below}) << (v * Lanes::kWidth);
      candidates |= (kAll & ~std::uint64_t{verdict.below}) << (v * Lanes::kWidth);
    }
    result.above[r] = above;
    result.unsure[r] = unsure;
    result.candidates[r] = candidates;
  }
}

}  // namespace kindling::kernels
