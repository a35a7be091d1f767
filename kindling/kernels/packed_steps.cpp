// Which sequences are still running at each step of a packed batch, longest first.
#include <algorithm>
#include <numeric>

#include "kindling/base/error.h"
#include "kindling/kernels/gru.h"

namespace kindling::kernels {

PackedSteps::PackedSteps(std::span<const std::int64_t> offsets) {
  check(!offsets.empty() && offsets.front() == 0 && std::is_sorted(offsets.begin(), offsets.end()),
        "offsets of a packed batch start at 0 and never decrease");
  const std::size_t sequences = offsets.size() - 1;
  const auto length = [&](std::size_t b) { return offsets[b + 1] - offsets[b]; };
  by_length_.resize(sequences);
  std::iota(by_length_.begin(), by_length_.end(), std::size_t{0});
  std::stable_sort(by_length_.begin(), by_length_.end(),
                   [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
  packed_row_.reserve(static_cast<std::size_t>(offsets.back()));
  std::size_t alive = sequences;
  for (std::int64_t t = 0;; ++t) {
    while (alive > 0 && length(by_length_[alive - 1]) <= t) --alive;
    if (alive == 0) break;
    for (std::size_t k = 0; k < alive; ++k) {
      packed_row_.push_back(static_cast<std::size_t>(offsets[by_length_[k]] + t));
    }
    first_.push_back(packed_row_.size());
  }
}

}  // namespace kindling::kernels
