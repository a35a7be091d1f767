#include "kindling/kernels/adagrad.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kindling/base/parallel.h"
#include "kindling/kernels/float_lanes.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kWork = 32768;  // values worth waking a thread for

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

// Epsilon under the root: a reciprocal root instead of a root and a division.
void update_inside(float* p, const float* gradient, float* sums, std::size_t count,
                   const AdagradStep& step) {
  const auto apply = [&](FloatLanes& value, FloatLanes g, FloatLanes& sum) {
    g = step.scale * g + step.decay * value;
    sum += g * g;
    value -= step.rate * g * reciprocal_root_lanes(sum + step.epsilon);
  };
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    FloatLanes value = load_lanes(p + i);
    FloatLanes sum = load_lanes(sums + i);
    apply(value, load_lanes(gradient + i), sum);
    store_lanes(sums + i, sum);
    store_lanes(p + i, value);
  }
  if (i == count) return;
  FloatLanes value = load_some(p + i, count - i);
  FloatLanes sum = load_some(sums + i, count - i);
  apply(value, load_some(gradient + i, count - i), sum);
  store_some(sums + i, sum, count - i);
  store_some(p + i, value, count - i);
}

void update_with_momentum(float* __restrict p, const float* __restrict gradient,
                          float* __restrict sums, float* __restrict velocities, std::size_t count,
                          const AdagradStep& step) {
  const float outside = step.inside ? 0.0F : step.epsilon;
  const float inside = step.inside ? step.epsilon : 0.0F;
  for (std::size_t i = 0; i < count; ++i) {
    const float g = step.scale * gradient[i] + step.decay * p[i];
    const float sum = sums[i] + g * g;
    sums[i] = sum;
    const float moved = step.rate * g / (std::sqrt(sum + inside) + outside);
    velocities[i] = step.momentum * velocities[i] - moved;
    p[i] += velocities[i];
  }
}

void update(float* p, const float* gradient, float* sums, float* velocities, std::size_t count,
            const AdagradStep& step) {
  if (velocities != nullptr) {
    return update_with_momentum(p, gradient, sums, velocities, count, step);
  }
  if (step.inside && step.epsilon > 0.0F) return update_inside(p, gradient, sums, count, step);
  if (step.inside) return update<true>(p, gradient, sums, count, step);
  update<false>(p, gradient, sums, count, step);
}

}  // namespace

void adagrad(float* parameters, const float* gradient, float* sums, std::size_t count,
             const AdagradStep& step, float* velocities) {
  parallel_for(count, kWork, [&](std::size_t begin, std::size_t end) {
    float* const own = velocities == nullptr ? nullptr : velocities + begin;
    update(parameters + begin, gradient + begin, sums + begin, own, end - begin, step);
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
                        const RowGroups& groups, std::size_t dim, const AdagradStep& step,
                        float* velocities) {
  parallel_for(groups.count, kWork / 4 / (dim + 1) + 64, [&](std::size_t begin, std::size_t end) {
    constexpr std::size_t kAhead = 3;
    std::vector<float> total(dim);
    for (std::size_t i = begin; i < end; ++i) {
      if (i + kAhead < end) {
        const std::size_t later = static_cast<std::size_t>(groups.rows[i + kAhead]) * dim;
        fetch(parameters + later, dim);
        fetch(sums + later, dim);
        if (velocities != nullptr) fetch(velocities + later, dim);
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
      float* const own = velocities == nullptr ? nullptr : velocities + at;
      update(parameters + at, row, sums + at, own, dim, step);
    }
  });
}

}  // namespace kindling::kernels
