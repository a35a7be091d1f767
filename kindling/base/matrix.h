// Row-major float matrices. The convention everywhere: rows are things (items, queries), columns
// their values.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace kindling {

// A view of [rows, cols] floats that somebody else owns; it must not outlive them.
class MatrixView {
 public:
  MatrixView() = default;
  MatrixView(const float* data, std::size_t rows, std::size_t cols)
      : data_(data), rows_(rows), cols_(cols) {}

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  const float* data() const { return data_; }
  std::span<const float> row(std::size_t r) const { return {data_ + r * cols_, cols_}; }
  float operator()(std::size_t r, std::size_t c) const { return data_[r * cols_ + c]; }

 private:
  const float* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

class Matrix {
 public:
  Matrix() = default;
  Matrix(std::size_t rows, std::size_t cols, float fill = 0.0F)
      : values_(rows * cols, fill), rows_(rows), cols_(cols) {}

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  float* data() { return values_.data(); }
  const float* data() const { return values_.data(); }
  std::span<float> row(std::size_t r) { return {values_.data() + r * cols_, cols_}; }
  std::span<const float> row(std::size_t r) const { return {values_.data() + r * cols_, cols_}; }
  float& operator()(std::size_t r, std::size_t c) { return values_[r * cols_ + c]; }
  float operator()(std::size_t r, std::size_t c) const { return values_[r * cols_ + c]; }
  operator MatrixView() const {
    return {values_.data(), rows_, cols_};
  }  // NOLINT: a view is meant to be implicit

 private:
  std::vector<float> values_;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

}  // namespace kindling
