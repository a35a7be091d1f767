#include "kindling/models/zesrec/item_scale.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kindling/text/whitening.h"

namespace kindling::zesrec {

namespace {

double row_norm(std::span<const float> row) {
  double sum = 0.0;
  for (const float value : row) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

Matrix copy_of(MatrixView view) {
  Matrix copy(view.rows(), view.cols());
  std::copy(view.data(), view.data() + view.rows() * view.cols(), copy.data());
  return copy;
}

void divide_by_mean_norm(Matrix& x) {
  double sum = 0.0;
  for (std::size_t r = 0; r < x.rows(); ++r) sum += row_norm(x.row(r));
  const double mean = sum / static_cast<double>(std::max<std::size_t>(x.rows(), 1));
  if (!(mean > 0.0)) return;  // all vectors are zero
  const auto factor = static_cast<float>(1.0 / mean);
  for (std::size_t r = 0; r < x.rows(); ++r) {
    for (float& value : x.row(r)) value *= factor;
  }
}

void make_unit_rows(Matrix& x) {
  for (std::size_t r = 0; r < x.rows(); ++r) {
    const double norm = row_norm(x.row(r));
    if (!(norm > 0.0)) continue;
    for (float& value : x.row(r)) value = static_cast<float>(value / norm);
  }
}

void standardise_columns(Matrix& x) {
  const auto rows = static_cast<double>(std::max<std::size_t>(x.rows(), 1));
  std::vector<double> mean(x.cols(), 0.0);
  std::vector<double> square(x.cols(), 0.0);
  for (std::size_t r = 0; r < x.rows(); ++r) {
    const auto row = x.row(r);
    for (std::size_t c = 0; c < x.cols(); ++c) mean[c] += row[c] / rows;
  }
  for (std::size_t r = 0; r < x.rows(); ++r) {
    const auto row = x.row(r);
    for (std::size_t c = 0; c < x.cols(); ++c) {
      square[c] += (row[c] - mean[c]) * (row[c] - mean[c]) / rows;
    }
  }
  for (std::size_t r = 0; r < x.rows(); ++r) {
    auto row = x.row(r);
    for (std::size_t c = 0; c < x.cols(); ++c) {
      const double deviation = std::sqrt(square[c]);
      row[c] = deviation > 1e-12 ? static_cast<float>((row[c] - mean[c]) / deviation) : 0.0F;
    }
  }
}

}  // namespace

Matrix scale_items(MatrixView vectors, const Options& options) {
  Matrix x = copy_of(vectors);
  const std::string& how = options.input_scale;
  if (how == "l2") make_unit_rows(x);
  if (how == "standardise") standardise_columns(x);
  if (how == "whiten") x = Whitening(x, 1.0).apply(x);
  if (how == "partial") x = Whitening(x, options.whiten_exponent).apply(x);
  if (how != "none" && how != "l2") divide_by_mean_norm(x);
  if (options.unit_rows) make_unit_rows(x);
  return x;
}

}  // namespace kindling::zesrec
