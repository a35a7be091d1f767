// Item vectors in 16-bit integers, packed once, and the tile that compares them with user vectors.
//
// A vector x becomes  x = scale * q + rest  with integers q. By Cauchy-Schwarz the score of user u
// (= su*p + ru) and item v (= sv*q + rv) obeys
//     | u.v - su*sv*(p.q) |  <=  su |p| |rv|  +  |ru| |v|
// and all terms on the right are computed when packing. A score further than that from the mark is
// surely above or below it; only the few items in between need the float dot product. The result is
// exact, and integer arithmetic runs at twice the rate of float.
//
// The scale makes |q| about 46,000: then no sum of products, whole or partial, leaves 32 bits.
// Internal to score_topk.cpp; users include score_topk.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kindling/kernels/aligned_array.h"
#include "kindling/kernels/int16_lanes.h"

namespace kindling::kernels {

inline constexpr std::size_t kTileUsers = Lanes::kUsers;
inline constexpr std::size_t kTileItems = Lanes::kWidth * Lanes::kVectors;

// Two 16-bit integers side by side, the first in the low half.
inline std::int32_t join_pair(std::int16_t first, std::int16_t second) {
  return static_cast<std::int32_t>(std::uint32_t{static_cast<std::uint16_t>(first)} |
                                   std::uint32_t{static_cast<std::uint16_t>(second)} << 16U);
}

// One vector in integers; `integers` has an even number of places, the last one 0 for odd widths.
struct Quantised {
  double scale = 1.0;       // x is about scale * q
  double norm = 0.0;        // |x|
  double error = 0.0;       // |x - scale * q|
  double integer_norm = 0;  // |q|
};
// Errors: Error{kInternal} when x holds NaN or infinity, or is too long for float scores.
Quantised quantise(const float* x, std::size_t dim, std::int16_t* integers);

struct PackedPanels {
  std::size_t pairs = 0;              // (dim + 1) / 2
  std::size_t panels = 0;             // of kTileItems items
  AlignedArray<std::int32_t> values;  // [panels, pairs, kTileItems] two 16-bit values each
  AlignedArray<float> scale;          // [panels * kTileItems]
  AlignedArray<float> error;          // upper bounds of |x - scale q|; infinity behind the last
  AlignedArray<float> norm;           // upper bounds of |x|
  double largest_norm = 0.0;
};
PackedPanels pack_items(const float* items, std::size_t count, std::size_t dim);

// kTileUsers users against the items of one panel. `users` is [pairs, kTileUsers].
struct TileResult {
  std::uint32_t above[kTileUsers];       // how many items are surely above the mark
  std::uint64_t unsure[kTileUsers];      // bit i: item i needs the exact score
  std::uint64_t candidates[kTileUsers];  // bit i: item i is not surely below the mark
};
void compare_tile(const PackedPanels& items, std::size_t panel, const std::int32_t* users,
                  const Mark* marks, TileResult& result);

}  // namespace kindling::kernels
