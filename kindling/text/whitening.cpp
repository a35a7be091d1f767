#include "kindling/text/whitening.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <cblas.h>
#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/kernels/linear_algebra.h"
#include "kindling/text/moments.h"

namespace kindling {

namespace {

// Variances below this share of the largest are rounding.
constexpr double kNegligible = 1e-7;

}  // namespace

Whitening::Whitening(MatrixView vectors, double exponent) {
  if (vectors.rows() == 0) throw Error(Kind::kBadInput, "there are no vectors to whiten");
  if (!(exponent >= 0 && exponent <= 1)) {
    throw Error(Kind::kBadOption, fmt::format("the exponent is {}, expected 0 to 1", exponent),
                "--whiten");
  }
  const std::size_t dim = vectors.cols();
  mean_ = column_means(vectors);
  const Matrix data = centred(vectors, mean_);
  std::vector<double> covariance = covariance_of(data);
  const auto n = static_cast<int>(dim);
  const std::vector<double> variances = kernels::symmetric_eigen(dim, covariance);

  // transform = sum over directions u of l^(-e/2) u u^T; each half of the factor goes to one u.
  std::vector<double>& scaled = covariance;
  const double least = std::max(variances.back() * kNegligible, std::numeric_limits<double>::min());
  for (std::size_t k = 0; k < dim; ++k) {
    const bool kept = variances[k] > least;
    rank_ += kept ? 1 : 0;
    const double factor = kept ? std::pow(variances[k], -exponent / 4) : 0.0;
    for (std::size_t i = 0; i < dim; ++i) scaled[k * dim + i] *= factor;
  }
  std::vector<double> product(dim * dim, 0.0);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, n, n, 1.0, scaled.data(), n,
              scaled.data(), n, 0.0, product.data(), n);
  transform_ = Matrix(dim, dim);
  for (std::size_t i = 0; i < dim * dim; ++i) transform_.data()[i] = static_cast<float>(product[i]);
}

Matrix Whitening::apply(MatrixView vectors) const {
  const std::size_t dim = mean_.size();
  if (vectors.cols() != dim) {
    throw Error(Kind::kBadInput,
                fmt::format("the vectors have {} values, the whitening was fitted on {}",
                            vectors.cols(), dim));
  }
  const Matrix data = centred(vectors, mean_);
  Matrix result(vectors.rows(), dim);
  const auto n = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(vectors.rows()), n, n,
              1.0F, data.data(), n, transform_.data(), n, 0.0F, result.data(), n);
  return result;
}

}  // namespace kindling
