#include "kindling/models/table_rows.h"

#include "kindling/nn/tensors.h"

namespace kindling {

const torch::Tensor& TableRows::take(const torch::Tensor& table) {
  leaf_ = table.detach().index_select(0, nn::index_tensor(rows_, table.device()));
  leaf_.requires_grad_(true);
  return leaf_;
}

void TableRows::hand_over(const std::string& parameter, train::Optimizer& optimizer) {
  if (leaf_.defined() && leaf_.grad().defined()) {
    optimizer.add_rows(parameter, nn::index_tensor(rows_, leaf_.device()), leaf_.grad());
  }
  clear();
}

void TableRows::clear() {
  for (const std::int64_t row : rows_) place_[static_cast<std::size_t>(row)] = -1;
  rows_.clear();
  leaf_ = torch::Tensor();
}

}  // namespace kindling
