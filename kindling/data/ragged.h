// Lists of unequal length without padding: one flat array and row offsets.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kindling {

template <class T>
class Ragged {
 public:
  std::size_t rows() const { return offsets_.size() - 1; }
  std::size_t values() const { return values_.size(); }
  std::span<const T> row(std::size_t r) const {
    return {values_.data() + offsets_[r], offsets_[r + 1] - offsets_[r]};
  }
  std::span<const T> flat() const { return values_; }
  std::span<const std::size_t> offsets() const { return offsets_; }

  void push_row(std::span<const T> row) {
    values_.insert(values_.end(), row.begin(), row.end());
    offsets_.push_back(values_.size());
  }

 private:
  std::vector<T> values_;
  std::vector<std::size_t> offsets_{0};
};

}  // namespace kindling
