// Adam or SGD for a table of which each batch reads few rows, as if every step touched every row.
//
//   TableOptimizer users(table, rows, 64, {.kind = TableOptimizer::Kind::kAdam});
//   const std::size_t slot = users.touch(17);       // row 17 is now up to date, its gradient is 0
//   users.gradient(slot)[3] += …;
//   users.apply();                                  // one step
//   users.settle();                                 // before the whole table is read
//
// Frameworks hold tables densely: at every step Adam moves every row by its momentum, and weight
// decay shrinks every row, which costs the whole table's memory traffic a batch. Here a row makes
// up for the steps it was left alone when it is touched again: the numbers are those of the dense
// optimiser up to rounding, the work is that of the rows read.
// Adam's steps without a gradient are one fraction a float, AdamCoasting's.
// Source: Kingma & Ba 2015, bias correction as PyTorch's Adam; specs/recguru.md 8 (f).
// Threads: none. `table` must outlive the optimiser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kindling/kernels/adam_coasting.h"
#include "kindling/kernels/large_pages.h"

namespace kindling::kernels {

class TableOptimizer {
 public:
  enum class Kind { kAdam, kSgd };
  struct Options {
    Kind kind = Kind::kAdam;
    double learning_rate = 0.006;
    double beta1 = 0.9;
    double beta2 = 0.98;
    double eps = 1e-9;
    double weight_decay = 0.0;  // λ of λ/2 |row|², of every row at every step; SGD only
  };

  // table [rows, dim]; `most` rows are touched in one step.
  TableOptimizer(float* table, std::size_t rows, std::size_t dim, std::size_t most,
                 const Options& options);

  std::size_t touch(std::uint32_t row);
  // Asks the memory for what touch(row) will read: rows come in no order, and each is a miss.
  void prefetch(std::uint32_t row) const;
  const float* row(std::uint32_t row) const { return table_ + row * dim_; }
  float* gradient(std::size_t slot) { return gradients_.data() + slot * dim_; }
  std::size_t dim() const { return dim_; }
  void apply();
  void settle();

 private:
  void catch_up(std::uint32_t row);
  void step_adam(std::uint32_t row, const float* gradient);
  void step_sgd(std::uint32_t row, const float* gradient);
  float* moments(std::uint32_t row) { return moments_.data() + row * dim_ * 2; }

  float* table_;
  std::size_t rows_;
  std::size_t dim_;
  Options options_;
  std::int64_t steps_ = 0;
  std::vector<std::int64_t> seen_;      // [rows] steps that a row has taken part in or made up for
  std::vector<std::uint32_t> slot_;     // [rows] slot + 1 in the running step, else 0
  std::vector<std::uint32_t> touched_;  // rows of the running step
  std::vector<float> gradients_;        // [most, dim]
  // [rows, 2, dim] Adam's m and v; a row's lie side by side
  std::vector<float, LargePages<float>> moments_;
  AdamCoasting past_;
};

}  // namespace kindling::kernels
