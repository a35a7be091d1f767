#include "kindling/kernels/linear_algebra.h"

#include <cblas.h>
#include <fmt/format.h>

#include "kindling/base/error.h"

// LAPACK's own names and types: Fortran, everything by pointer, matrices by columns.
extern "C" {
// NOLINTBEGIN(readability-identifier-naming): the names that LAPACK exports
void dsyevd_(const char* job, const char* part, const blasint* n, double* a, const blasint* stride,
             double* values, double* work, const blasint* work_size, blasint* integers,
             const blasint* integers_size, blasint* status);
void sgeqrf_(const blasint* rows, const blasint* cols, float* a, const blasint* stride, float* tau,
             float* work, const blasint* work_size, blasint* status);
void sorgqr_(const blasint* rows, const blasint* cols, const blasint* reflectors, float* a,
             const blasint* stride, const float* tau, float* work, const blasint* work_size,
             blasint* status);
// NOLINTEND(readability-identifier-naming)
}

namespace kindling::kernels {

namespace {
void check_status(const char* routine, blasint status) {
  check(status == 0, fmt::format("LAPACK's {} failed with {}", routine, status));
}
}  // namespace

std::vector<double> symmetric_eigen(std::size_t n, std::span<double> matrix) {
  check(matrix.size() == n * n, "the matrix is not square");
  std::vector<double> values(n);
  if (n == 0) return values;
  const auto size = static_cast<blasint>(n);
  const blasint query = -1;
  blasint status = 0;
  double work_size = 0;
  blasint integers_size = 0;
  dsyevd_("V", "L", &size, matrix.data(), &size, values.data(), &work_size, &query, &integers_size,
          &query, &status);
  check_status("dsyevd", status);
  std::vector<double> work(static_cast<std::size_t>(work_size));
  std::vector<blasint> integers(static_cast<std::size_t>(integers_size));
  const auto work_count = static_cast<blasint>(work.size());
  dsyevd_("V", "L", &size, matrix.data(), &size, values.data(), work.data(), &work_count,
          integers.data(), &integers_size, &status);
  check_status("dsyevd", status);
  return values;
}

void orthonormal_rows(std::size_t rows, std::size_t cols, float* matrix) {
  check(rows <= cols, "more rows than columns cannot be orthonormal");
  if (rows == 0) return;
  // Row-major [rows, cols] is column-major [cols, rows]: its columns are our rows.
  const auto m = static_cast<blasint>(cols);
  const auto n = static_cast<blasint>(rows);
  const blasint query = -1;
  blasint status = 0;
  float best = 0;
  std::vector<float> tau(rows);
  sgeqrf_(&m, &n, matrix, &m, tau.data(), &best, &query, &status);
  check_status("sgeqrf", status);
  std::vector<float> work(static_cast<std::size_t>(best) + rows * 64);
  const auto size = static_cast<blasint>(work.size());
  sgeqrf_(&m, &n, matrix, &m, tau.data(), work.data(), &size, &status);
  check_status("sgeqrf", status);
  sorgqr_(&m, &n, &n, matrix, &m, tau.data(), work.data(), &size, &status);
  check_status("sorgqr", status);
}

}  // namespace kindling::kernels
