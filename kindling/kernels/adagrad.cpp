#include "kindling/kernels/adagrad.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kindling/base/parallel.h"

namespace kindling::kernels {

namespace {

template <bool inside>
void update(float* __restrict p, const float* __restrict gradient, float* __restrict sums,
            std::size_t count, const AdagradStep& step) {
  const float rate = step.rate;
  const float epsilon = step.epsilon;
  const float decay = step.decay;
  const float scale = step.scale;
  for (std::size_t i = 0; i < count; ++i) {
    const float g = scale * gradient[i] + decay * p[i];
    const float sum = sums[i] + g * g;
    sums[i] = sum;
    p[i] -= rate * g / (inside ? std::sqrt(sum + epsilon) : std::sqrt(sum) + epsilon);
  }
}

void update(float* p, const float* gradient, float* sums, std::size_t count,
            const AdagradStep& step) {
  if (step.inside) return update<true>(p, gradient, sums, count, step);
  update<false>(p, gradient, sums, count, step);
}

}  // namespace

void adagrad(float* parameters, const float* gradient, float* sums, std::size_t count,
             const AdagradStep& step) {
  parallel_for(count, 16384, [&](std::size_t begin, std::size_t end) {
    update(parameters + begin, gradient + begin, sums + begin, end - begin, step);
  });
}

namespace {

// Rows stand anywhere in tables larger than the near caches: fetched some groups ahead.
void fetch(const float* row, std::size_t dim) {
  constexpr std::size_t kLine = 16;  // floats
  for (std::size_t d = 0; d < dim; d += kLine) __builtin_prefetch(row + d, 1);
}

}  // namespace

void adagrad_row_groups(float* parameters, const float* gradient, float* sums,
                        const RowGroups& groups, std::size_t dim, const AdagradStep& step) {
  parallel_for(groups.count, 64, [&](std::size_t begin, std::size_t end) {
    constexpr std::size_t kAhead = 3;
    std::vector<float> total(dim);
    for (std::size_t i = begin; i < end; ++i) {
      if (i + kAhead < end) {
        const std::size_t later = static_cast<std::size_t>(groups.rows[i + kAhead]) * dim;
        fetch(parameters + later, dim);
        fetch(sums + later, dim);
      }
      const std::uint32_t* member = groups.members + groups.first[i];
      const std::uint32_t* last = groups.members + groups.first[i + 1];
      const float* row = gradient + *member * dim;
      if (last - member > 1) {
        std::copy_n(row, dim, total.data());
        while (++member != last) {
          const float* more = gradient + *member * dim;
          for (std::size_t d = 0; d < dim; ++d) total[d] += more[d];
        }
        row = total.data();
      }
      const std::size_t at = static_cast<std::size_t>(groups.rows[i]) * dim;
      update(parameters + at, row, sums + at, dim, step);
    }
  });
}

}  // namespace kindling::kernels
