// One Adagrad step in a single pass: penalty gradient, accumulator and update together.
//
//   g = scale · gradient + decay · p;   sum += g²;   p -= rate · g / (√sum + epsilon)
//
// With velocities v, which start at 0:   v = momentum · v - rate · g / (√sum + epsilon);   p += v.
//
// `decay` is the λ of a penalty (λ/2)‖p‖²: as the specification asks, its gradient goes through the
// same accumulator [Z14]. Source: Duchi et al. 2011 in PyTorch's form; epsilon [Z19].
//
//   adagrad(offsets, gradient, sums, n, {.rate = 0.1F, .epsilon = 1e-3F, .decay = 100.0F /
//   tokens});
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindling::kernels {

struct AdagradStep {
  float rate = 0.1F;
  float epsilon = 1e-3F;
  float decay = 0.0F;
  float scale = 1.0F;  // of the gradient: clipping, or the mean of a sum
  bool inside =
      false;  // epsilon under the root, as GRU4Rec's authors have it: rate·g / √(sum + epsilon)
  float momentum = 0.0F;  // of the velocities, where there are any
};

// parameters, gradient, sums and velocities (or null) [count].
void adagrad(float* parameters, const float* gradient, float* sums, std::size_t count,
             const AdagradStep& step, float* velocities = nullptr);

// Gradients that belong together: row rows[i] takes the sum of those at members[first[i]] …
// members[first[i + 1]]. No row may occur twice.
struct RowGroups {
  const std::int64_t* rows;      // [count]
  const std::uint32_t* first;    // [count + 1]
  const std::uint32_t* members;  // rows of the gradient
  std::size_t count;
};
// The same step for some rows of parameters, sums and velocities [.., dim], each by the sum of its
// gradients [.., dim] in the order of the members. The penalty and the velocities act on these rows
// only (the lazy form): the others stand still.
void adagrad_row_groups(float* parameters, const float* gradient, float* sums,
                        const RowGroups& groups, std::size_t dim, const AdagradStep& step,
                        float* velocities = nullptr);

}  // namespace kindling::kernels
