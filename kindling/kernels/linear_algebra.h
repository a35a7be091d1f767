// The few decompositions that Kindling needs, from the LAPACK inside OpenBLAS.
//
// Errors: Error{kInternal} when LAPACK reports failure, which finite input does not cause.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kindling::kernels {

// Eigenvalues, ascending, of a symmetric matrix [n, n]; row i of `matrix` becomes the eigenvector
// of value i.
std::vector<double> symmetric_eigen(std::size_t n, std::span<double> matrix);

// Replaces the rows of a row-major matrix [rows, cols], rows <= cols, by orthonormal rows that span
// at least the same space.
void orthonormal_rows(std::size_t rows, std::size_t cols, float* matrix);

}  // namespace kindling::kernels
