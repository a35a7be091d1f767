// The rows of an item table that one training step reads, each once, as a leaf of their own: what
// autograd clears and adds up is as large as the step, not as the catalogue.
//
//   TableRows rows(table.size(0));
//   for (auto& item : batch) item = rows.add(item);            // places in the leaf
//   loss(states(rows.take(table), batch), …).backward();
//   rows.hand_over("items", *optimizer);                       // and ready for the next step
//
// Includes LibTorch: for models/ only. Threads: none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kindling/nn/torch.h"
#include "kindling/train/optimizers.h"

namespace kindling {

class TableRows {
 public:
  // `rows`: of the whole table.
  explicit TableRows(std::size_t rows) : place_(rows, -1) {}

  // The row's place in the leaf, in the order of first use.
  std::int64_t add(std::int64_t row) {
    std::int32_t& place = place_[static_cast<std::size_t>(row)];
    if (place < 0) {
      place = static_cast<std::int32_t>(rows_.size());
      rows_.push_back(row);
    }
    return place;
  }
  std::span<const std::int64_t> rows() const { return rows_; }

  // The rows added so far, [R, D], asking for a gradient.
  const torch::Tensor& take(const torch::Tensor& table);
  const torch::Tensor& leaf() const { return leaf_; }
  // After backward: the leaf's gradient, where there is one, goes to the optimiser as that of
  // `parameter`'s rows; then forgets the rows.
  void hand_over(const std::string& parameter, train::Optimizer& optimizer);
  void clear();

 private:
  std::vector<std::int32_t> place_;  // -1: not read yet
  std::vector<std::int64_t> rows_;
  torch::Tensor leaf_;
};

}  // namespace kindling
