// The dot product that decides ranks: every exact comparison in the house goes through it.
//
// Sixteen running sums (element i goes to sum i mod 16), then a fixed tree over them: the same two
// vectors give the same bits wherever they stand in a batch, whatever the number of threads. BLAS
// does not promise that: its order of addition depends on the shape of the product.
#pragma once

#include <cstddef>

namespace kindling::kernels {

// Sum in double, in order: the answer the fast one is held to.
double dot_reference(const float* a, const float* b, std::size_t count);

float dot(const float* a, const float* b, std::size_t count);

// No float dot() is further from the true dot product than this times |a||b| (Higham, Accuracy and
// Stability of Numerical Algorithms, section 3.1, with a factor 2 to spare).
double dot_error_factor(std::size_t count);

}  // namespace kindling::kernels
