#include "kindling/text/moments.h"

#include <cblas.h>
#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/kernels/linear_algebra.h"

namespace kindling {

std::vector<float> column_means(MatrixView vectors) {
  std::vector<double> sums(vectors.cols(), 0.0);
  for (std::size_t r = 0; r < vectors.rows(); ++r) {
    for (std::size_t c = 0; c < vectors.cols(); ++c) sums[c] += vectors(r, c);
  }
  std::vector<float> means;
  means.reserve(sums.size());
  for (const double sum : sums) {
    means.push_back(static_cast<float>(sum / static_cast<double>(vectors.rows())));
  }
  return means;
}

Matrix centred(MatrixView vectors, const std::vector<float>& mean) {
  Matrix result(vectors.rows(), vectors.cols());
  for (std::size_t r = 0; r < vectors.rows(); ++r) {
    for (std::size_t c = 0; c < vectors.cols(); ++c) result(r, c) = vectors(r, c) - mean[c];
  }
  return result;
}

std::vector<double> covariance_of(const Matrix& centred_rows) {
  const std::size_t dim = centred_rows.cols();
  const std::vector<double> wide(centred_rows.data(),
                                 centred_rows.data() + centred_rows.rows() * dim);
  std::vector<double> covariance(dim * dim, 0.0);
  const auto n = static_cast<int>(dim);
  cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, n, static_cast<int>(centred_rows.rows()),
              1.0 / static_cast<double>(centred_rows.rows()), wide.data(), n, 0.0,
              covariance.data(), n);
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t j = 0; j < i; ++j) covariance[j * dim + i] = covariance[i * dim + j];
  }
  return covariance;
}

double shared_variance(MatrixView source, MatrixView target, double share) {
  if (source.rows() == 0 || target.rows() == 0) {
    throw Error(Kind::kBadInput, "there are no vectors to compare");
  }
  if (source.cols() != target.cols()) {
    throw Error(Kind::kBadInput, fmt::format("vectors of {} and {} values cannot be compared",
                                             source.cols(), target.cols()));
  }
  const std::size_t dim = source.cols();
  std::vector<double> axes = covariance_of(centred(source, column_means(source)));
  const std::vector<double> variances = kernels::symmetric_eigen(dim, axes);
  double total = 0.0;
  for (const double variance : variances) total += variance;
  std::size_t first = dim;  // axes first … dim-1 are the subspace: variances ascend
  for (double held = 0.0; first > 0 && held < share * total;) held += variances[--first];

  const std::vector<double> other = covariance_of(centred(target, column_means(target)));
  double trace = 0.0;
  for (std::size_t i = 0; i < dim; ++i) trace += other[i * dim + i];
  if (!(trace > 0.0)) return 0.0;
  double inside = 0.0;
  std::vector<double> image(dim);
  const auto n = static_cast<int>(dim);
  for (std::size_t k = first; k < dim; ++k) {
    const double* axis = axes.data() + k * dim;
    cblas_dsymv(CblasRowMajor, CblasLower, n, 1.0, other.data(), n, axis, 1, 0.0, image.data(), 1);
    inside += cblas_ddot(n, axis, 1, image.data(), 1);
  }
  return inside / trace;
}

}  // namespace kindling
